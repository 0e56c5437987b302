"""Rows that share an outcome and need nothing more: one line of the table `packs` for many rows."""

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge
from itertools import accumulate, pairwise

import orjson

from pipeline.language import t
from pipeline.ledger.records import RunRecord
from pipeline.ledger.store.port import Connection, Damaged
from pipeline.model import Status

LAST_ROW = (1 << 63) - 1
"""The largest integer of SQLite: no row of a run has a larger number."""

# Level of compression, the fastest. Row numbers are stored as steps, which are nearly all 1.
_LEVEL = 1

_INSERT = """
INSERT INTO packs (run_no, first_row_no, last_row_no, file_no, status, code, message, rows)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
# The next line of a run, of those that begin between two rows.
_NEXT = """
SELECT first_row_no, file_no, status, code, message, rows FROM packs
WHERE run_no = ? AND first_row_no BETWEEN ? AND ? ORDER BY first_row_no LIMIT 1
"""
# Lines of one chunk, at most: one for each code of a skipped row, one each for rows that end unknown or unsent.
LINES_OF_CHUNK = 16
# The first row of the first line that holds a row, or rows before and after it. All such lines are of one chunk.
_BEFORE = f"""
SELECT min(first_row_no) FROM (
    SELECT first_row_no, last_row_no FROM packs WHERE run_no = ? AND first_row_no < ?
    ORDER BY first_row_no DESC LIMIT {LINES_OF_CHUNK}
) AS lines WHERE last_row_no >= ?
"""


@dataclass(frozen=True, slots=True)
class SkippedRows:
    """
    Rows of one file that share their outcome; entry n of every column is about the same row.

    `file_lines` are kept only of rows that somebody may look for in their file.
    """

    file_no: int
    status: Status
    code: str
    message: str
    row_nos: Sequence[int]
    source_rows: Sequence[int]
    request_keys: Sequence[str | None] = field(repr=False)
    file_lines: Sequence[int] | None = None


def write_skipped_rows(connection: Connection, run: RunRecord, skipped: SkippedRows) -> None:
    """Write rows that need nothing more."""
    columns = [_steps(skipped.row_nos), _steps(skipped.source_rows), skipped.request_keys]
    if skipped.file_lines is not None:
        columns.append(_steps(skipped.file_lines))
    connection.execute(
        _INSERT,
        (run.run_no, skipped.row_nos[0], skipped.row_nos[-1], skipped.file_no, skipped.status, skipped.code,
         skipped.message, zlib.compress(orjson.dumps(columns), _LEVEL)),
    )  # fmt: skip


def read_skipped_rows(
    connection: Connection, run: RunRecord, first: int = 0, last: int = LAST_ROW
) -> Iterator[SkippedRows]:
    """
    Yield the skipped rows of a run from `first` to `last`, in the order of the first row of each line.

    Each is one short read.
    """
    (begin,) = connection.execute(_BEFORE, (run.run_no, first, first)).fetchone()
    earlier = () if begin is None else _lines(connection, run, begin, first - 1)
    cut = (_between(skipped, first, last) for skipped in earlier)
    begun = sorted((skipped for skipped in cut if skipped.row_nos), key=_first_row)
    following = (_between(skipped, first, last) for skipped in _lines(connection, run, first, last))
    return merge(begun, following, key=_first_row)


def _first_row(skipped: SkippedRows) -> int:
    return skipped.row_nos[0]


def _lines(connection: Connection, run: RunRecord, begin: int, last: int) -> Iterator[SkippedRows]:
    """Yield the lines of a run whose first row is between two rows."""
    while line := connection.execute(_NEXT, (run.run_no, begin, last)).fetchone():
        first, file_no, status, code, message, rows = line
        begin = first + 1
        try:
            row_nos, source_rows, keys, *file_lines = orjson.loads(zlib.decompress(rows))
        except (zlib.error, ValueError) as exc:
            raise Damaged(t("a pack of rows is not the one that was written")) from exc
        yield SkippedRows(
            file_no=file_no,
            status=Status(status),
            code=code,
            message=message,
            row_nos=_added(row_nos),
            source_rows=_added(source_rows),
            request_keys=keys,
            file_lines=_added(file_lines[0]) if file_lines else None,
        )


def _between(skipped: SkippedRows, first: int, last: int) -> SkippedRows:
    """Return those of the rows that are between two rows."""
    row_nos = skipped.row_nos
    if first <= row_nos[0] and row_nos[-1] <= last:
        return skipped
    those = slice(bisect_left(row_nos, first), bisect_right(row_nos, last))
    return replace(
        skipped,
        row_nos=row_nos[those],
        source_rows=skipped.source_rows[those],
        request_keys=skipped.request_keys[those],
        file_lines=skipped.file_lines and skipped.file_lines[those],
    )


def skipped_rows_with(connection: Connection, run: RunRecord, code: str) -> int:
    """Count the rows of a run with a code, among those that share a line."""
    return sum(len(skipped.row_nos) for skipped in read_skipped_rows(connection, run) if skipped.code == code)


def _steps(numbers: Sequence[int]) -> list[int]:
    return [numbers[0], *(after - before for before, after in pairwise(numbers))]


def _added(steps: Sequence[int]) -> list[int]:
    return list(accumulate(steps))
