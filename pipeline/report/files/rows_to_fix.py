"""The rows that somebody has to fix, in two files that the pipeline takes back: CSV and a workbook."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

import orjson

from pipeline.model import Status
from pipeline.report.files.csv_lines import csv_line, guarded, unguarded
from pipeline.report.files.workbook import TextWorkbook
from pipeline.tables.outcome_page import Outcome, OutcomePage

CSV_NAME = "rows_to_fix.csv"
WORKBOOK_NAME = "rows_to_fix.xlsx"
OWN_COLUMNS = ("_row", "_status", "_code", "_message")
_TO_FIX = frozenset({Status.INVALID, Status.REJECTED})
# Without it spreadsheets take UTF-8 for the country's old encoding.
_BYTE_ORDER_MARK = "\ufeff".encode()

# Returns what ties a row to its origin, from its number in the run and its outcome.
Mark = Callable[[int, Outcome], str]
# A column by its name and how many of that name stood before it: columns may lack names, several in one file.
_Column = tuple[str, int]


def header_of(columns: Mapping[int, tuple[str, ...]]) -> list[str]:
    """Return the header: the columns of all inputs, each where it first appears, then those of our own."""
    return [*(name for name, _ in _in_order(columns)), *OWN_COLUMNS]


class RowsToFix:
    """
    Writes the rows that ended invalid or rejected: their own cells, what ties them to their origin, and what is wrong.

    A cell that a row's file has no column for is empty. What could not be read is U+FFFD, as the readers leave it, and
    a row that comes back with it is refused. The header is there also where no row is.
    """

    def __init__(self, file: BinaryIO, book: TextWorkbook, columns: Mapping[int, tuple[str, ...]], mark: Mark) -> None:
        place = {column: at for at, column in enumerate(_in_order(columns))}
        self._file = file
        self._book = book
        self._mark = mark
        self._places = {file_no: [place[column] for column in _told_apart(own)] for file_no, own in columns.items()}
        self._width = len(place)
        self._rows = 0
        file.write(_BYTE_ORDER_MARK + csv_line(header_of(columns)))

    def add(self, outcomes: OutcomePage) -> None:
        """Write those of the rows that have to be fixed."""
        if not _TO_FIX.isdisjoint(outcomes.status):
            for at, status in enumerate(outcomes.status):
                if status in _TO_FIX:
                    self._add(self._rows + at + 1, outcomes[at])
        self._rows += len(outcomes)

    def _add(self, row_no: int, outcome: Outcome) -> None:
        cells: list[str | None] = [None] * self._width
        own = orjson.loads(outcome.cells) if outcome.cells else ()
        for place, cell in zip(self._places[outcome.file_no], own, strict=False):
            cells[place] = cell
        cells += (self._mark(row_no, outcome), outcome.status.value, outcome.code, outcome.message)
        self._file.write(csv_line(cells))
        self._book.add([_in_workbook(cell) for cell in cells])


def left_out_note(rows: int) -> str:
    """Say that rows are not in the workbook."""
    are = "1 row is" if rows == 1 else f"{rows:,} rows are"
    return f"{are} not in {WORKBOOK_NAME}, since a spreadsheet can't hold them; {CSV_NAME} has all rows"


def _in_workbook(cell: str | None) -> str | None:
    """Return a cell as it stands: in a cell of text nothing is a formula. Only what looks guarded gets a guard."""
    return guarded(cell) if cell and unguarded(cell) != cell else cell


def _in_order(columns: Mapping[int, tuple[str, ...]]) -> Sequence[_Column]:
    return list(dict.fromkeys(column for own in columns.values() for column in _told_apart(own)))


def _told_apart(names: tuple[str, ...]) -> list[_Column]:
    before: Counter[str] = Counter()
    columns: list[_Column] = []
    for name in names:
        columns.append((name, before[name]))
        before[name] += 1
    return columns
