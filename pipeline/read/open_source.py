"""Opening an input as what its bytes say it is."""

from pipeline.errors import SettingsError, SourceError
from pipeline.model import CsvFormat
from pipeline.read.bounds import Bounds
from pipeline.read.compressed import Content, content_of_file
from pipeline.read.csv_source import CsvSource
from pipeline.read.decode import known_encoding
from pipeline.read.filled_rows import FilledRows
from pipeline.read.fixed_rows import FixedRows, is_rows_to_fix
from pipeline.read.parquet_source import ParquetSource
from pipeline.read.source import Source
from pipeline.read.source_file import SourceFile

_LINE_ENDS = "\r\n"
_DEFAULT_BOUNDS = Bounds()


def open_source(
    file: SourceFile, csv: CsvFormat, *, chunk_rows: int = 8192, bounds: Bounds = _DEFAULT_BOUNDS
) -> Source:
    """
    Open an input and read its header; whoever opens it closes it, or reads it to its end.

    A file of rows to fix gives its rows as the export had them, and says which rows they stand for.

    Raises `SourceError` where the file is damaged, of no known kind, or has no usable header, and `SettingsError`
    where the CSV format is impossible.
    """
    check_format(csv)
    source = FilledRows(_source(file, csv, chunk_rows=chunk_rows, bounds=bounds))
    return FixedRows(source) if is_rows_to_fix(source.columns) else source


def _source(file: SourceFile, csv: CsvFormat, *, chunk_rows: int, bounds: Bounds) -> Source:
    content = content_of_file(file)
    match content:
        case Content.PARQUET:
            return ParquetSource(file, chunk_rows=chunk_rows)
        case Content.ZIP:
            raise SourceError(f"{file.name} is {content}, neither CSV nor Parquet; unpack it or export it as CSV")
        case _:
            return CsvSource(file, content, csv, chunk_rows=chunk_rows, bounds=bounds)


def check_format(csv: CsvFormat) -> None:
    """Raise `SettingsError` with everything that is impossible in a CSV format."""
    faults: list[str] = []
    try:
        known_encoding(csv.encoding)
    except SettingsError as error:
        faults += error.faults
    if len(csv.delimiter) != 1 or csv.delimiter in f"{_LINE_ENDS}\0":
        faults.append(f"csv delimiter {csv.delimiter!r} is not one character")
    if len(csv.quote) > 1 or (csv.quote and csv.quote in f"{_LINE_ENDS}\0"):
        faults.append(f"csv quote {csv.quote!r} is neither one character nor empty")
    if csv.quote == csv.delimiter:
        faults.append(f"csv quote and delimiter are both {csv.quote!r}")
    if faults:
        raise SettingsError(faults)
