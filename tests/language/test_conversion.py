"""Texts that are made in English only."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "pipeline"
MARKS = ("t", "later", "counted")
# The argument with a text for people, by function or class.
TEXTS: dict[str, tuple[int | str, ...]] = {
    **dict.fromkeys(("PipelineError", "SettingsError", "SourceError", "LedgerError", "LedgerBehind", "RunHeld"), (0,)),
    **dict.fromkeys(("ArgumentTypeError", "Unreadable", "Wait", "Conflict", "Lost", "NotAnswered"), (0, 1)),
    **dict.fromkeys(("Fault", "Blocked", "Halt", "Open", "TryAgain", "Refused", "drain", "fault"), (1, "rule")),
    **dict.fromkeys(("Settlement", "Finding"), (2, "message")),
    **dict.fromkeys(("print_line", "info", "warning", "error", "write"), (0,)),
    "add_argument": ("help",),
    "add_parser": ("help", "description", "epilog"),
    "Parser": ("help", "description", "epilog"),
}
# Words of the contract and of commands are no sentence.
SENTENCE = re.compile(r"\b[a-z]{2,}[,;]? [a-z]{2,}\b")
# Commands that are printed as they are.
COMMANDS = ("backfill check", "backfill plan orders")
# The simulator's answers are a platform's.
SIMULATED = {("simulator", name) for name in ("apis", "http", "admin.py", "ruling.py")}


def literals(node: ast.AST) -> Iterator[str]:
    """Yield the literals of an expression that no mark is around."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS:
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        yield from literals(child)


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def english_in(source: str) -> Iterator[str]:
    """Yield the sentences for people in a module that are not looked up in the catalogue."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        places = TEXTS.get(name_of(call), ())
        texts = [text for at, text in enumerate(call.args) if at in places]
        texts += [keyword.value for keyword in call.keywords if keyword.arg in places]
        for text in (literal for node in texts for literal in literals(node)):
            if SENTENCE.search(text) and text.strip() not in COMMANDS:
                yield text


def test_each_text_for_people_comes_from_the_catalogue() -> None:
    """Errors, outcomes, faults, logs, output and help have no sentence that is not looked up in the catalogue."""
    files = [path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[:2] not in SIMULATED]
    found = {path.name: list(english_in(path.read_text(encoding="utf-8"))) for path in files}

    assert {name: texts for name, texts in found.items() if texts} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param('raise SourceError(t("the file is gone"))', [], id="looked up"),
        pytest.param('raise SourceError("the file is gone")', ["the file is gone"], id="an-error"),
        pytest.param('raise SettingsError([f"{path}: no such file"])', [": no such file"], id="a-part"),
        pytest.param('Fault("ragged", f"{a} where the header has {b}")', [" where the header has "], id="a-fault"),
        pytest.param('log.info("%s", text)', [], id="no-sentence"),
        pytest.param('parser.add_argument("job", help="a job of the config")', ["a job of the config"], id="help"),
    ],
)
def test_a_sentence_that_is_not_looked_up_is_found(source: str, found: list[str]) -> None:
    """The search sees sentences in errors, faults and help, also in a part of an f-string."""
    assert list(english_in(source)) == found
