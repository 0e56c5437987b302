"""Where the header of a CSV is, and what parts its cells: found by the columns that the job needs."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pipeline.errors import SourceError
from pipeline.model import CsvFormat
from pipeline.read.ports import ColumnUse

AUTO = "auto"
_USUAL = (",", "\t", ";", "|", "\x01")
# An unusual delimiter begins with what is no letter, no digit and no quote.
_BEGINS = re.compile(r"[^\w\"'\r]")
_LONGEST = 5
_UNSOUND = re.compile(r"[\"'\r]")
_MOST_MARKS = 200
_LINES = 100
# What a line without a cell is made of, as spreadsheets write it.
_EMPTY = "".join(_USUAL) + "\"' \r\ufeff"
_LONGEST_HEADER = 1 << 14
# The share of even lines from which on a delimiter is believed.
_MOSTLY = 0.5
# Stands for a delimiter of several characters, so that csv can part cells by it.
_STAND_IN = "\udbf9"


@dataclass(frozen=True, slots=True)
class Line:
    """A line at the begin of a file, and its number there."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to read the header; `used` counts the columns that the job uses."""

    header: Line
    delimiter: str
    names: tuple[str, ...] = field(repr=False)
    is_complete: bool
    used: int


class ArrowRows:
    """The first lines of a CSV, read in one way or another; `more_columns` are those that its folders give."""

    def __init__(self, text: str, form: CsvFormat, uses: ColumnUse, more_columns: Sequence[str] = ()) -> None:
        self._form = form
        self._uses = uses
        self._more_columns = tuple(more_columns)
        lines = enumerate(text.split("\n")[:_LINES], 1)
        self._lines = [Line(at, line.rstrip("\r")[:_LONGEST_HEADER]) for at, line in lines if line.strip(_EMPTY)]
        self._rows = [line for line in self._lines if self._is_row(line)]

    def delimiter(self) -> str | None:
        """Return the delimiter of the header, None where it can't be told."""
        if not self._rows:
            return _USUAL[0]
        header = self._rows[0]
        usual = self._usual(header)
        complete = [layout for layout in usual if layout.is_complete]
        if complete:
            return max(complete, key=lambda layout: (self._evenness(layout), len(layout.names))).delimiter
        if self._layout(header, None).is_complete:
            return _USUAL[0]
        unusual = self._best(layout for layout in self._unusual(header) if layout.is_complete)
        if unusual:
            return unusual.delimiter if self._evenness(unusual) >= _MOSTLY else None
        return max(usual, key=lambda layout: (layout.used, self._evenness(layout))).delimiter if usual else None

    def check(self, name: str, header: Sequence[str], delimiter: str) -> None:
        """Raise `SourceError` where the header that was read lacks columns, and another line or delimiter has them."""
        if self._is_complete(header):
            return
        found = self._elsewhere(len(self._uses.used(header)), delimiter)
        if found is None and len(header) <= 1 and self._form.delimiter == AUTO:
            found = self._by_evenness()
        if found:
            raise SourceError(
                f"{name}: the header seems to be line {found.header.number}, with the delimiter "
                f"{json.dumps(found.delimiter)}; write {self._settings(found)} for the job"
            )

    def _is_row(self, line: Line) -> bool:
        form = self._form
        return line.number > form.skip_lines and not (form.comment and line.text.startswith(form.comment))

    def _is_complete(self, names: Sequence[str]) -> bool:
        return self._uses.are_complete((*names, *self._more_columns))

    def _usual(self, header: Line) -> list[Layout]:
        """Return what the usual delimiters make of a header; one that is doubled wherever it stands counts as two."""
        found = []
        for mark in (mark for mark in _USUAL if mark in header.text):
            single = self._layout(header, mark)
            is_doubled = mark not in header.text.replace(2 * mark, "")
            double = self._layout(header, 2 * mark) if is_doubled else single
            found.append(double if self._evenness(double) >= self._evenness(single) else single)
        return found

    def _unusual(self, header: Line) -> Iterator[Layout]:
        text = header.text
        starts = [match.start() for match in _BEGINS.finditer(text)]
        marks = {text[start : start + size] for start in starts for size in range(1, _LONGEST + 1)}
        sound = (mark for mark in marks if not _UNSOUND.search(mark))
        by_length = sorted(sound, key=lambda mark: (len(mark), mark))
        return (self._layout(header, mark) for mark in by_length[:_MOST_MARKS])

    def _best(self, layouts: Iterable[Layout]) -> Layout | None:
        """Return the likeliest; a part of a delimiter leaves columns without a name, so few columns are better."""
        return max(layouts, key=lambda layout: (self._evenness(layout), -len(layout.names)), default=None)

    def _elsewhere(self, used: int, delimiter: str) -> Layout | None:
        """Return a way to read a header that has more of the columns than the one that was read."""
        best: Layout | None = None
        for line in self._lines:
            every = [*self._usual(line), *self._unusual(line)]
            layouts = [layout for layout in every if (line, layout.delimiter) != (*self._rows[:1], delimiter)]
            complete = self._best(layout for layout in layouts if layout.is_complete)
            if complete:
                return complete
            least = max(1, used if best is None else best.used)
            more = [layout for layout in layouts if layout.used > least]
            best = max(more, key=lambda layout: layout.used, default=best)
        return best

    def _by_evenness(self) -> Layout | None:
        """Return what parts all lines into as many cells, where no name is known."""
        if len(self._rows) < 2:
            return None
        layouts = (layout for layout in self._unusual(self._rows[0]) if len(layout.names) > 1)
        return self._best(layout for layout in layouts if self._evenness(layout) > 0.9)

    def _layout(self, header: Line, delimiter: str | None) -> Layout:
        names = tuple(self._cells(header.text, delimiter))
        return Layout(header, delimiter or _USUAL[0], names, self._is_complete(names), len(self._uses.used(names)))

    def _evenness(self, layout: Layout) -> float:
        """Return the share of the lines behind a header that have as many cells."""
        behind = (line.text for line in self._rows if line.number > layout.header.number)
        whole = [text for text in behind if self._quotes(text) % 2 == 0]
        even = sum(len(self._cells(text, layout.delimiter)) == len(layout.names) for text in whole)
        return even / len(whole) if whole else 1.0

    def _quotes(self, text: str) -> int:
        return text.count(self._form.quote) if self._form.quote else 0

    def _cells(self, text: str, delimiter: str | None) -> list[str]:
        if delimiter is None:
            return [text]
        if not self._quotes(text):
            return text.split(delimiter)
        parted = text.replace(delimiter, _STAND_IN)
        try:
            return next(csv.reader([parted], delimiter=_STAND_IN, quotechar=self._form.quote))
        except csv.Error:
            return parted.split(_STAND_IN)

    def _settings(self, found: Layout) -> str:
        """Return the settings with which the header is read."""
        told = []
        above = [line.text for line in self._lines if line.number < found.header.number]
        if found.header.number != self._form.skip_lines + 1:
            or_comment = ' (or csv.comment = "#")' if above and all(text.startswith("#") for text in above) else ""
            told.append(f"csv.skip_lines = {found.header.number - 1}{or_comment}")
        is_found_anyway = self._form.delimiter == AUTO and found.delimiter in _USUAL and told
        if found.delimiter != self._form.delimiter and not is_found_anyway:
            told.append(f"csv.delimiter = {json.dumps(found.delimiter)}")
        return " and ".join(told)
