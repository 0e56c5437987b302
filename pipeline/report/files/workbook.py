"""An .xlsx file of text cells, within the limits of spreadsheets."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

# Limits of Excel, per sheet and cell; the header counts as a row.
MOST_ROWS = 1_048_576
MOST_COLUMNS = 16_384
MOST_CHARACTERS = 32_767
# Uncompressed bytes of the sheet. A larger file would need ZIP64, which some spreadsheets repair or refuse.
_MOST_BYTES = 1 << 31
# Upper bounds in bytes: an escaped character, and the markup of a cell.
_BYTES_OF_CHARACTER = 6
_BYTES_OF_CELL = 64
# In characters.
_COLUMN_WIDTH = 22
# Number of the built-in format "text".
_TEXT_FORMAT = 49


class TextWorkbook(AbstractContextManager["TextWorkbook"]):
    """
    An .xlsx file whose cells are all text, so that no spreadsheet reads an id as a number.

    The columns have the format text too, so that typed values stay as typed. Rows that do not fit are counted in
    `left_out`. `folder` holds the rows until the end; `rows` is the maximum number of rows, header included.
    """

    def __init__(self, file: BinaryIO, folder: Path, header: Sequence[str], *, rows: int = MOST_ROWS) -> None:
        # Takes 50 ms to import, and only a report needs it.
        import xlsxwriter  # noqa: PLC0415 - as said above

        self.left_out = 0
        self.made_at: datetime | None = None
        self._workbook = xlsxwriter.Workbook(file, {"constant_memory": True, "tmpdir": str(folder)})
        self._text = self._workbook.add_format({"num_format": _TEXT_FORMAT})
        self._sheet = self._workbook.add_worksheet("rows to fix")
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
        """Add a sheet with a note."""
        self._workbook.add_worksheet("note").write_string(0, 0, text)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from xlsxwriter.exceptions import FileCreateError  # noqa: PLC0415 - as above

        # With the time of writing, two files of one run would differ.
        self._workbook.set_properties({"created": self.made_at} if self.made_at else {})
        try:
            self._workbook.close()
        except FileCreateError as failed:
            # Raise the wrapped OSError; after an earlier error, keep that one.
            if error is None:
                raise failed.args[0] from failed

    def __enter__(self) -> Self:
        return self


def _is_too_long(cell: str | None) -> bool:
    """Return whether a cell exceeds a spreadsheet's limit, where characters beyond U+FFFF count as two."""
    if cell is None or len(cell) * 2 <= MOST_CHARACTERS:
        return False
    return len(cell.encode("utf-16-le")) // 2 > MOST_CHARACTERS
