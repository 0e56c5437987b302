"""
Escapes and long delimiters, brought into the form that records are read in.

A character that lost its meaning behind an escape, and a delimiter of several characters, are each replaced by one
character that no decoded text can hold (a lone surrogate). The cells get back what it stands for.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from pipeline.model import CsvFormat
from pipeline.read.files.bounds import Bounds
from pipeline.read.text.decode import LINE_TOO_LONG

_DELIMITER, _QUOTE, _ESCAPE, _LINE_END, _PLAIN_DELIMITER = "\udbf0\udbf1\udbf2\udbf3\udbf4"


class StandIns:
    """Puts stand-ins into the texts of a file, and takes them out of its cells; `form` is how they are then read."""

    def __init__(self, form: CsvFormat, bounds: Bounds) -> None:
        is_long = len(form.delimiter) > 1
        self.form = replace(form, delimiter=_DELIMITER, escape="") if is_long else replace(form, escape="")
        self.is_needed = is_long or bool(form.escape)
        self._delimiter = form.delimiter
        self._escape = form.escape
        self._longest = bounds.record_chars
        self._escaped = {form.quote: _QUOTE, form.escape: _ESCAPE, form.delimiter: _PLAIN_DELIMITER}
        self._escaped |= {"\n": _LINE_END, "\r\n": f"\r{_LINE_END}"}
        self._pattern = _pattern_of(form)
        self._back = str.maketrans(
            {_DELIMITER: form.delimiter, _PLAIN_DELIMITER: form.delimiter, _QUOTE: form.quote, _ESCAPE: form.escape,
             _LINE_END: "\n"}
        )  # fmt: skip

    def put_into(self, texts: Iterator[str]) -> Iterator[str]:
        """Yield texts of whole lines. One whose last line end is escaped goes on with the next."""
        begun = ""
        for text in texts:
            if text == LINE_TOO_LONG:
                yield from filter(None, (begun, text))
                begun = ""
                continue
            done = _without_long_begin(begun + self._without_escapes(text))
            whole = done.rfind("\n") + 1 if self._escape and done.endswith(_LINE_END) else len(done)
            done, begun = done[:whole], done[whole:]
            if len(begun) > self._longest:
                begun = LINE_TOO_LONG
            if done:
                yield done.replace(self._delimiter, _DELIMITER) if len(self._delimiter) > 1 else done
        if begun:
            yield begun

    def taken_out(self, cells: list[str]) -> list[str]:
        """Return cells as the file means them."""
        return [cell.translate(self._back) for cell in cells]

    def _without_escapes(self, text: str) -> str:
        if not self._escape or self._escape not in text:
            return text
        return self._pattern.sub(lambda match: self._escaped[match[1]], text)


def _without_long_begin(text: str) -> str:
    """Return a text whose first line is passed over to its end, where it was too long before."""
    return LINE_TOO_LONG + text[text.find("\n") :] if text.startswith(LINE_TOO_LONG) and "\n" in text else text


def _pattern_of(form: CsvFormat) -> re.Pattern[str]:
    """Return what an escape takes the meaning from; before any other character it is a character like others."""
    taken = sorted({form.quote, form.escape, form.delimiter} - {""}, key=len, reverse=True)
    return re.compile(f"{re.escape(form.escape)}(\r?\n|{'|'.join(map(re.escape, taken))})")
