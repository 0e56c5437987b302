"""A CSV file as a source of rows."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from types import TracebackType
from typing import Self

from pipeline.errors import SourceError
from pipeline.model import BadRow, CsvFormat, Fault, Row
from pipeline.read.columns import checked_columns, partition_columns
from pipeline.read.csv.layout import HeaderFinder
from pipeline.read.csv.records import BrokenRecord, Record, RecordReader, Records
from pipeline.read.csv.simple_blocks import Block, SimpleBlocks
from pipeline.read.files.bounds import Bounds
from pipeline.read.files.compressed import DecompressedBytes
from pipeline.read.files.name_hint import Codec, hint_of
from pipeline.read.files.source_file import SourceFile, verify_unchanged
from pipeline.read.fixed_rows import format_of
from pipeline.read.ports import ColumnUse
from pipeline.read.text.ambiguous_encoding import first_gb18030_line, resolved_encoding
from pipeline.read.text.decoder import AUTO, UNREAD
from pipeline.read.text.likely_encoding import UTF_8
from pipeline.read.text.lines import in_pieces, whole_lines, without_first
from pipeline.read.text.text_file import TextFile
from pipeline.tables.chunk import Chunk
from pipeline.tables.text_columns import is_blank, repeated

# Characters. If a block can't be read by columns, only the pieces that prevent it are read record by record.
_PIECE_CHARS = 1 << 16


class CsvSource:
    """
    The rows of one CSV file; see `Source`.

    A blank line is no row. A blank record with another number of cells is a row without a value. An empty cell is None.
    """

    def __init__(
        self,
        file: SourceFile,
        codec: Codec | None,
        form: CsvFormat,
        *,
        uses: ColumnUse,
        chunk_rows: int,
        bounds: Bounds,
    ) -> None:
        self.float_columns: frozenset[str] = frozenset()
        self.rows = 0
        self.sha256 = ""
        self._file = file
        self._codec = codec
        self._uses = uses
        self._bounds = bounds
        self._chunk_rows = chunk_rows
        self._nulls: dict[str, None] = {"": None}
        self._bytes = DecompressedBytes(file, codec)
        try:
            form = format_of(self._bytes.head, form)
            self._text = TextFile(file.name, self._bytes, form.encoding, bounds, self._resolve)
            lines = HeaderFinder(self._text.head, form, uses, tuple(file.partitions))
            self._form = form = _with_delimiter(form, file.name, lines)
            self._records = RecordReader(form, bounds)
            self._texts = _first_line_alone(self._prepared(self._text, self._records))
            header, self._begun = self._read_header(lines)
            own = checked_columns(file.name, header)
            lines.check(file.name, own, form.delimiter)
        except BaseException:
            self.close()
            raise
        partitions = partition_columns(own, file.partitions)
        self.columns = (*own, *partitions)
        self.partitions = len(partitions)
        self._header_width = len(header)
        self._width = len(own)
        self._plain = SimpleBlocks(form, len(header), self._nulls, bounds)
        self._constants = tuple(partitions.values())

    @property
    def encoding(self) -> str:
        """The encoding, as far as it is known from the part that was read."""
        return self._text.encoding

    def __iter__(self) -> Iterator[Chunk]:
        with closing(self):
            for chunk in self._chunks():
                yield from chunk.in_parts(self._chunk_rows)
            self.sha256 = self._bytes.sha256()
            verify_unchanged(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._bytes.close()

    def _prepared(self, text: TextFile, records: RecordReader) -> Iterator[str]:
        """Return the texts that records are read from: without skipped lines, with placeholders."""
        return records.prepared(without_first(text.texts(), self._form.skip_lines))

    def _resolve(self) -> str:
        """Find the encoding in the whole file, if its first lines leave it open."""
        with closing(DecompressedBytes(self._file, self._codec)) as again:
            blocks = whole_lines(again.read, self._bounds)
            return resolved_encoding(self._file.name, blocks, self._first_gb18030_line)

    def _first_gb18030_line(self) -> int | None:
        with closing(DecompressedBytes(self._file, self._codec)) as again:
            text = TextFile(self._file.name, again, UTF_8, self._bounds, self._resolve)
            records = RecordReader(self._form, self._bounds)
            several = (record for part in self._prepared(text, records) for record in records.read(part).several)
            cells = (record.cells if isinstance(record, BrokenRecord) else record for record in several)
            return first_gb18030_line(cells, self._uses, self._form.skip_lines + 1)

    def _read_header(self, lines: HeaderFinder) -> tuple[list[str], Records]:
        """Return the first record with a filled cell, and the records that follow it in the same text."""
        for some in self._texts_of_records():
            for at, record in enumerate(some.several):
                if isinstance(record, BrokenRecord):
                    lines.check(self._file.name, (), self._form.delimiter)
                    raise SourceError(f"{self._file.name} has no readable header: {record.fault.message}")
                if not all(map(is_blank, record)):
                    return record, Records(some.several[at + 1 :], some.file_lines[at + 1 :])
        lines.check(self._file.name, (), self._form.delimiter)
        raise SourceError(f"{self._file.name} holds nothing but blank lines; export it again, with a header")

    def _texts_of_records(self) -> Iterator[Records]:
        for text in self._texts:
            yield self._records.read(text)
        yield self._records.rest()

    def _chunks(self) -> Iterator[Chunk]:
        """Yield a chunk for each text that holds rows, read by columns where that is safe."""
        yield from self._chunk_of(self._begun)
        for text in self._texts:
            yield from self._chunks_of(text)
        yield from self._chunk_of(self._records.rest())

    def _chunks_of(self, text: str) -> Iterator[Chunk]:
        block = None if self._records.is_within_record else self._plain.block(text)
        if block is not None:
            yield from self._chunk_of_block(block, text)
        elif len(pieces := in_pieces(text, _PIECE_CHARS)) > 1:
            for piece in pieces:
                yield from self._chunks_of(piece)
        else:
            yield from self._chunk_of(self._records.read(text))

    def _chunk_of_block(self, block: Block, text: str) -> Iterator[Chunk]:
        lines = self._records.skip(block.lines)
        if len(block):
            constants = (repeated(text, len(block)) for text in self._constants)
            first = self.rows + 1
            ragged = {place: self._ragged_row(first + place, text) for place, text in block.ragged.items()}
            bad = {place: row for place, row in ragged.items() if isinstance(row, BadRow)}
            self.rows += len(block)
            file_lines = lines if len(lines) == len(block) else _lines_that_are_not_blank(text, lines)
            yield Chunk(self.columns, first, (*block.texts, *constants), bad, file_lines)

    def _ragged_row(self, number: int, text: str) -> Row | BadRow:
        record = self._records.read_alone(text)
        if isinstance(record, BrokenRecord):
            return self._bad_row(number, record.fault, record.cells)
        return self._row_of_another_width(number, record)

    def _row_of_another_width(self, number: int, record: list[str]) -> Row | BadRow:
        """Return a bad row, or a row without a value if the record is blank: its width does not matter then."""
        if all(map(is_blank, record)):
            return Row(number, (None,) * len(self.columns))
        return self._bad_row(number, _ragged(len(record), self._header_width), record)

    def _chunk_of(self, records: Records) -> Iterator[Chunk]:
        rows = self._rows(records.several)
        if rows:
            lines = [line for line, record in zip(records.file_lines, records.several, strict=True) if record]
            yield Chunk.of_rows(self.columns, rows, lines)

    def _rows(self, several: Sequence[Record]) -> list[Row | BadRow]:
        rows: list[Row | BadRow] = []
        number, header_width, constants = self.rows, self._header_width, self._constants
        text_or_none = self._nulls.get
        for record in several:
            if isinstance(record, BrokenRecord):
                number += 1
                rows.append(self._bad_row(number, record.fault, record.cells))
            elif len(record) == header_width:
                number += 1
                rows.append(Row(number, (*map(text_or_none, record, record), *constants)))
            elif record:
                number += 1
                rows.append(self._row_of_another_width(number, record))
        self.rows = number
        return rows

    def _bad_row(self, number: int, fault: Fault, record: list[str]) -> BadRow:
        if not record:
            return BadRow(number, fault)
        own = [self._nulls.get(cell, cell) for cell in _fitted(record, self._width)]
        return BadRow(number, fault, (*own, *self._constants))


def _with_delimiter(form: CsvFormat, name: str, lines: HeaderFinder) -> CsvFormat:
    """Return the format with its delimiter: by the job, else by the file's name, else by the header."""
    if form.delimiter != AUTO:
        return form
    return replace(form, delimiter="\t" if hint_of(name).is_tab_separated else lines.delimiter() or ",")


def _first_line_alone(texts: Iterator[str]) -> Iterator[str]:
    """Yield the first line as a text of its own, so that the rest of its text can be read by columns."""
    for first in texts:
        after = first.find("\n") + 1
        yield from filter(None, (first[:after], first[after:]))
        yield from texts


def _lines_that_are_not_blank(text: str, lines: range) -> list[int]:
    return [number for number, line in zip(lines, text.split("\n"), strict=False) if line.rstrip("\r")]


def _fitted(cells: list[str], width: int) -> list[str]:
    """
    Return one cell for each column, with U+FFFD where there were too few or too many.

    The mark keeps an unfixed row from being sent with a part of a value.
    """
    if len(cells) <= width:
        return cells + [UNREAD] * (width - len(cells))
    return [*cells[: width - 1], ",".join(cells[width - 1 :]) + UNREAD]


def _ragged(found: int, expected: int) -> Fault:
    return Fault("ragged", f"{found} {'cell' if found == 1 else 'cells'} where the header has {expected}")
