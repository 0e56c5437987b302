"""
The language of texts for people.

A text stands in the code where it is used, in English: `t("{rows} rows are left", rows=3)`. `later` marks the text of a
constant, which `t` translates on use, as it does the words of the schemas and of the retry matrix. `counted` chooses
between the texts for one and for many.

The catalogue `zh.toml` has the same texts in Chinese, each under its English text; a test holds it complete. Data keep
their form in every language: statuses, codes, field names, JSON keys, log events, and what the ledger compares.

It imports nothing of ours.
"""

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    """Return the language of LC_ALL, LC_MESSAGES or LANG, whichever is set first; English if it is no other of ours."""
    named = next(filter(None, map(environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return Language.CHINESE if named.lower().startswith("zh") else Language.ENGLISH


def use_language(language: Language) -> None:
    """Print texts in this language from now on."""
    _Choice.language = language


def language_in_use() -> Language:
    """Return the language of this process."""
    return _Choice.language


@contextmanager
def texts_in(language: Language) -> Iterator[None]:
    """Print texts in this language during a command."""
    before = _Choice.language
    use_language(language)
    try:
        yield
    finally:
        use_language(before)


def later(english: str, /) -> str:
    """Return an English text as it is. Marks the text of a constant, which is passed to `t` where it is used."""
    return english


def t(english: str, /, **values: object) -> str:
    """Return a text in the language of this process, with its values put in as by `str.format`."""
    text = english if _Choice.language is Language.ENGLISH else catalogue().get(english, english)
    return text.format(**values)


def counted(count: int, one: str, many: str, /, **values: object) -> str:
    """Return the text for one, such as `1 row`, or the text for another number, with it as {count}."""
    return t(one if count == 1 else many, count=count, **values)


@cache
def catalogue() -> Mapping[str, str]:
    """Return the Chinese texts by their English ones."""
    rooms: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_name("zh.toml").read_text(encoding="utf-8"))
    return {english: chinese for texts in rooms.values() for english, chinese in texts.items()}
