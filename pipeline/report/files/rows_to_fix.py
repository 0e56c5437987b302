"""The rows to fix, as CSV and as a workbook; `backfill run` accepts both as inputs."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO

import orjson

from pipeline.language import counted, t
from pipeline.model import Status
from pipeline.report.files.csv_lines import csv_line, guarded, unguarded
from pipeline.report.files.workbook import TextWorkbook
from pipeline.tables.outcome_page import Outcome, OutcomePage

CSV_NAME = "rows_to_fix.csv"
WORKBOOK_NAME = "rows_to_fix.xlsx"
OWN_COLUMNS = ("_row", "_status", "_code", "_message")
_TO_FIX = frozenset({Status.INVALID, Status.REJECTED})
# Without it, spreadsheets read UTF-8 in the country's old encoding.
_BYTE_ORDER_MARK = "\ufeff".encode()

# Returns the row mark, from the row's number in the run and its outcome.
RowNote = Callable[[int, Outcome], str]
# A line of the file.
Cells = list[str | None]
# A column's name and the number of earlier columns with the same name; names may be empty or occur several times.
_Column = tuple[str, int]


def header_of(columns: Mapping[int, tuple[str, ...]]) -> list[str]:
    """Return the header: the columns of all inputs in order of first appearance, then our own columns."""
    return [*(name for name, _ in _in_order(columns)), *OWN_COLUMNS]


class RowsToFix:
    """
    Makes the cells of the rows that ended invalid or rejected: original cells, row mark, status, code and message.

    Cells of columns that the row's file lacks are empty. Unreadable characters are U+FFFD; a fixed row that still has
    one is refused. `rows` is the number of rows of the run before those that are looked at.
    """

    def __init__(self, columns: Mapping[int, tuple[str, ...]], mark: RowNote, rows: int = 0) -> None:
        place = {column: at for at, column in enumerate(_in_order(columns))}
        self._mark = mark
        self._places = {file_no: [place[column] for column in _numbered(own)] for file_no, own in columns.items()}
        self._width = len(place)
        self._rows = rows

    def among(self, outcomes: OutcomePage) -> Iterator[Cells]:
        """Yield the cells of those among the next rows."""
        if not _TO_FIX.isdisjoint(outcomes.status):
            for at, status in enumerate(outcomes.status):
                if status in _TO_FIX:
                    yield self._cells(self._rows + at + 1, outcomes[at])
        self._rows += len(outcomes)

    def skip(self, rows: int) -> None:
        """Pass over the next rows, which another process has looked at."""
        self._rows += rows

    def _cells(self, row_no: int, outcome: Outcome) -> Cells:
        cells: Cells = [None] * self._width
        own = orjson.loads(outcome.cells) if outcome.cells else ()
        for place, cell in zip(self._places[outcome.file_no], own, strict=False):
            cells[place] = cell
        cells += (self._mark(row_no, outcome), outcome.status.value, outcome.code, outcome.message)
        return cells


class RowsToFixFiles:
    """The CSV and the workbook, each with its header."""

    def __init__(self, file: BinaryIO, workbook: TextWorkbook, columns: Mapping[int, tuple[str, ...]]) -> None:
        self._file = file
        self._workbook = workbook
        file.write(_BYTE_ORDER_MARK + csv_line(header_of(columns)))

    def add(self, cells: Cells) -> None:
        """Write a row."""
        self._file.write(csv_line(cells))
        self._workbook.add([_in_workbook(cell) for cell in cells])


def left_out_note(rows: int) -> str:
    """Return a note that the workbook lacks rows."""
    are = counted(rows, "1 row is", "{count:,} rows are")
    return t(
        "{rows} not in {workbook}: too large for a spreadsheet. {csv} has all rows",
        rows=are, workbook=WORKBOOK_NAME, csv=CSV_NAME,
    )  # fmt: skip


def _in_workbook(cell: str | None) -> str | None:
    """Return a cell unchanged, because text cells hold no formulas; but guard a cell that already looks guarded."""
    return guarded(cell) if cell and unguarded(cell) != cell else cell


def _in_order(columns: Mapping[int, tuple[str, ...]]) -> Sequence[_Column]:
    return list(dict.fromkeys(column for own in columns.values() for column in _numbered(own)))


def _numbered(names: tuple[str, ...]) -> list[_Column]:
    before: Counter[str] = Counter()
    columns: list[_Column] = []
    for name in names:
        columns.append((name, before[name]))
        before[name] += 1
    return columns
