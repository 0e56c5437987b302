"""Every text for people exists in each language."""

import ast
import string
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.language import Language, catalogue, language_in_use, language_of, t, use_language

PACKAGE = Path(__file__).parents[2] / "pipeline"


@pytest.fixture
def chinese() -> Iterator[None]:
    """Print Chinese during a test."""
    before = language_in_use()
    use_language(Language.CHINESE)
    yield
    use_language(before)


def texts_of_the_code() -> set[str]:
    """Return the English text of each call of `t`."""
    calls = [
        node
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "t"
    ]
    return {str(ast.literal_eval(call.args[0])) for call in calls}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_catalogue_has_each_text_of_the_code_and_no_other() -> None:
    """A text without a translation, and a translation without a text, are faults."""
    assert set(catalogue()) == texts_of_the_code()


def test_no_text_stands_in_the_catalogue_twice() -> None:
    """A text that several packages use has one translation."""
    rooms = tomllib.loads((PACKAGE / "language" / "zh.toml").read_text(encoding="utf-8"))
    assert sum(len(texts) for texts in rooms.values()) == len(catalogue())


def test_a_translation_has_the_same_values() -> None:
    """Each placeholder of a text occurs in its translation."""
    assert {text for text, chinese in catalogue().items() if placeholders(text) != placeholders(chinese)} == set()


@pytest.mark.usefixtures("chinese")
def test_a_text_is_printed_in_the_language_of_the_process() -> None:
    """After `use_language(CHINESE)` texts are Chinese."""
    assert t("interrupted; nothing was sent") == "已中断；没有发送任何请求"


@pytest.mark.parametrize(("lang", "language"), [("zh_CN.UTF-8", "zh"), ("en_US.UTF-8", "en"), ("C", "en"), ("", "en")])
def test_lang_names_the_language(lang: str, language: str) -> None:
    """LANG chooses the language; English is the default."""
    assert language_of({"LANG": lang}) == language
