"""Which lines make a record."""

import re
from itertools import zip_longest

from pipeline.model import CsvFormat
from pipeline.read.files.bounds import Bounds
from pipeline.read.text.decode import LINE_TOO_LONG


def record_pattern(form: CsvFormat) -> re.Pattern[str]:
    """
    Return what a record looks like (RFC 4180, section 2), without its line end.

    Quotes stand around a cell or, doubled, within a quoted one. A carriage return may stand in any cell. Nothing is
    tried twice, so a match takes time in proportion to the text.
    """
    delimiter, quote = re.escape(form.delimiter), re.escape(form.quote)
    cell = f"[^{delimiter}{quote}\\n]*+"
    if quote:
        cell = f"(?:{quote}[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+{quote}|{cell})"
    return re.compile(f"{cell}(?:{delimiter}{cell})*+\\r*+")


class RecordLines:
    """
    Puts the lines of a record together.

    A record has an even number of quotes, so one that begins on a line with an odd number ends on the next such
    line. Where what lies between is no record, its first line stands alone, to be found broken, and reading goes on
    with the second. Thus a stray quote spoils its own line only, and no line is looked at more than twice, however
    the quotes lie.
    """

    def __init__(self, form: CsvFormat, bounds: Bounds) -> None:
        self._quote = form.quote
        self._pattern = record_pattern(form)
        self._bounds = bounds
        self._open: list[str] = []

    @property
    def is_open(self) -> bool:
        """Whether the last record may go on in the next text."""
        return bool(self._open)

    def join(self, text: str) -> list[str]:
        """Return the records that end in this text of whole lines; the last one may stay open."""
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()  # the text ended with a line feed
        if not self._quote or not (self._open or self._quote in text):
            return lines
        odd = [0] if self._open else []
        odd += [at for at, line in enumerate(lines, len(self._open)) if self._opens_or_closes(line)]
        return self._join_at(odd, self._open + lines)

    def rest(self) -> list[str]:
        """Return the lines of a record that was still open when the file ended."""
        lines, self._open = self._open, []
        return lines

    def _opens_or_closes(self, line: str) -> bool:
        # What a line too long held is not known; it must not come to lie within a record.
        return line.count(self._quote) % 2 == 1 or line == LINE_TOO_LONG

    def _join_at(self, odd: list[int], lines: list[str]) -> list[str]:
        self._open = []
        records: list[str] = []
        done = 0
        for start, end in zip_longest(odd, odd[1:]):
            if start < done:
                continue  # the last line of the record before
            records += lines[done:start]
            if end is None and self._may_go_on(lines[start:]):
                self._open = lines[start:]
                return records
            record = None if end is None else self._record(lines[start : end + 1])
            records.append(lines[start] if record is None else record)
            done = start + 1 if end is None or record is None else end + 1
        return records + lines[done:]

    def _may_go_on(self, lines: list[str]) -> bool:
        return lines[0] != LINE_TOO_LONG and self._is_within_bounds(lines)

    def _record(self, lines: list[str]) -> str | None:
        if not self._is_within_bounds(lines):
            return None
        text = "\n".join(lines)
        return text if self._pattern.fullmatch(text) else None

    def _is_within_bounds(self, lines: list[str]) -> bool:
        return len(lines) <= self._bounds.record_lines and sum(map(len, lines)) <= self._bounds.record_chars
