"""Reading outcomes back: one for each row, in source order, with memory that does not grow."""

import sqlite3
from collections.abc import Iterator

from pipeline.ledger.records import RunRecord
from pipeline.ledger.runs import IS_DELIVERED, UNREACHED
from pipeline.model import Outcome, Status

# The worst last: doubt weighs most, since only it must not be answered by sending something else.
SEVERITY = (
    Status.SKIPPED,
    Status.SUCCEEDED,
    Status.UNSENT,
    Status.BLOCKED,
    Status.INVALID,
    Status.REJECTED,
    Status.UNKNOWN,
)
_RANK = {status: rank for rank, status in enumerate(SEVERITY)}
_PAGE = 2000

_PAGE_OF_ROWS = (
    "SELECT min(row_no), max(row_no) FROM"
    " (SELECT row_no FROM rows WHERE run_no = ? AND row_no > ? ORDER BY row_no LIMIT ?)"
)
_ROWS = (
    "SELECT w.row_no, i.name, w.source_row, w.request_key, w.status, w.code, w.message, w.file_no, w.cells"
    " FROM rows AS w JOIN inputs AS i ON i.run_no = w.run_no AND i.file_no = w.file_no"
    " WHERE w.run_no = ? AND w.row_no BETWEEN ? AND ? ORDER BY w.row_no"
)
# A run that was killed has settled nothing for what it was at: what the intents say is said here.
_DUES = (
    f"SELECT row_no, coalesce(status, {UNREACHED}),"
    f" coalesce(code, CASE WHEN {IS_DELIVERED} THEN 'already_succeeded' ELSE 'interrupted' END),"
    " coalesce(message, ''), http_status, attempts, first_sent_at, finished_at,"
    " latency_ms, trace_id, wants_new_key FROM dues WHERE run_no = ? AND row_no BETWEEN ? AND ? ORDER BY row_no, part"
)


def outcomes(connection: sqlite3.Connection, run: RunRecord) -> Iterator[Outcome]:
    """Yield the outcome of each row of a run, in source order. Each page is one short read."""
    last = -1
    while True:
        first, last = connection.execute(_PAGE_OF_ROWS, (run.run_no, last, _PAGE)).fetchone()
        if first is None:
            return
        worst = _worst_dues(connection, run, first, last)
        # Not all at once: the cells of a single row may be many megabytes.
        for line in connection.execute(_ROWS, (run.run_no, first, last)):
            yield _outcome(line, worst.get(line[0]))


_DueLine = tuple[int, str, str, str, int | None, int, str | None, str | None, int | None, str | None, int]


def _worst_dues(connection: sqlite3.Connection, run: RunRecord, first: int, last: int) -> dict[int, _DueLine]:
    worst: dict[int, _DueLine] = {}
    attempts: dict[int, int] = {}
    for line in connection.execute(_DUES, (run.run_no, first, last)):
        row_no = line[0]
        attempts[row_no] = attempts.get(row_no, 0) + line[5]
        held = worst.get(row_no)
        if held is None or _RANK[Status(line[1])] > _RANK[Status(held[1])]:
            worst[row_no] = line
    return {n: (*line[:5], attempts[n], *line[6:]) for n, line in worst.items()}


def _outcome(row: tuple[object, ...], due: _DueLine | None) -> Outcome:
    _, name, source_row, key, status, code, message, file_no, cells = row
    if status is not None or due is None:
        due = (0, str(status or "unsent"), str(code or "interrupted"), str(message or ""), None, 0, *(None,) * 4, 0)
    return Outcome(
        str(name), int(str(source_row)), str(key or ""), Status(due[1]), *due[2:10], int(str(file_no)),
        bool(due[10]), None if cells is None else str(cells),
    )  # fmt: skip
