"""The texts of the report in each language, from the catalogue `texts.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.language import Language


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language."""

    language: Language = Language.ENGLISH

    def __call__(self, name: str, **values: object) -> str:
        """Return a text with its values filled in. Raises KeyError if the catalogue lacks it."""
        return catalogue()[name][self.language].format(**values)

    def rows(self, name: str, count: int, **values: object) -> str:
        """Return a text with a number of rows: `<name>_one` for 1 row, else `<name>_many`."""
        return self(f"{name}_{'one' if count == 1 else 'many'}", count=f"{count:,}", **values)


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Return the texts by name and language."""
    texts: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_name("texts.toml").read_text(encoding="utf-8"))
    return texts
