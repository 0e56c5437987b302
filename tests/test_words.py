"""The words of the code, its messages and its documents: field terms instead of metaphors."""

import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]

# In no name and no sentence.
NOWHERE = re.compile(
    r"(?<![a-z])(leaf|spool\w*|twins?|sift\w*|rehears\w+|suspicion|monotony|told|tells|telling|detours?|unusual\w*|crew|fleet"
    r"|gang|workshop|wishes|watchers?|outlets?|mend(s|ed|ing)?|weather|handouts?|tether\w*)(?![a-z])"
)
# Plain English in a sentence, but no part of a name.
NO_NAME = re.compile(
    r"(?<![a-z])(drafts?|aside|course|gate|asked|outside|holders?|books?|doors?|desks?|stamps?|looking|talk|repeats|precedence"
    r"|watch|suspicions|stalls?|(?<!round_)trips?|packs?|shop)(?![a-z])"
)
# Names of other libraries, of an export, and of a test server's binary data.
OTHERS = {"shop_name", "SHOP", "Draft202012Validator", "SpooledTemporaryFile", "_gate_way", "pack"}


def _is_ours(path: Path) -> bool:
    """Return whether a file is written here; the inputs of tests/cases are given."""
    is_given = path.parent.parent == CHECKOUT / "tests" / "cases"
    return path.exists() and path != Path(__file__) and not is_given


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return [path for name in listed.stdout.splitlines() if _is_ours(path := CHECKOUT / name)]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _of_text(text: str) -> Iterator[tuple[int, str]]:
    for line_no, line in enumerate(text.splitlines(), 1):
        yield from ((line_no, found[0]) for found in NOWHERE.finditer(line.lower()))


def _of_code(text: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and token.string not in OTHERS:
            name = _snake(token.string)
            if NOWHERE.search(name) or NO_NAME.search(name):
                yield token.start[0], token.string
        elif token.type in (tokenize.STRING, tokenize.COMMENT):
            yield from ((token.start[0] + line_no - 1, word) for line_no, word in _of_text(token.string))


FILES = _tracked("*.py", "*.md", "*.toml", "*.sh", "*.template", "Makefile", ".ci/run")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_a_file_uses_the_words_of_the_field(path: Path) -> None:
    """No name and no sentence has a word that the field's term replaced."""
    text = path.read_text(encoding="utf-8")
    found = _of_code(text) if path.suffix == ".py" else _of_text(text)
    assert [f"line {line_no}: {word}" for line_no, word in found] == []


def test_the_words_are_found() -> None:
    """The test itself finds a word in a name, a comment and a text."""
    code = 'def mend_rows(sheet):  # told\n    return "the watcher"\n'
    assert list(_of_code(code)) == [(1, "mend_rows"), (1, "told"), (2, "watcher")]
    assert list(_of_code("asked_at = TripOf = 1\n")) == [(1, "asked_at"), (1, "TripOf")]
