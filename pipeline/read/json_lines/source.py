"""A file of JSON lines as a source of rows."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from types import TracebackType
from typing import Self

from pipeline.errors import SourceError
from pipeline.model import BadRow, CsvFormat, Fault, Row
from pipeline.read.columns import partition_columns
from pipeline.read.files.bounds import Bounds
from pipeline.read.files.compressed import DecompressedBytes
from pipeline.read.files.name_hint import Codec
from pipeline.read.files.source_file import SourceFile, verify_unchanged
from pipeline.read.json_lines.values import NotAnObject, is_text, names_in, values_in
from pipeline.read.ports import ColumnUse
from pipeline.read.text.ambiguous_encoding import resolved_encoding
from pipeline.read.text.decoder import LINE_TOO_LONG, UNDECODABLE, UNREAD
from pipeline.read.text.likely_encoding import UTF_8, is_likely_gb18030
from pipeline.read.text.lines import whole_lines
from pipeline.read.text.text_file import TextFile
from pipeline.tables.chunk import Chunk

_NUL = "\0"
_MOST_COLUMNS = 1 << 14  # different names in one file
# The most cells of a chunk. A chunk has a cell for each line and name, even if each line has its own names.
_CELLS_OF_CHUNK = 1 << 20


class JsonLinesSource:
    """
    The rows of one file with a JSON object on each line; see `Source`.

    The columns are the names of all objects in the file, so the file is read twice. Numbers, lists and objects keep the
    text that they have in the file.
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
        self._bytes = DecompressedBytes(file, codec)
        try:
            self._text = self._text_of(self._bytes, form.encoding)
            self._own = self._names(form.encoding)
        except BaseException:
            self.close()
            raise
        partitions = partition_columns(self._own, file.partitions)
        self.columns = (*self._own, *partitions)
        self.partitions = len(partitions)
        self._constants = tuple(partitions.values())
        self._chunk_rows = max(1, min(chunk_rows, _CELLS_OF_CHUNK // len(self.columns)))

    @property
    def encoding(self) -> str:
        """The encoding, as far as it is known from the part that was read."""
        return self._text.encoding

    def __iter__(self) -> Iterator[Chunk]:
        with closing(self):
            for lines in self._lines(self._text):
                for start in range(0, len(lines), self._chunk_rows):
                    some = lines[start : start + self._chunk_rows]
                    rows = self._rows_of([line for _, line in some])
                    yield Chunk.of_rows(self.columns, rows, [number for number, _ in some])
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

    def _text_of(self, plain: DecompressedBytes, encoding: str) -> TextFile:
        return TextFile(self._file.name, plain, encoding, self._bounds, self._resolve)

    @staticmethod
    def _lines(text: TextFile) -> Iterator[list[tuple[int, str]]]:
        """Yield, for each text, its lines that are not blank, with their numbers from 1."""
        first = 1
        for part in text.texts():
            lines = part.removesuffix("\n").split("\n")
            yield [(number, line) for number, line in enumerate(lines, first) if line.strip()]
            first += len(lines)

    def _names(self, encoding: str) -> tuple[str, ...]:
        names: dict[str, None] = {}
        with closing(DecompressedBytes(self._file, self._codec)) as again:
            for lines in self._lines(self._text_of(again, encoding)):
                for _, line in lines:
                    names |= dict.fromkeys(names_in(line))
                if len(names) > _MOST_COLUMNS:
                    raise SourceError(
                        f"{self._file.name} has more than {_MOST_COLUMNS:,} names in its objects; write data as "
                        "values, not as names"
                    )
        if not names:
            raise SourceError(f"{self._file.name} holds no JSON object with a name in it; export it again")
        return tuple(names)

    def _resolve(self) -> str:
        with closing(DecompressedBytes(self._file, self._codec)) as again:
            return resolved_encoding(self._file.name, whole_lines(again.read, self._bounds), self._first_gb18030_line)

    def _first_gb18030_line(self) -> int | None:
        used = {name for name in self._names(UTF_8) if self._uses.used((name,))}
        with closing(DecompressedBytes(self._file, self._codec)) as again:
            texts = self._text_of(again, UTF_8).texts()
            lines = (line for part in texts for line in part.removesuffix("\n").split("\n"))
            for number, line in enumerate(lines, 1):
                if any(is_likely_gb18030(text or "") for name, text in _found_in(line).items() if name in used):
                    return number
        return None

    def _rows_of(self, lines: Sequence[str]) -> list[Row | BadRow]:
        first = self.rows + 1
        self.rows += len(lines)
        return [self._row(number, line) for number, line in enumerate(lines, first)]

    def _row(self, number: int, line: str) -> Row | BadRow:
        if line == LINE_TOO_LONG:
            return BadRow(number, Fault("line_too_long", f"the line is longer than {self._bounds.line_bytes} bytes"))
        try:
            found = values_in(line.replace(UNDECODABLE, UNREAD))
        except NotAnObject as error:
            return BadRow(number, Fault("not_decodable", f"the line is no JSON object: {error}"))
        fault = self._fault(line, found)
        if fault is None:
            return Row(number, self._cells(found))
        return BadRow(number, fault, self._cells({name: _readable(text) for name, text in found.items()}))

    def _cells(self, found: Mapping[str, str | None]) -> tuple[str | None, ...]:
        texts = map(found.get, self._own)
        return (*(text or None for text in texts), *self._constants)

    def _fault(self, line: str, found: Mapping[str, str | None]) -> Fault | None:
        if UNDECODABLE in line:
            return Fault("not_decodable", "bytes that are not valid in the file's encoding")
        for text in filter(None, found.values()):
            if _NUL in text:
                return Fault("nul_character", "a NUL character, which no field allows")
            if len(text) > self._bounds.cell_chars:
                return Fault("field_too_long", f"a value is longer than {self._bounds.cell_chars} characters")
            if not is_text(text):
                return Fault("not_decodable", "half a character (a lone surrogate)")
        return None


def _found_in(line: str) -> Mapping[str, str | None]:
    try:
        return values_in(line)
    except NotAnObject:
        return {}


def _readable(text: str | None) -> str | None:
    return text and text.encode("utf-8", "replace").decode().replace(_NUL, UNREAD)
