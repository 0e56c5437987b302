"""The reader of a sheet of a workbook (.xlsx, .xls, .ods)."""

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date, datetime, time, timedelta
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any

from pipeline.errors import PipelineError, SourceError
from pipeline.language import t
from pipeline.model import CsvFormat, Row
from pipeline.read.files.source_file import SourceFile, as_source_errors, open_bytes, sha256_of
from pipeline.read.fixed_rows import is_marked, is_rows_to_fix, may_have_marks
from pipeline.read.number_text import number_text
from pipeline.read.ports import ColumnUse
from pipeline.read.text.decoder import UNREAD
from pipeline.read.workbook.archive import CellPlace, WorkbookArchive, WorkbookBounds
from pipeline.redact import shown_headings
from pipeline.tables.chunk import Chunk

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

_MIDNIGHT = time()
_BOUNDS = WorkbookBounds()
_HEADER_ROWS = 100  # first rows that are searched for the header
Cell = str | float | bool | date | time | timedelta
SheetRow = tuple[int, Sequence[str | None]]
"""A row of the sheet as text, with its number from 1."""


class WorkbookReader:
    """
    Reads one sheet; see `Reader`.

    The header is the first row with a cell, after the rows that the job skips; comments are no rows. A number with more
    than 15 digits gets a mark, because it may have lost digits. A failed formula is marked with U+FFFD.
    """

    encoding: str | None = None
    delimiter: str | None = None

    def __init__(
        self,
        file: SourceFile,
        sheet: str | None,
        form: CsvFormat,
        *,
        uses: ColumnUse,
        chunk_rows: int,
        bounds: WorkbookBounds = _BOUNDS,
    ) -> None:
        self._file = file
        self._chunk_rows = chunk_rows
        with _readable(file.name):
            self._sheet, self._failed = _opened(file, sheet, bounds)
            self.columns, self._lines = self._header(self._texts(), form, uses)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows; see `Reader`."""
        with _readable(self._file.name):
            while lines := list(islice(self._lines, self._chunk_rows)):
                rows = [Row(at, tuple(texts)) for at, (_, texts) in enumerate(lines, 1)]
                yield Chunk.of_rows(self.columns, rows, [number for number, _ in lines])

    def sha256(self) -> str:
        """Return the SHA-256 of the file, in hex."""
        return sha256_of(self._file)

    def close(self) -> None:
        """End reading; a second call does nothing."""
        self._lines = iter(())

    def _texts(self) -> Iterator[SheetRow]:
        """Yield the rows of the sheet."""
        left = (self._sheet.start or (0, 0))[1]
        for row, cells in enumerate(self._sheet.iter_rows()):
            texts = [text or None for text in map(text_of_cell, cells)]
            for column in range(len(texts)) if self._failed else ():
                if shown := self._failed.get((row, left + column)):
                    texts[column] = f"{shown}{UNREAD}"
            yield row + 1, texts

    def _header(
        self, lines: Iterator[SheetRow], form: CsvFormat, uses: ColumnUse
    ) -> tuple[tuple[str, ...], Iterator[SheetRow]]:
        """Return the names of the columns, and the rows after them."""
        first = list(islice(lines, form.skip_lines + _HEADER_ROWS))
        filled = [(at, _names(texts)) for at, (_, texts) in enumerate(first) if any(texts)]
        for at, names in filled:
            if is_rows_to_fix(names) or (first[at + 1 :] and is_marked(names, first[at + 1][1])):
                return names, chain(first[at + 1 :], lines)
            number, texts = first[at]
            if number > form.skip_lines and not _is_comment(texts, form):
                self._check_header(at, filled, [number for number, _ in first], uses)
                rows = chain(first[at + 1 :], lines)
                return names, (row for row in rows if not _is_comment(row[1], form)) if form.comment else rows
        raise SourceError(
            t(
                "{file} has no cell in the sheet {sheet}; name another in `sheet`",
                file=self._file.name,
                sheet=self._sheet.name,
            )
        )

    def _check_header(
        self, header: int, filled: Sequence[tuple[int, tuple[str, ...]]], numbers: Sequence[int], uses: ColumnUse
    ) -> None:
        """Raise `SourceError` if the header lacks columns of the job, and another row has more of them."""
        known = tuple(self._file.partitions)
        used = {at: (uses.are_complete((*names, *known)), len(uses.used(names))) for at, names in filled}
        best = max(used, key=lambda at: used[at])
        if not used[header][0] and used[best] > used[header]:
            raise SourceError(
                t(
                    "{name}: the header seems to be row {number}; write csv.skip_lines = {lines} for the job",
                    name=self._file.name,
                    number=numbers[best],
                    lines=numbers[best] - 1,
                )
            )


def _names(texts: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(text or "" for text in texts)


def _is_comment(texts: Sequence[str | None], form: CsvFormat) -> bool:
    return bool(form.comment) and (texts[0] or "").startswith(form.comment)


def text_of_cell(cell: Cell) -> str:
    """Return a cell as text: times as ISO 8601, booleans as `true` or `false`, whole numbers without `.0`."""
    return _TEXTS[type(cell)](cell)


def _moment(value: datetime) -> str:
    """Return a time rounded to milliseconds, because the number in the sheet is not more precise."""
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


def _opened(
    file: SourceFile, sheet: str | None, bounds: WorkbookBounds
) -> "tuple[CalamineSheet, dict[CellPlace, str]]":
    """Return the sheet to read, and its failed formulas by place."""
    load_workbook, worksheet = _reader(file.name)
    data = _stored(file, bounds)
    facts = WorkbookArchive(file.name, data, bounds) if zipfile.is_zipfile(data) else None
    data.seek(0)
    workbook = load_workbook(data)
    names = [found.name for found in workbook.sheets_metadata if found.typ == worksheet]
    if not names:
        raise SourceError(t("{file} has no sheet with cells; export it again", file=file.name))
    chosen = names[0] if sheet is None or sheet not in names else sheet
    opened = workbook.get_sheet_by_name(chosen)
    # The sheet of a job's exports is not that of a `rows_to_fix` file.
    if sheet not in (None, chosen) and not may_have_marks([str(cell) for cell in next(opened.iter_rows(), [])]):
        raise SourceError(
            t(
                "{file} has no sheet {sheet!r}; its sheets are {names}: change `sheet`",
                file=file.name,
                sheet=sheet,
                names=shown_headings(names),
            )
        )
    return opened, facts.failed_cells(chosen) if facts else {}


def _reader(name: str) -> tuple[Any, Any]:
    """Return the functions of the workbook reader, which is an optional dependency."""
    try:
        from python_calamine import SheetTypeEnum, load_workbook  # noqa: PLC0415 - few need it, and it may be missing
    except ImportError:
        raise SourceError(
            t(
                "{name} is a workbook, and the workbook reader is not installed: pip install loyalty-backfill[excel]",
                name=name,
            )
        ) from None
    return load_workbook, SheetTypeEnum.WorkSheet


def _stored(file: SourceFile, bounds: WorkbookBounds) -> IO[bytes]:
    if file.fingerprint.size > bounds.stored_bytes:
        raise SourceError(
            t(
                "{file} is a workbook of more than {stored_bytes:,} bytes; export it as CSV",
                file=file.name,
                stored_bytes=bounds.stored_bytes,
            )
        )
    with closing(open_bytes(file)) as stored:
        return io.BytesIO(stored.read(bounds.stored_bytes))


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turn errors of archive and workbook readers, including Rust panics, into a `SourceError`."""
    try:
        with as_source_errors(name):
            yield
    except (PipelineError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(
            t(
                "{name} can't be read as a workbook: {reason}; save it again as .xlsx, without a password",
                name=name,
                reason=reason,
            )
        ) from error
