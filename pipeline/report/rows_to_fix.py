"""The rows that somebody has to mend, in a file that the pipeline takes back."""

from collections import Counter
from collections.abc import Mapping
from typing import BinaryIO

import orjson

from pipeline.model import Status
from pipeline.outcome import Outcome, Outcomes
from pipeline.report.csv_lines import csv_line

_TO_MEND = frozenset({Status.INVALID, Status.REJECTED})
_TOLD = ("_status", "_code", "_message")
# A column by its name and how many of that name stood before it: columns may lack names, several in one file.
_Column = tuple[str, int]


class RowsToFix:
    """
    Writes the rows that ended invalid or rejected: their own cells, and what is wrong with them.

    The columns are those of all inputs, each where it first appears; a cell that a row's file has no column for is
    empty. What could not be read is U+FFFD, as the readers leave it, and a row that comes back with it is refused. The
    header is there also where no row is.
    """

    def __init__(self, file: BinaryIO, columns: Mapping[int, tuple[str, ...]]) -> None:
        named = {file_no: _told_apart(names) for file_no, names in columns.items()}
        place = {column: at for at, column in enumerate(dict.fromkeys(c for cs in named.values() for c in cs))}
        self._file = file
        self._places = {file_no: [place[column] for column in own] for file_no, own in named.items()}
        self._width = len(place)
        file.write(csv_line((*(name for name, _ in place), *_TOLD)))

    def add(self, outcomes: Outcomes) -> None:
        """Write those of the rows that have to be mended."""
        if _TO_MEND.isdisjoint(outcomes.status):
            return
        for at, status in enumerate(outcomes.status):
            if status in _TO_MEND:
                self._add(outcomes[at])

    def _add(self, outcome: Outcome) -> None:
        cells: list[str | None] = [None] * self._width
        own = orjson.loads(outcome.cells) if outcome.cells else ()
        for place, cell in zip(self._places[outcome.file_no], own, strict=False):
            cells[place] = cell
        self._file.write(csv_line((*cells, outcome.status, outcome.code, outcome.message)))


def _told_apart(names: tuple[str, ...]) -> list[_Column]:
    before: Counter[str] = Counter()
    columns: list[_Column] = []
    for name in names:
        columns.append((name, before[name]))
        before[name] += 1
    return columns
