"""
The language of texts for people.

A text stands in the code where it is used, in English: `t("{rows} rows are left", rows=3)`. The catalogue `zh.toml` has
the same texts in Chinese, each under its English text; a test holds it complete. Data keep their form in every
language: statuses, codes, field names, JSON keys, log events.

It imports nothing of ours.
"""

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path


class Language(StrEnum):
    """Language of texts for people."""

    ENGLISH = "en"
    CHINESE = "zh"


class _Choice:
    """The language of this process. A command sets it once, before it prints; a library call leaves it alone."""

    language = Language.ENGLISH


def language_of(environ: Mapping[str, str]) -> Language:
    """Return the language that LANG names; English if it names no other one of ours."""
    return Language.CHINESE if environ.get("LANG", "").lower().startswith("zh") else Language.ENGLISH


def use_language(language: Language) -> None:
    """Print texts in this language from now on."""
    _Choice.language = language


def language_in_use() -> Language:
    """Return the language of this process."""
    return _Choice.language


def t(english: str, /, **values: object) -> str:
    """Return a text in the language of this process, with its values put in as by `str.format`."""
    text = english if _Choice.language is Language.ENGLISH else catalogue().get(english, english)
    return text.format(**values)


@cache
def catalogue() -> Mapping[str, str]:
    """Return the Chinese texts by their English ones."""
    rooms: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_name("zh.toml").read_text(encoding="utf-8"))
    return {english: chinese for texts in rooms.values() for english, chinese in texts.items()}
