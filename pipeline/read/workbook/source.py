"""A sheet of a workbook (.xlsx, .xls, .ods) as a source of rows."""

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date, datetime, time, timedelta
from itertools import islice
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from pipeline.errors import PipelineError, SourceError
from pipeline.model import CsvFormat, Row
from pipeline.read.columns import checked_columns, partition_columns
from pipeline.read.files.source_file import SourceFile, blaming, open_bytes, sha256_of, verify_unchanged
from pipeline.read.fixed_rows import is_rows_to_fix
from pipeline.read.number_text import number_text
from pipeline.read.text.decode import UNREAD
from pipeline.read.workbook.facts import Place, WorkbookBounds, WorkbookFacts
from pipeline.redact import shown_headings
from pipeline.tables.chunk import Chunk

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

_MIDNIGHT = time()
_BOUNDS = WorkbookBounds()
Cell = str | float | bool | date | time | timedelta


class WorkbookSource:
    """
    The rows of one sheet; see `Source`.

    The header is the first row with a cell in it, behind those that the job skips. A cell becomes the text that it
    holds; a number of more than 15 digits shows that it may have lost some, and a failed formula that nobody knows it.
    """

    encoding: str | None = None

    def __init__(
        self,
        file: SourceFile,
        sheet: str | None,
        form: CsvFormat,
        *,
        chunk_rows: int,
        bounds: WorkbookBounds = _BOUNDS,
    ) -> None:
        self.float_columns: frozenset[str] = frozenset()
        self.rows = 0
        self.sha256 = ""
        self._file = file
        self._chunk_rows = chunk_rows
        with _readable(file.name):
            self._sheet, self._failed = _opened(file, sheet, bounds)
            self._lines = self._texts()
            header = self._header(form.skip_lines)
        own = checked_columns(file.name, header)
        partitions = partition_columns(own, file.partitions)
        self.columns = (*own, *partitions)
        self.partitions = len(partitions)
        self._constants = tuple(partitions.values())

    def __iter__(self) -> Iterator[Chunk]:
        with closing(self), _readable(self._file.name):
            while lines := list(islice(self._lines, self._chunk_rows)):
                rows = [Row(at, (*cells, *self._constants)) for at, (_, cells) in enumerate(lines, self.rows + 1)]
                self.rows += len(rows)
                yield Chunk.of_rows(self.columns, rows, [number for number, _ in lines])
            self.sha256 = sha256_of(self._file)
            verify_unchanged(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the sheet; more than once does no harm."""
        self._lines = iter(())

    def _texts(self) -> Iterator[tuple[int, list[str | None]]]:
        """Yield the rows of the sheet from its first one, each with the number that the sheet shows for it, as text."""
        left = (self._sheet.start or (0, 0))[1]
        for row, cells in enumerate(self._sheet.iter_rows()):
            texts = [text or None for text in map(text_of_cell, cells)]
            for column in range(len(texts)) if self._failed else ():
                if shown := self._failed.get((row, left + column)):
                    texts[column] = f"{shown}{UNREAD}"
            yield row + 1, texts

    def _header(self, skipped: int) -> list[str]:
        for number, texts in self._lines:
            header = [text or "" for text in texts]
            if any(header) and (number > skipped or is_rows_to_fix(header)):
                return header
        raise SourceError(f"{self._file.name} has no cell in the sheet {self._sheet.name}; name another in `sheet`")


def text_of_cell(cell: Cell) -> str:
    """Return what a cell says: times as ISO 8601, truths as `true` or `false`, whole numbers without `.0`."""
    return _TEXTS[type(cell)](cell)


def _moment(value: datetime) -> str:
    """Write milliseconds where there are any: the number that a sheet holds for a time has no more."""
    rounded = value + timedelta(microseconds=500)
    rounded = rounded.replace(microsecond=rounded.microsecond // 1000 * 1000)
    return rounded.isoformat(" ", "milliseconds" if rounded.microsecond else "seconds")


def _duration(value: timedelta) -> str:
    minutes, seconds = divmod(round(value.total_seconds()), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


_TEXTS: Mapping[type, Callable[[Any], str]] = {
    str: str,
    bool: lambda truth: str(truth).lower(),
    int: lambda number: number_text(str(number)),
    float: lambda number: number_text(repr(number)),
    datetime: _moment,
    date: lambda day: _moment(datetime.combine(day, _MIDNIGHT)),
    time: lambda moment: moment.isoformat("seconds"),
    timedelta: _duration,
}


def _opened(file: SourceFile, sheet: str | None, bounds: WorkbookBounds) -> "tuple[CalamineSheet, dict[Place, str]]":
    """Return the sheet to read, and the places of its failed formulas."""
    load_workbook, worksheet = _reader(file.name)
    data = _stored(file, bounds)
    facts = WorkbookFacts(file.name, data, bounds) if zipfile.is_zipfile(data) else None
    data.seek(0)
    book = load_workbook(data)
    names = [found.name for found in book.sheets_metadata if found.typ == worksheet]
    if not names:
        raise SourceError(f"{file.name} has no sheet with cells; export it again")
    if sheet is not None and sheet not in names:
        raise SourceError(f"{file.name} has no sheet {sheet!r}; its sheets are {shown_headings(names)}: change `sheet`")
    chosen = names[0] if sheet is None else sheet
    failed = facts.failed_cells(chosen) if facts else {}
    return book.get_sheet_by_name(chosen), failed


def _reader(name: str) -> tuple[Any, Any]:
    """Return what reads workbooks; it comes with an extra."""
    try:
        from python_calamine import SheetTypeEnum, load_workbook  # noqa: PLC0415 - few need it, and it may be missing
    except ImportError:
        raise SourceError(
            f"{name} is a workbook, and what reads workbooks is not installed: pip install loyalty-backfill[excel]"
        ) from None
    return load_workbook, SheetTypeEnum.WorkSheet


def _stored(file: SourceFile, bounds: WorkbookBounds) -> IO[bytes]:
    if file.fingerprint.size > bounds.stored_bytes:
        raise SourceError(f"{file.name} is a workbook of more than {bounds.stored_bytes:,} bytes; export it as CSV")
    with closing(open_bytes(file)) as stored:
        return io.BytesIO(stored.read(bounds.stored_bytes))


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turn what the readers of archives and workbooks raise, panics included, into a `SourceError`."""
    try:
        with blaming(name):
            yield
    except (PipelineError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(
            f"{name} can't be read as a workbook: {reason}; save it again as .xlsx, without a password"
        ) from error
