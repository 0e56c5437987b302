"""The words of an export: what they mean to a field, and which of them a job wants."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from pipeline.map.plain import Mask, mask
from pipeline.texts import Column, column_of, is_blank, trimmed

_WHOLE = re.compile(r"[0-9]+")

Words = Mapping[str, str]
"""What the words of a column mean to a field; other words stay as they are."""


def words_of(meanings: Words, *, is_float: bool) -> Words:
    """Return a job's meanings as they are looked up. A column of floats writes the word 1 as 1.0."""
    said = {word: meaning for word, meaning in meanings.items() if not is_blank(word)}
    return {form: meaning.strip() for word, meaning in said.items() for form in _forms(word, is_float=is_float)}


def meaning_of(words: Words, text: str) -> str:
    """Return what a text means, empty if the job says that it means nothing."""
    return words.get(trimmed(text), text)


def meanings_of(words: Words, column: Column) -> Column:
    """Return what the texts of a column mean; no value stays none."""
    unlike = column.dictionary_encode()
    meanings = [meaning_of(words, text) or None for text in unlike.dictionary.to_pylist()]
    return column_of(meanings).take(unlike.indices)


@dataclass(frozen=True, slots=True)
class Filter:
    """The rows that a job wants: each of these columns, by position, has one of its texts. An empty cell is ""."""

    wanted: tuple[tuple[int, frozenset[str]], ...] = field(default=(), repr=False)

    def wants(self, cells: Sequence[str | None]) -> bool:
        """Tell whether a job wants a row; `cells` has one for each column."""
        return all(_is_among(texts, cells[position]) for position, texts in self.wanted)

    def unwanted(self, texts: Sequence[Column]) -> Mask | None:
        """Return which rows a job does not want, by the columns of all; None if it wants all rows of any file."""
        found: Mask | None = None
        for position, wanted in self.wanted:
            unlike = texts[position].dictionary_encode(null_encoding="encode")
            is_wanted = [_is_among(wanted, text) for text in unlike.dictionary.to_pylist()]
            others = ~mask(pa.array(is_wanted, pa.bool_()).take(unlike.indices))
            found = others if found is None else found | others
        return found


def texts_of(words: Iterable[str], *, is_float: bool) -> frozenset[str]:
    """Return the texts of a filter as they are looked up."""
    return frozenset(form for word in words for form in _forms(word, is_float=is_float))


def _forms(word: str, *, is_float: bool) -> tuple[str, ...]:
    text = trimmed(word)
    return (text, f"{text}.0") if is_float and _WHOLE.fullmatch(text) else (text,)


def _is_among(wanted: frozenset[str], cell: str | None) -> bool:
    return trimmed(cell or "") in wanted
