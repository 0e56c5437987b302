"""A chunk: rows of one file as columns of text, passed from reading to mapping."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pyarrow as pa

from pipeline.model import BadRow, Row
from pipeline.tables.text_columns import Column, cells_of, column_of


@dataclass(frozen=True, slots=True)
class Chunk:
    """
    Rows of one file, numbered from `first` without gaps. A place is a row's index in the chunk, from 0.

    - `texts`: one array for each column, with one text for each row; null is no value
    - `bad`: unreadable records by place; their cells in `texts` are meaningless
    - `file_lines`: the file line where each row begins, from 1; None for files without lines
    - `marks`: row marks of fixed rows (`pipeline.tables.row_mark`); None for other inputs
    """

    columns: tuple[str, ...]
    first: int
    texts: tuple[Column, ...] = field(repr=False)
    bad: Mapping[int, BadRow] = field(default_factory=dict, repr=False)
    file_lines: Sequence[int] | None = field(default=None, repr=False)
    marks: Column | None = field(default=None, repr=False)

    @classmethod
    def of_rows(
        cls, columns: tuple[str, ...], rows: Sequence[Row | BadRow], file_lines: Sequence[int] | None = None
    ) -> Self:
        """Return a chunk of rows; at least one row is needed."""
        no_cells = (None,) * len(columns)
        cells = [no_cells if isinstance(row, BadRow) else row.cells for row in rows]
        texts = tuple(column_of(texts) for texts in zip(*cells, strict=True))
        bad = {at: row for at, row in enumerate(rows) if isinstance(row, BadRow)}
        return cls(columns, rows[0].number, texts, bad, file_lines)

    def __len__(self) -> int:
        return len(self.texts[0])

    @property
    def rows(self) -> list[Row | BadRow]:
        """The rows one by one."""
        return [self.bad.get(at) or Row(self.first + at, cells) for at, cells in enumerate(cells_of(self.texts))]

    def rows_at(self, places: Sequence[int]) -> list[Row]:
        """Return the rows at these places; none of them may be bad."""
        taken = pa.array(places, pa.int64())
        cells = cells_of(column.take(taken) for column in self.texts)
        return [Row(self.first + at, of_row) for at, of_row in zip(places, cells, strict=True)]

    def slice(self, start: int, length: int) -> "Chunk":
        """Return the part that begins at a place, with up to `length` rows."""
        bad = {at - start: row for at, row in self.bad.items() if start <= at < start + length}
        texts = tuple(text.slice(start, length) for text in self.texts)
        file_lines = None if self.file_lines is None else self.file_lines[start : start + length]
        marks = None if self.marks is None else self.marks.slice(start, length)
        return Chunk(self.columns, self.first + start, texts, bad, file_lines, marks)

    def without(self, places: Sequence[int], *, first: int) -> "Chunk":
        """Return the chunk without the rows at these places, numbered from `first`."""
        if not places and first == self.first:
            return self
        is_kept = np.ones(len(self), np.bool_)
        is_kept[list(places)] = False
        at_now = np.cumsum(is_kept) - 1
        bad = {int(at_now[at]): replace(row, number=first + int(at_now[at])) for at, row in self.bad.items()}
        if not places:
            return Chunk(self.columns, first, self.texts, bad, self.file_lines, self.marks)
        kept = pa.array(is_kept)
        texts = tuple(text.filter(kept) for text in self.texts)
        file_lines = None if self.file_lines is None else np.asarray(self.file_lines)[is_kept].tolist()
        marks = None if self.marks is None else self.marks.filter(kept)
        return Chunk(self.columns, first, texts, bad, file_lines, marks)
