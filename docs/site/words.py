"""Chinese for the texts of the reference: those of `zh.toml` beside this file, and those of the program."""

import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from pipeline.language import Language, catalogue

# Returns a text in one language.
Words = Callable[[str], str]


def words(language: Language) -> Words:
    """Return the function that gives a text in this language; English where there is no Chinese."""
    return str if language is Language.ENGLISH else _chinese


@cache
def translations() -> dict[str, str]:
    """Return the Chinese texts by their English ones."""
    return tomllib.loads(Path(__file__).with_name("zh.toml").read_text(encoding="utf-8"))


def _chinese(text: str) -> str:
    return translations().get(text) or catalogue().get(text, text)
