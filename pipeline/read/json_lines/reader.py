"""The reader of a file of JSON lines."""

from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import closing
from itertools import chain

from pipeline.errors import SourceError
from pipeline.language import t
from pipeline.model import BadRow, CsvFormat, Fault, Row
from pipeline.read.files.bounds import Bounds
from pipeline.read.files.compressed import DecompressedBytes
from pipeline.read.files.name_hint import Codec
from pipeline.read.files.source_file import SourceFile
from pipeline.read.json_lines.values import NotAnObject, is_text, names_in, values_in
from pipeline.read.ports import ColumnUse
from pipeline.read.text.decoder import LINE_TOO_LONG, UNDECODABLE, UNREAD
from pipeline.read.text.likely_encoding import UTF_8, is_likely_gb18030
from pipeline.read.text.text_file import TextFile
from pipeline.tables.chunk import Chunk
from pipeline.tables.text_columns import is_blank

_NUL = "\0"
_MOST_COLUMNS = 1 << 14  # different names in one file
# The most cells of a chunk. A chunk has a cell for each line and name, even if each line has its own names.
_CELLS_OF_CHUNK = 1 << 20


class JsonLinesReader:
    """
    Reads one file with a JSON object on each line; see `Reader`.

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
        self._uses = uses
        self._bounds = bounds
        self._bytes = DecompressedBytes(file, codec)
        try:
            self._text = self._text_of(self._bytes, form.encoding)
            self.columns = self._names(form.encoding)
            self._used = self._used_of(self.columns)
        except BaseException:
            self.close()
            raise
        self._chunk_rows = max(1, min(chunk_rows, _CELLS_OF_CHUNK // len(self.columns)))

    @property
    def delimiter(self) -> None:
        """None: an object names its cells."""

    @property
    def encoding(self) -> str:
        """The encoding, as far as it is known from the part that was read."""
        return self._text.encoding

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows; see `Reader`."""
        for lines in self._lines(self._text):
            for start in range(0, len(lines), self._chunk_rows):
                some = lines[start : start + self._chunk_rows]
                rows = [self._row(number, line) for number, (_, line) in enumerate(some, 1)]
                yield Chunk.of_rows(self.columns, rows, [number for number, _ in some])

    def sha256(self) -> str:
        """Return the SHA-256 of the file as stored, in hex."""
        return self._bytes.sha256()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._bytes.close()

    def _text_of(self, plain: DecompressedBytes, encoding: str) -> TextFile:
        return TextFile(plain, encoding, self._bounds, self._first_gb18030_line)

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
        with closing(self._bytes.again()) as again:
            for lines in self._lines(self._text_of(again, encoding)):
                for _, line in lines:
                    names |= dict.fromkeys(names_in(line))
                if len(names) > _MOST_COLUMNS:
                    raise SourceError(
                        t(
                            "{file} has more than {most_columns:,} names in its objects; "
                            "write data as values, not as names",
                            file=self._bytes.name,
                            most_columns=_MOST_COLUMNS,
                        )
                    )
        if all(map(is_blank, names)):
            raise SourceError(
                t("{file} holds no JSON object with a name in it; export it again", file=self._bytes.name)
            )
        return tuple(names)

    def _used_of(self, names: Iterable[str]) -> Set[str]:
        """Return the names that the job uses."""
        return {name for name in names if self._uses.used((name,))}

    def _first_gb18030_line(self) -> int | None:
        used = self._used_of(self._names(UTF_8))
        with closing(self._bytes.again()) as again:
            for number, line in chain.from_iterable(self._lines(self._text_of(again, UTF_8))):
                if any(is_likely_gb18030(text or "") for name, text in _found_in(line).items() if name in used):
                    return number
        return None

    def _row(self, number: int, line: str) -> Row | BadRow:
        if line == LINE_TOO_LONG:
            return BadRow(
                number,
                Fault(
                    "line_too_long", t("the line is longer than {line_bytes} bytes", line_bytes=self._bounds.line_bytes)
                ),
            )
        try:
            found = values_in(line.replace(UNDECODABLE, UNREAD), self._used)
        except NotAnObject as error:
            message = t("the line is no JSON object: {error}", error=error)
            return BadRow(number, Fault("not_decodable", message, rule=t("is no JSON object")))
        fault = self._fault(line, found)
        if fault is None:
            return Row(number, self._cells(found))
        return BadRow(number, fault, self._cells({name: _readable(text) for name, text in found.items()}))

    def _cells(self, found: Mapping[str, str | None]) -> tuple[str | None, ...]:
        return tuple(text or None for text in map(found.get, self.columns))

    def _fault(self, line: str, found: Mapping[str, str | None]) -> Fault | None:
        if UNDECODABLE in line:
            return Fault("not_decodable", t("bytes that are not valid in the file's encoding"))
        for text in filter(None, found.values()):
            if _NUL in text:
                return Fault("nul_character", t("a NUL character, which no field allows"))
            if len(text) > self._bounds.cell_chars:
                return Fault(
                    "field_too_long",
                    t("a value is longer than {cell_chars} characters", cell_chars=self._bounds.cell_chars),
                )
            if not is_text(text):
                return Fault("not_decodable", t("half a character (a lone surrogate)"))
        return None


def _found_in(line: str) -> Mapping[str, str | None]:
    try:
        return values_in(line)
    except NotAnObject:
        return {}


def _readable(text: str | None) -> str | None:
    return text and text.encode("utf-8", "replace").decode().replace(_NUL, UNREAD)
