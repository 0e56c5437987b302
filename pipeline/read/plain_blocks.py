"""Blocks of CSV that need no second look, taken apart column by column."""

import re
from collections.abc import Iterable
from io import BytesIO

import pyarrow as pa
from pyarrow import csv

from pipeline.model import CsvFormat
from pipeline.read.bounds import Bounds
from pipeline.texts import Column, pc

_MARK = "\ufeff"


class PlainBlocks:
    """
    Reads blocks in which every line is a record of the right width, or blank.

    What it reads is what `RecordReader` reads; a block in which it is not sure of that it leaves alone.
    """

    def __init__(self, form: CsvFormat, width: int, nulls: Iterable[str], bounds: Bounds) -> None:
        self._quote = form.quote
        self._is_plain_form = form.delimiter.isascii() and form.quote.isascii() and width <= bounds.record_cells
        self._cell_chars = bounds.cell_chars
        self._well_quoted = _well_quoted(form)
        names = [str(at) for at in range(width)]
        self._shape = (
            csv.ParseOptions(delimiter=form.delimiter, quote_char=form.quote or False) if self._is_plain_form else None
        )
        self._names = names
        self._values = csv.ConvertOptions(
            check_utf8=False,  # it was encoded here
            column_types=dict.fromkeys(names, pa.string()),
            null_values=list(nulls),
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        )

    def columns(self, text: str) -> tuple[Column, ...] | None:
        """Return the columns of a block of whole lines; None where it has to be read record by record."""
        data = self._plain_data(text)
        if data is None:
            return None
        reading = csv.ReadOptions(column_names=self._names, use_threads=False, block_size=len(data) + 1)
        try:
            table = csv.read_csv(BytesIO(data), reading, self._shape, self._values)
        except pa.ArrowInvalid:  # a line of another width, or nothing but blank ones
            return None
        return tuple(column.combine_chunks() for column in table.columns)

    def _plain_data(self, text: str) -> bytes | None:
        """Return the text as bytes in which nothing is left that two readers could take for different things."""
        if not self._is_plain_form or len(text) > self._cell_chars or "\0" in text or text.startswith(_MARK):
            return None
        if "\r" in text and text.count("\r") != text.count("\r\n"):
            return None
        try:
            data = text.encode()
        except UnicodeEncodeError:  # it is marked: bytes without a letter, or a line too long
            return None
        return data if self._has_no_quote_astray(text, data) else None

    def _has_no_quote_astray(self, text: str, data: bytes) -> bool:
        if not self._quote or self._quote not in text:
            return True
        block = pa.array([data], pa.large_binary())
        return bool(pc.match_substring_regex(block, self._well_quoted)[0].as_py())


def _well_quoted(form: CsvFormat) -> str:
    """Return, for RE2, what a block looks like in which no quoted cell goes over a line's end (RFC 4180, section 2)."""
    delimiter, quote = re.escape(form.delimiter), re.escape(form.quote)
    cell = f"(?:{quote}[^{quote}\\n]*(?:{quote}{quote}[^{quote}\\n]*)*{quote}|[^{delimiter}{quote}\\n]*)"
    line = f"{cell}(?:{delimiter}{cell})*\\r?"
    return f"^(?:{line}\\n)*(?:{line})?$"
