"""CSV blocks in which every line is a record, read by columns with Arrow."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

from pipeline.model import CsvFormat
from pipeline.read.files.bounds import Bounds
from pipeline.tables.text_columns import Column

_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Block:
    """
    The columns of a block, and its number of lines, blank ones included.

    `ragged` holds the text of each record with another number of cells, by place. Its place in the columns is null.
    """

    texts: tuple[Column, ...] = field(repr=False)
    ragged: Mapping[int, str] = field(repr=False)
    lines: int

    def __len__(self) -> int:
        return len(self.texts[0])


class SimpleBlocks:
    """
    Reads blocks in which every line is a record, or blank.

    The result is the same as that of `RecordReader`. A block where it may differ is not read.
    """

    def __init__(self, form: CsvFormat, width: int, bounds: Bounds) -> None:
        self._form = form
        self._cell_chars = bounds.cell_chars
        is_plain = len(form.delimiter) == 1 and form.delimiter.isascii() and form.quote.isascii()
        self._is_plain_form = is_plain and width <= bounds.record_cells
        self._comment = form.comment
        self._names = [str(at) for at in range(width)]
        self._values = csv.ConvertOptions(
            check_utf8=False,  # it was encoded here
            column_types=dict.fromkeys(self._names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        )

    def block(self, text: str) -> Block | None:
        """Return the columns of a text of whole lines; None if it must be read record by record."""
        data = self._plain_data(text)
        if data is None:
            return None
        ragged: dict[int, str] = {}
        try:
            table = self._table(data, ragged)
        except pa.ArrowInvalid:  # RecordReader may still read it
            return None
        columns = [column.combine_chunks() for column in table.columns]
        return Block(tuple(_with_gaps(columns, ragged) if ragged else columns), ragged, _lines(data))

    def _table(self, data: bytes, ragged: dict[int, str]) -> pa.Table:
        def note(row: csv.InvalidRow) -> Literal["skip"]:
            if row.number is None:
                raise pa.ArrowInvalid("a record without a number")
            ragged[row.number - 1] = row.text
            return "skip"

        reading = csv.ReadOptions(column_names=self._names, use_threads=False, block_size=len(data) + 1)
        form = csv.ParseOptions(
            delimiter=self._form.delimiter, quote_char=self._form.quote or False, invalid_row_handler=note
        )
        # pyarrow would handle signals itself while it reads: some are lost then, and others end the run as an error.
        pa.enable_signal_handlers(False)
        try:
            return csv.read_csv(BytesIO(data), reading, form, self._values)
        finally:
            # The default, for the program that uses this one as a library.
            pa.enable_signal_handlers(True)

    def _plain_data(self, text: str) -> bytes | None:
        """Return the text as bytes; None if Arrow and `RecordReader` could read it differently."""
        if not self._is_plain_form or len(text) > self._cell_chars or "\0" in text or text.startswith(_MARK):
            return None
        if "\r" in text and text.count("\r") != text.count("\r\n"):
            return None
        if self._comment and f"\n{self._comment}" in f"\n{text}":
            return None
        try:
            data = text.encode()
        except UnicodeEncodeError:  # it holds UNDECODABLE or LINE_TOO_LONG
            return None
        has_quotes = self._form.quote and self._form.quote in text
        return data if not has_quotes or is_well_quoted(data, self._form) else None


def _lines(data: bytes) -> int:
    # numpy counts several times as fast as bytes.count.
    letters = np.frombuffer(data, np.uint8)
    return int(np.count_nonzero(letters == ord("\n"))) + (not data.endswith(b"\n"))


def line_feeds(data: bytes) -> npt.NDArray[np.intp]:
    """Return the places of the line feeds."""
    return np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))


def is_well_quoted(data: bytes, form: CsvFormat, line_ends: npt.NDArray[np.intp] | None = None) -> bool:
    """
    Return whether all quotes enclose whole cells, each within one line (RFC 4180, section 2).

    `line_ends` are the places of its line feeds, if they are known.
    """
    letters = np.frombuffer(data if data.endswith(b"\n") else data + b"\n", np.uint8)
    delimiter, quote, line_end, carriage_return = map(ord, (form.delimiter, form.quote, "\n", "\r"))
    quotes = np.flatnonzero(letters == quote)
    if len(quotes) % 2:
        return False
    opening, closing = quotes[::2], quotes[1::2]
    # The text begins a line, and its last letter ends one: at index -1 it stands before the first one.
    before, after = letters[opening - 1], letters[closing + 1]
    begins = (before == delimiter) | (before == line_end)
    ends = (after == delimiter) | (after == line_end) | (after == carriage_return)
    # A doubled quote is one closing and one opening quote.
    is_doubled = opening[1:] == closing[:-1] + 1
    begins[1:] |= is_doubled
    ends[:-1] |= is_doubled
    line = np.searchsorted(line_feeds(data) if line_ends is None else line_ends, quotes)
    return bool(begins.all() and ends.all() and (line[::2] == line[1::2]).all())


def _with_gaps(columns: Iterable[Column], places: Collection[int]) -> list[Column]:
    """Return columns with a null inserted at each of the places."""
    columns = list(columns)
    is_there = np.ones(len(columns[0]) + len(places), np.bool_)
    is_there[list(places)] = False
    taken = pa.array(np.cumsum(is_there) - 1, pa.int64(), mask=~is_there)
    return [column.take(taken) for column in columns]
