"""Rows of text as an .xlsx file, as far as a spreadsheet takes them."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

# What Excel and its like can hold; the header is one of the rows.
MOST_ROWS = 1_048_576
MOST_COLUMNS = 16_384
MOST_CHARACTERS = 32_767
# Beyond this the file would need a form of zip that some spreadsheets repair, or refuse.
_MOST_BYTES = 1 << 31
# A character of a cell takes up to six bytes, where it is escaped; the markup of a cell takes less than this.
_BYTES_OF_CHARACTER = 6
_BYTES_OF_CELL = 64
_COLUMN_WIDTH = 22
# The number of the format that every spreadsheet knows as text.
_TEXT_FORMAT = 49


class TextWorkbook(AbstractContextManager["TextWorkbook"]):
    """
    An .xlsx file whose cells are all text, so that no spreadsheet takes an id for a number.

    The columns have the format text too: what a person types stays as typed. A row that does not fit is left out and
    counted in `left_out`; a second sheet then says so. `folder` takes the rows until the end; `rows` is how many fit.
    """

    def __init__(self, file: BinaryIO, folder: Path, header: Sequence[str], *, rows: int = MOST_ROWS) -> None:
        # It takes 50 ms to import, and only a report needs it.
        import xlsxwriter  # noqa: PLC0415 - as said above

        self.left_out = 0
        self.made_at: datetime | None = None
        self._book = xlsxwriter.Workbook(file, {"constant_memory": True, "tmpdir": str(folder)})
        self._text = self._book.add_format({"num_format": _TEXT_FORMAT})
        self._sheet = self._book.add_worksheet("rows to fix")
        self._rows = 0
        self._bytes = 0
        self._most_rows = rows if len(header) <= MOST_COLUMNS else 0
        self._sheet.set_column(0, min(len(header), MOST_COLUMNS) - 1, _COLUMN_WIDTH, self._text)
        self._sheet.freeze_panes(1, 0)
        self.add(header)

    def add(self, cells: Sequence[str | None]) -> None:
        """Add a row; None is an empty cell."""
        size = sum(_BYTES_OF_CELL + _BYTES_OF_CHARACTER * len(cell) for cell in cells if cell)
        if self._rows >= self._most_rows or self._bytes + size > _MOST_BYTES or any(map(_is_too_long, cells)):
            self.left_out += 1
            return
        for at, cell in enumerate(cells):
            if cell:
                self._sheet.write_string(self._rows, at, cell, self._text)
        self._rows += 1
        self._bytes += size

    def note(self, text: str) -> None:
        """Put a note on a sheet of its own."""
        self._book.add_worksheet("note").write_string(0, 0, text)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from xlsxwriter.exceptions import FileCreateError  # noqa: PLC0415 - as above

        # The moment of writing would make two files of one run differ.
        self._book.set_properties({"created": self.made_at} if self.made_at else {})
        try:
            self._book.close()
        except FileCreateError as failed:
            # It stands around what the disk said. An earlier error says more.
            if error is None:
                raise failed.args[0] from failed

    def __enter__(self) -> Self:
        return self


def _is_too_long(cell: str | None) -> bool:
    """Return whether a cell is more than a spreadsheet takes, which counts a letter beyond U+FFFF as two."""
    if cell is None or len(cell) * 2 <= MOST_CHARACTERS:
        return False
    return len(cell.encode("utf-16-le")) // 2 > MOST_CHARACTERS
