"""The reader of an input, chosen by its content."""

from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.model import CsvFormat, Int96
from pipeline.read.csv.reader import CsvReader
from pipeline.read.cuts import WHOLE, Cut
from pipeline.read.files.bounds import Bounds
from pipeline.read.files.content import content_of_file
from pipeline.read.files.name_hint import FileKind
from pipeline.read.files.source_file import SourceFile
from pipeline.read.json_lines.reader import JsonLinesReader
from pipeline.read.parquet.reader import ParquetReader
from pipeline.read.ports import ColumnUse, EveryColumn
from pipeline.read.source import Reader, Source
from pipeline.read.text.decoder import AUTO, known_encoding
from pipeline.read.workbook.reader import WorkbookReader

_NOT_IN_LINES = frozenset("\r\n\0")
_EVERY_COLUMN = EveryColumn()
_DEFAULT_BOUNDS = Bounds()
# Rows of a chunk: few enough to be held in memory, enough that a chunk costs little.
CHUNK_ROWS = 8192


def open_source(
    file: SourceFile,
    csv: CsvFormat,
    *,
    sheet: str | None = None,
    int96: Int96 | None = None,
    uses: ColumnUse = _EVERY_COLUMN,
    chunk_rows: int = CHUNK_ROWS,
    bounds: Bounds = _DEFAULT_BOUNDS,
    cut: Cut = WHOLE,
) -> Source:
    """
    Open an input and read its header. The caller closes it, or reads it to its end.

    `uses` says which columns the job uses; `cut` is the part of the file that is read. Raises `SourceError` if the file
    is damaged, not what its name says or without a usable header; `SettingsError` if the CSV format is impossible.
    """
    _check_format(csv)
    content = content_of_file(file)
    reader: Reader
    match content.kind:
        case FileKind.PARQUET:
            reader = ParquetReader(file, int96=int96, uses=uses, chunk_rows=chunk_rows, groups=cut.groups)
        case FileKind.WORKBOOK:
            reader = WorkbookReader(file, sheet, csv, uses=uses, chunk_rows=chunk_rows)
        case FileKind.JSON_LINES:
            reader = JsonLinesReader(file, content.codec, csv, uses=uses, chunk_rows=chunk_rows, bounds=bounds)
        case FileKind.CSV:
            reader = CsvReader(file, content.codec, csv, uses=uses, chunk_rows=chunk_rows, bounds=bounds, part=cut.part)
    return Source(file, reader)


def _check_format(csv: CsvFormat) -> None:
    """Raise `SettingsError` with all faults of a CSV format."""
    faults: list[str] = []
    try:
        known_encoding(csv.encoding)
    except SettingsError as error:
        faults += error.faults
    if not csv.delimiter or not _NOT_IN_LINES.isdisjoint(csv.delimiter):
        faults.append(t("csv delimiter {delimiter!r} is empty, or holds a line end", delimiter=csv.delimiter))
    for name, mark in (("quote", csv.quote), ("escape", csv.escape)):
        if len(mark) > 1 or not _NOT_IN_LINES.isdisjoint(mark):
            faults.append(t("csv {name} {mark!r} is neither one character nor empty", name=name, mark=mark))
        elif mark and mark in csv.delimiter and csv.delimiter != AUTO:
            faults.append(
                t(
                    "csv {name} {mark!r} is a part of the delimiter {delimiter!r}",
                    name=name,
                    mark=mark,
                    delimiter=csv.delimiter,
                )
            )
    if faults:
        raise SettingsError(faults)
