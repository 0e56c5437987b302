"""The reader of a CSV file."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace

from pipeline.errors import SourceError
from pipeline.language import counted, t
from pipeline.model import BadRow, CsvFormat, Fault
from pipeline.read.csv.layout import HeaderFinder
from pipeline.read.csv.parts import CsvPart, parts_of, texts_of_part
from pipeline.read.csv.records import BrokenRecord, Record, RecordReader, Records
from pipeline.read.csv.simple_blocks import Block, SimpleBlocks
from pipeline.read.files.bounds import Bounds
from pipeline.read.files.compressed import DecompressedBytes
from pipeline.read.files.name_hint import Codec, hint_of
from pipeline.read.files.source_file import SourceFile
from pipeline.read.fixed_rows import format_of
from pipeline.read.ports import ColumnUse
from pipeline.read.text.ambiguous_encoding import first_gb18030_line
from pipeline.read.text.decoder import AUTO, UNREAD
from pipeline.read.text.likely_encoding import UTF_8
from pipeline.read.text.lines import in_pieces, without_first
from pipeline.read.text.text_file import TextFile
from pipeline.tables.chunk import Chunk
from pipeline.tables.text_columns import column_of, is_blank

# Characters. If a block can't be read by columns, only the pieces that prevent it are read record by record.
_PIECE_CHARS = 1 << 16


class CsvReader:
    """
    Reads one CSV file; see `Reader`.

    A blank line is no row. A blank record with another number of cells is a row without a value. An empty cell is None.
    With `part` only the rows of that part are read.
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
        part: CsvPart | None = None,
    ) -> None:
        self._uses = uses
        self._bounds = bounds
        self._chunk_rows = chunk_rows
        self._bytes = DecompressedBytes(file, codec)
        try:
            form = format_of(self._bytes.head, form)
            if part is not None:
                form = replace(form, encoding=part.encoding, delimiter=part.delimiter)
            self._text = TextFile(self._bytes, form.encoding, bounds, self._first_gb18030_line)
            lines = HeaderFinder(self._text.head, form, uses, tuple(file.partitions))
            self._form = form = _with_delimiter(form, file.name, lines)
            self._records = RecordReader(form, bounds)
            self._texts = _first_line_alone(self._prepared(self._text, self._records))
            header, self._begun = self._read_header(lines)
            lines.check(file.name, header, form.delimiter)
        except BaseException:
            self.close()
            raise
        self.columns = tuple(header)
        self._plain = SimpleBlocks(form, len(header), bounds)
        if part is not None:
            self._begun, self._records = Records((), ()), RecordReader(form, bounds)
            self._records.skip(part.line - self._records.next_line)
            self._texts = texts_of_part(file, part, bounds)
        self._file, self._is_part = file, part is not None

    @property
    def encoding(self) -> str:
        """The encoding, as far as it is known from the part that was read."""
        return self._text.encoding

    @property
    def delimiter(self) -> str:
        """The delimiter between cells, as detected or set."""
        return self._form.delimiter

    def parts(self, part_bytes: int) -> Iterator[CsvPart]:
        """Yield the parts of a plain file, in the order of its rows; none if it can't be cut. Ends reading."""
        first = self._begun.file_lines[0] if self._begun.several else self._records.next_line
        # The encoding is known with the first text that is not ASCII.
        next((text for text in self._texts if not text.isascii()), None)
        return parts_of(self._file, self._form, self.encoding, first, part_bytes=part_bytes, bounds=self._bounds)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows; see `Reader`."""
        for chunk in self._chunks():
            yield from (chunk.slice(start, self._chunk_rows) for start in range(0, len(chunk), self._chunk_rows))

    def sha256(self) -> str:
        """Return the SHA-256 of the file as stored, in hex; empty for a part."""
        return "" if self._is_part else self._bytes.sha256()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._bytes.close()

    def _prepared(self, text: TextFile, records: RecordReader) -> Iterator[str]:
        """Return the texts that records are read from: without skipped lines, with placeholders."""
        return records.prepared(without_first(text.texts(), self._form.skip_lines))

    def _first_gb18030_line(self) -> int | None:
        with closing(self._bytes.again()) as again:
            text = TextFile(again, UTF_8, self._bounds, self._first_gb18030_line)
            records = RecordReader(self._form, self._bounds)
            several = (record for part in self._prepared(text, records) for record in records.read(part).several)
            cells = (record.cells if isinstance(record, BrokenRecord) else record for record in several)
            return first_gb18030_line(cells, self._uses, self._form.skip_lines + 1)

    def _read_header(self, lines: HeaderFinder) -> tuple[list[str], Records]:
        """Return the first record with a filled cell, and the records that follow it in the same text."""
        for some in self._texts_of_records():
            for at, record in enumerate(some.several):
                if isinstance(record, BrokenRecord):
                    lines.check(self._bytes.name, (), self._form.delimiter)
                    raise SourceError(
                        t(
                            "{file} has no readable header: {message}",
                            file=self._bytes.name,
                            message=record.fault.message,
                        )
                    )
                if not all(map(is_blank, record)):
                    return record, Records(some.several[at + 1 :], some.file_lines[at + 1 :])
        lines.check(self._bytes.name, (), self._form.delimiter)
        raise SourceError(
            t("{file} holds nothing but blank lines; export it again, with a header", file=self._bytes.name)
        )

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
            bad = self._bad_rows({at: self._records.read_alone(text) for at, text in block.ragged.items()})
            file_lines = lines if len(lines) == len(block) else _lines_that_are_not_blank(text, lines)
            yield Chunk(self.columns, 1, block.texts, bad, file_lines)

    def _chunk_of(self, records: Records) -> Iterator[Chunk]:
        filled = [record for record in records.several if record]
        if filled:
            width = len(self.columns)
            odd = {at: record for at, record in enumerate(filled) if type(record) is not list or len(record) != width}
            no_cells = [""] * width
            cells = [no_cells if at in odd else record for at, record in enumerate(filled)]
            texts = tuple(column_of([text or None for text in column]) for column in zip(*cells, strict=True))
            lines = [line for line, record in zip(records.file_lines, records.several, strict=True) if record]
            yield Chunk(self.columns, 1, texts, self._bad_rows(odd), lines)

    def _bad_rows(self, odd: Mapping[int, Record]) -> dict[int, BadRow]:
        """Return broken records and those of another width, by place. The width of a blank record does not matter."""
        bad = {}
        for at, record in odd.items():
            if isinstance(record, BrokenRecord):
                bad[at] = BadRow(at + 1, record.fault, self._fitted(record.cells))
            elif not all(map(is_blank, record)):
                found = counted(len(record), "1 cell", "{count} cells")
                fault = Fault(
                    "ragged",
                    t("{found} where the header has {columns}", found=found, columns=len(self.columns)),
                    rule=t("does not have one cell for each column of the file"),
                )
                bad[at] = BadRow(at + 1, fault, self._fitted(record))
        return bad

    def _fitted(self, cells: list[str]) -> tuple[str | None, ...]:
        """
        Return one cell for each column, with U+FFFD where there were too few or too many; none if there are none.

        The mark keeps an unfixed row from being sent with a part of a value.
        """
        width = len(self.columns)
        if len(cells) > width:
            cells = [*cells[: width - 1], ",".join(cells[width - 1 :]) + UNREAD]
        return tuple(cell or None for cell in (*cells, *[UNREAD] * (width - len(cells)))) if cells else ()


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
