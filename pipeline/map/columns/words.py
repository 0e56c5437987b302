"""The words of an export: their meaning for a field, and the filter of rows."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

import pyarrow as pa

from pipeline.map.values.cells import cell_text
from pipeline.map.values.plain_texts import Mask, mask
from pipeline.tables.text_columns import Column, column_of, is_blank, trimmed

Words = Mapping[str, str]
"""The meanings of words for a field; an empty meaning is no value. Words that are not listed stay as they are."""


def words_of(meanings: Words) -> Words:
    """Return a job's meanings with trimmed words, for lookup."""
    return {trimmed(word): meaning.strip() for word, meaning in meanings.items() if not is_blank(word)}


def meanings_of(words: Words, column: Column) -> Column:
    """Return the meanings of a column's texts; null stays null."""
    unlike = column.dictionary_encode()
    meanings = [words.get(text, text) or None for text in unlike.dictionary.to_pylist()]
    return column_of(meanings).take(unlike.indices)


@dataclass(frozen=True, slots=True)
class Filter:
    """
    The rows that a job wants.

    `wanted` are positions of columns, each with its trimmed texts. A wanted row has one of the texts in each column,
    also behind the mark of a spreadsheet. An empty cell and a null value count as "".
    """

    wanted: tuple[tuple[int, frozenset[str]], ...] = field(default=(), repr=False)
    nulls: Set[str] = frozenset()

    def wants(self, cells: Sequence[str | None]) -> bool:
        """Return whether the job wants a row; `cells` has one cell for each column."""
        return all(self._is_among(texts, cells[position]) for position, texts in self.wanted)

    def unwanted(self, texts: Sequence[Column]) -> Mask | None:
        """Return the mask of excluded rows; None for a job without a filter. `texts` are the file's columns."""
        found: Mask | None = None
        for position, wanted in self.wanted:
            unlike = texts[position].dictionary_encode(null_encoding="encode")
            is_wanted = [self._is_among(wanted, text) for text in unlike.dictionary.to_pylist()]
            others = ~mask(pa.array(is_wanted, pa.bool_()).take(unlike.indices))
            found = others if found is None else found | others
        return found

    def _is_among(self, wanted: frozenset[str], cell: str | None) -> bool:
        text = trimmed(cell or "")
        return text in wanted or cell_text(text, self.nulls, is_bare=True) in wanted
