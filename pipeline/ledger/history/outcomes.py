"""The outcomes of a run: one for each row, in source order, read in pages of bounded size."""

import sqlite3
from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import chain, repeat
from typing import Any

from pipeline.ledger.history.dues import IS_DELIVERED, UNREACHED
from pipeline.ledger.history.skipped_rows import SkippedRows, read_skipped_rows
from pipeline.ledger.records import RunRecord
from pipeline.model import Status
from pipeline.tables.outcome_page import Outcome, OutcomePage

# Statuses by severity, the worst last. Doubt is the worst: it must not be answered by sending something else.
SEVERITY = (
    Status.SKIPPED,
    Status.SUCCEEDED,
    Status.UNSENT,
    Status.BLOCKED,
    Status.INVALID,
    Status.REJECTED,
    Status.UNKNOWN,
)
_STATUS = {status.value: status for status in Status}
_RANK = {status.value: rank for rank, status in enumerate(SEVERITY)}
# Rows of a page.
_PAGE = 1000
# Characters of cells after which a page ends. A single row may have megabytes.
_PAGE_CELLS = 1 << 20
# The largest integer of SQLite.
_END = (1 << 63) - 1
# Field, heading, rule and value of a row that is not invalid.
_NO_FAULT = (None,) * 4

# Some rows of a run.
_ROWS = """
SELECT row_no, file_no, source_row, coalesce(request_key, ''), cells, status, code, message,
    file_line, field, heading, rule, value
FROM rows WHERE run_no = ? AND row_no BETWEEN ? AND ? ORDER BY row_no LIMIT ?
"""
# How the dues of some rows ended. For dues of a killed run, which has settled nothing, it is what the intents say.
_DUES = f"""
SELECT row_no, coalesce(status, {UNREACHED}),
    coalesce(code, CASE WHEN {IS_DELIVERED} THEN 'already_succeeded' ELSE 'interrupted' END),
    coalesce(message, ''), http_status, attempts, first_sent_at, finished_at, latency_ms, trace_id, wants_new_key
FROM dues WHERE run_no = ? AND row_no BETWEEN ? AND ? ORDER BY row_no, part
"""


# The columns of `_ROWS`. The status and later columns, but for the line, are set only where the row itself is final.
_RowLine = tuple[
    int, int, int, str, str | None, str | None, str | None, str | None, int | None, *tuple[str | None, ...]
]
# The columns of `_DUES`: the row's number, and how it ended.
_End = tuple[int, str, str, str, int | None, int, str | None, str | None, int | None, str | None, int]
# Rows, and the end of each one.
_Lines = tuple[Sequence[_RowLine], Sequence[_End]]


def outcomes(connection: sqlite3.Connection, run: RunRecord) -> Iterator[Outcome]:
    """Yield the outcome of each row of a run, in source order. Each page is one short read."""
    return chain.from_iterable(outcome_pages(connection, run))


def outcome_pages(connection: sqlite3.Connection, run: RunRecord) -> Iterator[OutcomePage]:
    """Yield the outcomes of all rows in pages, in source order. No page is empty."""
    names = dict(connection.execute("SELECT file_no, name FROM inputs WHERE run_no = ?", (run.run_no,)).fetchall())
    page_of = partial(_page_of, names=names)
    first = 0
    for skipped_rows in _overlapping(read_skipped_rows(connection, run)):
        low = min(skipped.row_nos[0] for skipped in skipped_rows)
        high = max(skipped.row_nos[-1] for skipped in skipped_rows)
        yield from map(page_of, _pages_of_rows(connection, run, first, low - 1))
        rows = _pages_of_rows(connection, run, low, high)
        between = next(rows, None)
        if between is None and len(skipped_rows) == 1:
            yield _unpacked(skipped_rows[0], names)
        else:
            yield from map(page_of, _merged(chain([between] if between else [], rows), skipped_rows))
        first = high + 1
    yield from map(page_of, _pages_of_rows(connection, run, first, _END))


def _overlapping(skipped_rows: Iterator[SkippedRows]) -> Iterator[list[SkippedRows]]:
    """Group lines of skipped rows whose rows lie among one another."""
    group: list[SkippedRows] = []
    for skipped in skipped_rows:
        if group and skipped.row_nos[0] > max(other.row_nos[-1] for other in group):
            yield group
            group = []
        group.append(skipped)
    if group:
        yield group


def _unpacked(skipped: SkippedRows, names: Mapping[int, str]) -> OutcomePage:
    rows = len(skipped.row_nos)
    nothing = [None] * rows
    return OutcomePage(
        source_file=[names[skipped.file_no]] * rows,
        source_row=skipped.source_rows,
        request_key=[key or "" for key in skipped.request_keys],
        status=[skipped.status] * rows,
        code=[skipped.code] * rows,
        message=[skipped.message] * rows,
        http_status=nothing,
        attempts=[0] * rows,
        first_sent_at=nothing,
        finished_at=nothing,
        latency_ms=nothing,
        trace_id=nothing,
        file_no=[skipped.file_no] * rows,
        wants_new_key=[False] * rows,
        cells=nothing,
        file_line=skipped.file_lines or nothing,
        field=nothing,
        column=nothing,
        rule=nothing,
        value=nothing,
    )


def _merged(pages: Iterator[_Lines], skipped_rows: Sequence[SkippedRows]) -> Iterator[_Lines]:
    """Yield pages of rows, with skipped rows in their places."""
    packed = sorted(chain.from_iterable(map(_lines, skipped_rows)), key=_row_no)
    taken = 0
    for rows, ends in pages:
        upto = bisect(packed, rows[-1][0], key=_row_no)
        yield _apart(sorted(chain(packed[taken:upto], zip(rows, ends, strict=True)), key=_row_no))
        taken = upto
    if taken < len(packed):
        yield _apart(packed[taken:])


def _row_no(line: tuple[_RowLine, _End]) -> int:
    return line[0][0]


def _apart(lines: Sequence[tuple[_RowLine, _End]]) -> _Lines:
    return [row for row, _ in lines], [end for _, end in lines]


def _lines(skipped: SkippedRows) -> Iterator[tuple[_RowLine, _End]]:
    end = _final(skipped.status, skipped.code, skipped.message)
    lines = repeat(None) if skipped.file_lines is None else skipped.file_lines
    for row_no, source_row, key, line in zip(
        skipped.row_nos, skipped.source_rows, skipped.request_keys, lines, strict=False
    ):
        yield (row_no, skipped.file_no, source_row, key or "", None, None, None, None, line, *_NO_FAULT), end


def _page_of(lines: _Lines, names: Mapping[int, str]) -> OutcomePage:
    rows, ends = lines
    _, file_no, source_row, request_key, cells, _, _, _, file_line, field, column, rule, value = (
        _column(rows, at) for at in range(13)
    )
    _, status, code, message, http_status, attempts, first, finished, latency, trace, wants_new_key = (
        _column(ends, at) for at in range(11)
    )
    return OutcomePage(
        source_file=[names[number] for number in file_no],
        source_row=source_row,
        request_key=request_key,
        status=[_STATUS[text] for text in status],
        code=code,
        message=message,
        http_status=http_status,
        attempts=attempts,
        first_sent_at=first,
        finished_at=finished,
        latency_ms=latency,
        trace_id=trace,
        file_no=file_no,
        wants_new_key=list(map(bool, wants_new_key)),
        cells=cells,
        file_line=file_line,
        field=field,
        column=column,
        rule=rule,
        value=value,
    )


def _column(lines: Sequence[tuple[Any, ...]], at: int) -> list[Any]:
    return [line[at] for line in lines]


def _pages_of_rows(connection: sqlite3.Connection, run: RunRecord, first: int, last: int) -> Iterator[_Lines]:
    while rows := _rows(connection, run, first, last):
        high = rows[-1][0]
        # Iterated, not fetched at once: a row may have a thousand dues.
        ends = _ends(connection.execute(_DUES, (run.run_no, rows[0][0], high)))
        yield rows, [_end(row, ends.get(row[0])) for row in rows]
        first = high + 1


def _rows(connection: sqlite3.Connection, run: RunRecord, first: int, last: int) -> list[_RowLine]:
    rows: list[_RowLine] = []
    room = _PAGE_CELLS
    with closing(connection.execute(_ROWS, (run.run_no, first, last, _PAGE))) as lines:
        for line in lines:
            rows.append(line)
            if line[4]:
                room -= len(line[4])
                if room < 0:
                    break
    return rows


def _ends(dues: Iterable[_End]) -> Mapping[int, _End]:
    """Return how each row ended: as the worst of its dues."""
    ends: dict[int, _End] = {}
    for due in dues:
        known = ends.setdefault(due[0], due)
        if known is not due:
            ends[due[0]] = _worse(known, due)
    return ends


def _worse(one: _End, other: _End) -> _End:
    worse = max(one, other, key=lambda end: _RANK[end[1]])
    return (*worse[:5], one[5] + other[5], *worse[6:])


def _end(row: _RowLine, end: _End | None) -> _End:
    status, code, message = row[5:8]
    if status is None and end is not None:
        return end
    return _final(status or "unsent", code or "interrupted", message or "")


def _final(status: str, code: str, message: str) -> _End:
    """Return the end of a row that was not sent."""
    return (0, status, code, message, None, 0, None, None, None, None, 0)
