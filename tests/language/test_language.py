"""Every text for people exists in each language."""

import ast
import string
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.language import Language, catalogue, language_of, t, texts_in

PACKAGE = Path(__file__).parents[2] / "pipeline"


def texts_of_the_code() -> set[str]:
    """Return the English text of each call of `t` and `later`."""
    calls = (
        node
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("t", "later")
    )
    texts = (text for call in calls for text in call.args if isinstance(text, ast.Constant))
    return {text.value for text in texts if isinstance(text.value, str)}


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


def test_a_text_is_printed_in_the_language_of_the_process() -> None:
    """Texts are Chinese within `texts_in(CHINESE)`, and English after it."""
    with texts_in(Language.CHINESE):
        chinese = t("interrupted; nothing was sent")

    assert chinese == "已中断；没有发送任何请求"
    assert t("interrupted; nothing was sent") == "interrupted; nothing was sent"


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "C"}, "en"),
        ({"LC_MESSAGES": "zh_CN.UTF-8", "LANG": "C"}, "zh"),
        ({"LC_ALL": "C.UTF-8", "LC_MESSAGES": "zh_CN", "LANG": "zh_CN"}, "en"),
        ({"LC_ALL": "", "LANG": "zh_CN"}, "zh"),
        ({}, "en"),
    ],
)
def test_the_locale_names_the_language(environ: Mapping[str, str], language: str) -> None:
    """LC_ALL, LC_MESSAGES or LANG chooses the language, in this order; English is the default."""
    assert language_of(environ) == language
