"""
Placeholders for escaped characters and long delimiters, so that `RecordReader` needs to know neither.

A placeholder is a lone surrogate, which no decoded text can hold. Cells get the original text back.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from pipeline.model import CsvFormat
from pipeline.read.files.bounds import Bounds
from pipeline.read.text.decoder import LINE_TOO_LONG

_DELIMITER, _QUOTE, _ESCAPE, _LINE_END, _PLAIN_DELIMITER = "\udbf0\udbf1\udbf2\udbf3\udbf4"


class Placeholders:
    """Inserts placeholders into texts and removes them from cells; `form` is the format of the texts with them."""

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

    def insert(self, texts: Iterator[str]) -> Iterator[str]:
        """Yield texts of whole lines with placeholders. A text whose last line end is escaped joins the next one."""
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

    def remove(self, cells: list[str]) -> list[str]:
        """Return cells without placeholders."""
        return [cell.translate(self._back) for cell in cells]

    def _without_escapes(self, text: str) -> str:
        if not self._escape or self._escape not in text:
            return text
        return self._pattern.sub(lambda match: self._escaped[match[1]], text)


def _without_long_begin(text: str) -> str:
    """Return the text; if its first line continues a too long line, without the rest of that line."""
    return LINE_TOO_LONG + text[text.find("\n") :] if text.startswith(LINE_TOO_LONG) and "\n" in text else text


def _pattern_of(form: CsvFormat) -> re.Pattern[str]:
    """Return the pattern of an escape with the character it escapes. Before other characters it has no effect."""
    taken = sorted({form.quote, form.escape, form.delimiter} - {""}, key=len, reverse=True)
    return re.compile(f"{re.escape(form.escape)}(\r?\n|{'|'.join(map(re.escape, taken))})")
