"""Every text for people exists in each language."""

import ast
import string
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from jinja2 import Environment
from jinja2.ext import extract_from_ast

from pipeline.language import Language, catalogue, language_of, t, texts_in
from pipeline.model import Export
from pipeline.resources import schema
from pipeline.write.answers.catalogue import RULES
from pipeline.write.answers.matrix.alipay import ALIPAY_CODES
from pipeline.write.answers.matrix.wechatpay import INNER_NUMBERS, WECHATPAY_CODES

PACKAGE = Path(__file__).parents[2] / "pipeline"
MARKS = ("t", "later", "counted")
# Schemas with the words of broken rules.
SCHEMAS = [
    *(f"exports/{export}.json" for export in Export),
    *(f"payloads/{name}.json" for name in ("brand_points", "cumulation", "points", "state")),
]


def texts_of_the_code() -> set[str]:
    """Return the English text of each call of `t`, `later` and `counted`."""
    calls = (
        node
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS
    )
    texts = (text for call in calls for text in call.args if isinstance(text, ast.Constant))
    return {text.value for text in texts if isinstance(text.value, str)} | texts_of_the_pages()


def texts_of_the_pages() -> set[str]:
    """Return the English text of each call of `t` in the templates of pages."""
    templates = (Environment(autoescape=True).parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.template"))
    found = (texts for template in templates for _, _, texts in extract_from_ast(template, MARKS))
    return {texts if isinstance(texts, str) else str((texts or ("",))[0]) for texts in found}


def texts_of_the_schemas() -> set[str]:
    """Return the words for the rules of the config, and of each export and payload."""
    config = schema("config.json")
    return {
        *(text for text in _values_of(config, "description") if text != config["description"]),
        *(text for name in SCHEMAS for text in _values_of(schema(name), "x-rule")),
    }


def texts_of_the_retry_matrix() -> set[str]:
    """Return what happened and what to do, for each condition and code of the platforms."""
    rules = (text for rule in RULES.values() for text in (rule.happened, rule.advice))
    codes = (codes.advice for codes in ALIPAY_CODES + WECHATPAY_CODES)
    return {*rules, *codes, *INNER_NUMBERS.values()} - {""}


def _values_of(node: object, key: str) -> Iterator[str]:
    """Yield the texts under a key, at any depth."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from [value] if name == key and isinstance(value, str) else _values_of(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from _values_of(value, key)


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_catalogue_has_each_text_of_the_code_and_no_other() -> None:
    """A text without a translation, and a translation without a text, are faults."""
    assert set(catalogue()) == texts_of_the_code() | texts_of_the_schemas() | texts_of_the_retry_matrix()


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
