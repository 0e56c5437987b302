"""A CSV file as a source of rows."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain
from types import TracebackType
from typing import Self

from pipeline.errors import SourceError
from pipeline.model import BadRow, CsvFormat, Fault, Row
from pipeline.read.bounds import Bounds
from pipeline.read.columns import checked_columns, partition_columns
from pipeline.read.compressed import Content, PlainBytes
from pipeline.read.decode import UNREAD, decoded, encoding_by_mark, known_encoding, linewise
from pipeline.read.lines import whole_lines
from pipeline.read.mended import MendedRows, format_of, is_rows_to_fix
from pipeline.read.records import Broken, Record, records
from pipeline.read.source import Chunk
from pipeline.read.source_file import SourceFile, verify_unchanged


class CsvSource:
    """
    The rows of one CSV file; see `Source`.

    Blank lines are no rows. A cell that is empty or one of the format's null values is None.
    """

    def __init__(self, file: SourceFile, content: Content, form: CsvFormat, *, chunk_rows: int, bounds: Bounds) -> None:
        self.float_columns: frozenset[str] = frozenset()
        self.rows = 0
        self.sha256 = ""
        self._file = file
        self._chunk_rows = chunk_rows
        self._chunk_bytes = bounds.chunk_bytes
        self._nulls: dict[str, None] = dict.fromkeys(("", *form.null_values))
        self._bytes = PlainBytes(file, content)
        try:
            header, self._records = self._split_header(self._read_records(format_of(self._bytes.head, form), bounds))
            self._mended = MendedRows(header) if is_rows_to_fix(header) else None
            own = checked_columns(file.name, self._mended.cells(header) if self._mended else header)
        except BaseException:
            self.close()
            raise
        partitions = partition_columns(own, file.partitions)
        self.columns = (*own, *partitions)
        self._header_width = len(header)
        self._width = len(own)
        self._constants = tuple(partitions.values())

    def __iter__(self) -> Iterator[Chunk]:
        with closing(self):
            for rows in self._groups():
                yield Chunk(self.columns, rows)
            self.sha256 = self._bytes.sha256()
            verify_unchanged(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; more than once does no harm."""
        self._bytes.close()

    def _read_records(self, form: CsvFormat, bounds: Bounds) -> Iterator[Sequence[Record]]:
        encoding = encoding_by_mark(self._bytes.head, known_encoding(form.encoding))
        read, encoding = linewise(self._file.name, self._bytes.read, encoding)
        return records(decoded(whole_lines(read, bounds), encoding, bounds.sample_bytes), form, bounds)

    def _split_header(self, several: Iterator[Sequence[Record]]) -> tuple[list[str], Iterator[Sequence[Record]]]:
        """Return the first record that is not blank, and what follows it."""
        for some in several:
            for at, record in enumerate(some):
                if isinstance(record, Broken):
                    raise SourceError(f"{self._file.name} has no readable header: {record.fault.message}")
                if record:
                    return record, chain([some[at + 1 :]], several)
        raise SourceError(f"{self._file.name} holds nothing but blank lines; export it again, with a header")

    def _groups(self) -> Iterator[list[Row | BadRow]]:
        """Yield the rows in groups, full ones except where their cells are large."""
        rows: list[Row | BadRow] = []
        given = 0
        for several in self._records:
            rows += self._rows(several)
            is_large = self._bytes.given - given >= self._chunk_bytes
            while len(rows) >= self._chunk_rows or (is_large and rows):
                yield rows[: self._chunk_rows]
                rows = rows[self._chunk_rows :]
                given = self._bytes.given
        if rows:
            yield rows

    def _rows(self, several: Sequence[Record]) -> list[Row | BadRow]:
        rows: list[Row | BadRow] = []
        number, header_width, constants, mended = self.rows, self._header_width, self._constants, self._mended
        text_or_none = self._nulls.get
        for record in several:
            if isinstance(record, Broken):
                number += 1
                rows.append(self._bad_row(number, record.fault, record.cells))
            elif len(record) == header_width:
                number += 1
                cells = mended.cells(record) if mended else record
                if mended and any(UNREAD in cell for cell in cells):
                    rows.append(self._bad_row(number, _UNMENDED, record))
                else:
                    rows.append(Row(number, (*map(text_or_none, cells, cells), *constants)))
            elif record:
                number += 1
                rows.append(self._bad_row(number, _ragged(len(record), header_width), record))
        self.rows = number
        return rows

    def _bad_row(self, number: int, fault: Fault, record: list[str]) -> BadRow:
        if not record:
            return BadRow(number, fault)
        cells = self._mended.cells(record) if self._mended else record
        own = [self._nulls.get(cell, cell) for cell in _fitted(cells, self._width)]
        return BadRow(number, fault, (*own, *self._constants))


def _fitted(cells: list[str], width: int) -> list[str]:
    """
    Return one cell for each column, marked where there were too few or too many.

    Whoever sends the row again as it is must not pass off a part of a value as the whole.
    """
    if len(cells) <= width:
        return cells + [UNREAD] * (width - len(cells))
    return [*cells[: width - 1], ",".join(cells[width - 1 :]) + UNREAD]


_UNMENDED = Fault(
    "not_decodable", f"a cell still holds {UNREAD}, which stands for what could not be read; mend the row"
)


def _ragged(found: int, expected: int) -> Fault:
    return Fault("ragged", f"{found} {'cell' if found == 1 else 'cells'} where the header has {expected}")
