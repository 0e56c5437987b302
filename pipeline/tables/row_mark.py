"""The row mark: the text in the column `_row` of rows_to_fix, which names the origin of a fixed row."""

import re
from dataclasses import dataclass
from typing import Self

# Brackets and words around the numbers keep spreadsheets from reading a number, a date or a series.
_WRITTEN = re.compile(r"\[run ([0-9A-Z]{26}) file ([1-9][0-9]{0,8}) row ([1-9][0-9]{0,17})\]")


@dataclass(frozen=True, slots=True)
class RowMark:
    """One row of a run: the number of its file in the run, and its number in the file, both from 1."""

    run_id: str
    file_no: int
    source_row: int

    def __str__(self) -> str:
        return f"[run {self.run_id} file {self.file_no} row {self.source_row}]"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Return the mark in a cell; None if the cell is not exactly a mark."""
        return cls._of(_WRITTEN.fullmatch(text.strip()))

    @classmethod
    def find(cls, text: str) -> Self | None:
        """Return the first mark within a text; None if there is none."""
        return cls._of(_WRITTEN.search(text))

    @classmethod
    def _of(cls, found: re.Match[str] | None) -> Self | None:
        return None if found is None else cls(found[1], int(found[2]), int(found[3]))
