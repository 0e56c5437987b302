"""The header line and the delimiter of a CSV, found by the columns that the job needs."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pipeline.errors import SourceError
from pipeline.language import t
from pipeline.model import CsvFormat
from pipeline.read.ports import ColumnUse

AUTO = "auto"
_COMMON_DELIMITERS = (",", "\t", ";", "|", "\x01")
# Other delimiters than the common ones do not begin with a letter, digit or quote.
_DELIMITER_START = re.compile(r"[^\w\"'\r]")
_LONGEST_DELIMITER = 5  # characters
_NOT_ALLOWED = re.compile(r"[\"'\r]")
_MOST_DELIMITERS = 200  # candidates that are tried
_LINES = 100  # first lines that are searched
# The characters of a line without a value, as spreadsheets write it.
_EMPTY = "".join(_COMMON_DELIMITERS) + "\"' \r\ufeff"
_LONGEST_HEADER = 1 << 14  # characters of a line that are read
# The least share of lines that must have as many cells as the header.
_LEAST_CONSISTENCY = 0.5
# Replaces a delimiter of several characters, because the csv module takes only one. A lone surrogate is in no text.
_PLACEHOLDER = "\udbf9"


@dataclass(frozen=True, slots=True)
class Line:
    """A line near the start of a file, and its number, from 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to read the header; `used` is the number of columns that the job uses."""

    header: Line
    delimiter: str
    names: tuple[str, ...] = field(repr=False)
    is_complete: bool
    used: int


class HeaderFinder:
    """Finds header and delimiter in the first lines of a CSV; `more_columns` are its hive partitions."""

    def __init__(self, text: str, form: CsvFormat, uses: ColumnUse, more_columns: Sequence[str] = ()) -> None:
        self._form = form
        self._uses = uses
        self._more_columns = tuple(more_columns)
        lines = enumerate(text.split("\n")[:_LINES], 1)
        self._lines = [Line(at, line.rstrip("\r")[:_LONGEST_HEADER]) for at, line in lines if line.strip(_EMPTY)]
        self._rows = [line for line in self._lines if self._is_row(line)]

    def delimiter(self) -> str | None:
        """Return the delimiter of the header, None if it can't be detected."""
        if not self._rows:
            return _COMMON_DELIMITERS[0]
        header = self._rows[0]
        usual = self._common_layouts(header)
        complete = [layout for layout in usual if layout.is_complete]
        if complete:
            return max(complete, key=lambda layout: (self._consistency(layout), len(layout.names))).delimiter
        if self._layout(header, None).is_complete:
            return _COMMON_DELIMITERS[0]
        other = self._best(layout for layout in self._other_layouts(header) if layout.is_complete)
        if other:
            return other.delimiter if self._consistency(other) >= _LEAST_CONSISTENCY else None
        return max(usual, key=lambda layout: (layout.used, self._consistency(layout))).delimiter if usual else None

    def check(self, name: str, header: Sequence[str], delimiter: str) -> None:
        """Raise `SourceError` if the header lacks columns, and another line or delimiter has more of them."""
        if self._is_complete(header):
            return
        found = self._elsewhere(len(self._uses.used(header)), delimiter)
        if found is None and len(header) <= 1 and self._form.delimiter == AUTO:
            found = self._by_consistency()
        if found:
            raise SourceError(
                t(
                    "{name}: the header seems to be line {number}, with the delimiter {delimiter}; "
                    "write {settings} for the job",
                    name=name,
                    number=found.header.number,
                    delimiter=json.dumps(found.delimiter),
                    settings=self._settings(found),
                )
            )

    def _is_row(self, line: Line) -> bool:
        form = self._form
        return line.number > form.skip_lines and not (form.comment and line.text.startswith(form.comment))

    def _is_complete(self, names: Sequence[str]) -> bool:
        return self._uses.are_complete((*names, *self._more_columns))

    def _common_layouts(self, header: Line) -> list[Layout]:
        """Return the layouts of a header by common delimiters; one that always comes doubled may be a pair."""
        found = []
        for delimiter in (delimiter for delimiter in _COMMON_DELIMITERS if delimiter in header.text):
            single = self._layout(header, delimiter)
            is_doubled = delimiter not in header.text.replace(2 * delimiter, "")
            double = self._layout(header, 2 * delimiter) if is_doubled else single
            found.append(double if self._consistency(double) >= self._consistency(single) else single)
        return found

    def _other_layouts(self, header: Line) -> Iterator[Layout]:
        text = header.text
        starts = [match.start() for match in _DELIMITER_START.finditer(text)]
        delimiters = {text[start : start + size] for start in starts for size in range(1, _LONGEST_DELIMITER + 1)}
        allowed = (delimiter for delimiter in delimiters if not _NOT_ALLOWED.search(delimiter))
        by_length = sorted(allowed, key=lambda delimiter: (len(delimiter), delimiter))
        return (self._layout(header, delimiter) for delimiter in by_length[:_MOST_DELIMITERS])

    def _best(self, layouts: Iterable[Layout]) -> Layout | None:
        """Return the likeliest layout. Fewer columns are better: a part of a delimiter leaves extra, empty ones."""
        return max(layouts, key=lambda layout: (self._consistency(layout), -len(layout.names)), default=None)

    def _elsewhere(self, used: int, delimiter: str) -> Layout | None:
        """Return a layout, of any line, with more of the job's columns than the header that was read."""
        best: Layout | None = None
        for line in self._lines:
            every = [*self._common_layouts(line), *self._other_layouts(line)]
            layouts = [layout for layout in every if (line, layout.delimiter) != (*self._rows[:1], delimiter)]
            complete = self._best(layout for layout in layouts if layout.is_complete)
            if complete:
                return complete
            least = max(1, used if best is None else best.used)
            more = [layout for layout in layouts if layout.used > least]
            best = max(more, key=lambda layout: layout.used, default=best)
        return best

    def _by_consistency(self) -> Layout | None:
        """Return the layout by which nearly all lines have the same number of cells, where no name is known."""
        if len(self._rows) < 2:
            return None
        layouts = (layout for layout in self._other_layouts(self._rows[0]) if len(layout.names) > 1)
        return self._best(layout for layout in layouts if self._consistency(layout) > 0.9)

    def _layout(self, header: Line, delimiter: str | None) -> Layout:
        names = tuple(self._cells(header.text, delimiter))
        return Layout(
            header, delimiter or _COMMON_DELIMITERS[0], names, self._is_complete(names), len(self._uses.used(names))
        )

    def _consistency(self, layout: Layout) -> float:
        """Return the share of the lines after a header that have as many cells as it has, from 0 to 1."""
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
        parted = text.replace(delimiter, _PLACEHOLDER)
        try:
            return next(csv.reader([parted], delimiter=_PLACEHOLDER, quotechar=self._form.quote))
        except csv.Error:
            return parted.split(_PLACEHOLDER)

    def _settings(self, found: Layout) -> str:
        """Return the settings of the job that read this header."""
        settings = []
        above = [line.text for line in self._lines if line.number < found.header.number]
        if found.header.number != self._form.skip_lines + 1:
            or_comment = t(' (or csv.comment = "#")') if above and all(text.startswith("#") for text in above) else ""
            settings.append(f"csv.skip_lines = {found.header.number - 1}{or_comment}")
        is_found_anyway = self._form.delimiter == AUTO and found.delimiter in _COMMON_DELIMITERS and settings
        if found.delimiter != self._form.delimiter and not is_found_anyway:
            settings.append(f"csv.delimiter = {json.dumps(found.delimiter)}")
        return t(" and ").join(settings)
