"""The rows of a `rows_to_fix` file, in which a person fixed rows of an earlier run."""

import codecs
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from pipeline.language import t
from pipeline.model import BadRow, CsvFormat, Fault
from pipeline.read.text.decoder import UNREAD
from pipeline.report.files.csv_lines import unguarded
from pipeline.report.files.rows_to_fix import OWN_COLUMNS
from pipeline.tables.chunk import Chunk
from pipeline.tables.row_mark import RowMark
from pipeline.tables.text_columns import Column, column_of, listed, pc

_MARK, *_FAULT = OWN_COLUMNS
# A spreadsheet saves the file with the delimiter of its locale.
_DELIMITERS = ",;\t|"
_GUARDED = r"^'+[=+\-@\t\r\n＝＋－＠]"


def is_rows_to_fix(header: Sequence[str]) -> bool:
    """
    Return whether a header is that of a `rows_to_fix` file, from which a person may have removed columns.

    Without a column of the export it is an ordinary file, which lacks the columns of the job. With `_row` as the only
    one of our columns it may be an ordinary file too: see `may_have_marks`.
    """
    own = set(OWN_COLUMNS).intersection(header)
    return len(own) < len(set(header)) and (own.issuperset(_FAULT) or (_MARK in own and len(own) > 1))


def may_have_marks(header: Sequence[str]) -> bool:
    """Return whether the rows of a file may name their origins."""
    return _MARK in header


def is_marked(header: Sequence[str], first: Sequence[str | None]) -> bool:
    """Return whether a row after this header names its origin."""
    return _MARK in header and RowMark.read(first[header.index(_MARK)] or "") is not None


def format_of(head: bytes, form: CsvFormat) -> CsvFormat:
    """Return the CSV format of a file by its first bytes: its own for a `rows_to_fix` file, else the job's."""
    is_utf_16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    # The names of our columns are ASCII, which has the same bytes in every other encoding.
    text = head.decode("utf-16", "replace") if is_utf_16 else head.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    line = text.partition("\n")[0]
    has_marks = RowMark.find(text) is not None
    for delimiter in _DELIMITERS:
        header = [cell.strip().strip('"') for cell in line.split(delimiter)]
        if is_rows_to_fix(header) or (has_marks and len(header) > 1 and may_have_marks(header)):
            return CsvFormat(delimiter=delimiter, null_values=form.null_values)
    return form


class FixedRows:
    """
    The rows of a `rows_to_fix` file with the columns of the export.

    `columns` are those of the export. The report's own columns are removed, and apostrophes that guard against
    formulas. A file that has only `_row` of them keeps it, because it may be an ordinary file.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        own = OWN_COLUMNS if is_rows_to_fix(columns) else ()
        self._kept = [at for at, name in enumerate(columns) if name not in own]
        self._dropped = [at for at, name in enumerate(columns) if name in own]
        self._mark = columns.index(_MARK) if _MARK in columns else None
        self.columns = tuple(unguarded(columns[at]) for at in self._kept)

    def restored(self, chunk: Chunk) -> Chunk:
        """Return the rows of the export; `marks` name the rows that they fix."""
        if not (self._dropped or self._has_marks(chunk)):
            return chunk
        texts = tuple(_without_guards(chunk.texts[at]) for at in self._kept)
        bad = {at: self._bad_row(row) for at, row in chunk.bad.items()}
        marks: list[str | None] = [None] * len(chunk) if self._mark is None else listed(chunk.texts[self._mark])
        for at, row in chunk.bad.items():
            # The cells of a bad row may be in wrong columns, or several in one column.
            mark = RowMark.find("\n".join(filter(None, row.cells)))
            marks[at] = str(mark) if mark else None
        taken = Chunk(self.columns, chunk.first, texts, bad, chunk.file_lines, column_of(marks))
        return replace(taken, bad=bad | _not_fixed(taken))

    def _has_marks(self, chunk: Chunk) -> bool:
        marks = [] if self._mark is None else listed(chunk.texts[self._mark])
        return any(RowMark.read(text) for text in marks if text)

    def _bad_row(self, row: BadRow) -> BadRow:
        """Return a bad row without the report's columns. If one of these holds U+FFFD, the last cell gets it."""
        if len(row.cells) < len(self._kept) + len(self._dropped):
            return replace(row, cells=())
        kept = [cell and unguarded(cell) for cell in (row.cells[at] for at in self._kept)]
        is_marked = any(UNREAD in (row.cells[at] or "") for at in self._dropped)
        if is_marked and kept:
            kept[-1] = f"{kept[-1] or ''}{UNREAD}"
        return replace(row, cells=tuple(kept))


def _without_guards(column: Column) -> Column:
    is_guarded = pc.match_substring_regex(column, _GUARDED).fill_null(fill_value=False)
    if not pc.any(is_guarded).as_py():
        return column
    texts = [unguarded(text) for text in listed(column.filter(is_guarded))]
    return pc.replace_with_mask(column, is_guarded, column_of(texts))


def _not_fixed(chunk: Chunk) -> dict[int, BadRow]:
    """Return as bad rows those that still hold U+FFFD, which no real value contains."""
    is_unread = pa.array([False] * len(chunk))
    for column in chunk.texts:
        is_unread = pc.or_(is_unread, pc.match_substring(column, UNREAD).fill_null(fill_value=False))
    places = [at for at in pc.indices_nonzero(is_unread).to_pylist() if at not in chunk.bad]
    message = t("a cell still holds {unread} in place of text that could not be read; fix the row", unread=UNREAD)
    fault = Fault("not_decodable", message)
    return {at: BadRow(row.number, fault, row.cells) for at, row in zip(places, chunk.rows_at(places), strict=True)}
