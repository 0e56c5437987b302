"""The lines that make up a CSV record."""

import re
from itertools import zip_longest

from pipeline.model import CsvFormat
from pipeline.read.files.bounds import Bounds
from pipeline.read.text.decoder import LINE_TOO_LONG


def record_pattern(form: CsvFormat) -> re.Pattern[str]:
    """
    Return the pattern of a record (RFC 4180, section 2) without its line end.

    Quotes enclose a cell; inside a quoted cell they are doubled. Any cell may hold a carriage return. The pattern never
    backtracks, so a match takes linear time.
    """
    delimiter, quote = re.escape(form.delimiter), re.escape(form.quote)
    cell = f"[^{delimiter}{quote}\\n]*+"
    if quote:
        cell = f"(?:{quote}[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+{quote}|{cell})"
    return re.compile(f"{cell}(?:{delimiter}{cell})*+\\r*+")


class RecordLines:
    """
    Joins the lines of a record.

    A record has an even number of quotes. So a record that begins on a line with an odd number ends on the next such
    line. If the lines between them are no valid record, the first line is a record of its own, and broken; reading
    goes on with the second line. So a stray quote spoils only its own line, and no line is read more than twice.
    """

    def __init__(self, form: CsvFormat, bounds: Bounds) -> None:
        self._quote = form.quote
        self._pattern = record_pattern(form)
        self._bounds = bounds
        self._open: list[str] = []

    @property
    def is_open(self) -> bool:
        """Whether the last record may continue in the next text."""
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
        # The content of a too long line is unknown, so it must not become part of a record.
        return line.count(self._quote) % 2 == 1 or line == LINE_TOO_LONG

    def _join_at(self, odd: list[int], lines: list[str]) -> list[str]:
        self._open = []
        records: list[str] = []
        done = 0
        for start, end in zip_longest(odd, odd[1:]):
            if start < done:
                continue  # the last line of the previous record
            records += lines[done:start]
            if end is None and lines[start] != LINE_TOO_LONG and self._is_within_bounds(lines[start:]):
                self._open = lines[start:]
                return records
            record = None if end is None else self._record(lines[start : end + 1])
            records.append(lines[start] if record is None else record)
            done = start + 1 if end is None or record is None else end + 1
        return records + lines[done:]

    def _record(self, lines: list[str]) -> str | None:
        if not self._is_within_bounds(lines):
            return None
        text = "\n".join(lines)
        return text if self._pattern.fullmatch(text) else None

    def _is_within_bounds(self, lines: list[str]) -> bool:
        return len(lines) <= self._bounds.record_lines and sum(map(len, lines)) <= self._bounds.record_chars
