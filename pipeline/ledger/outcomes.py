"""Reading outcomes back: one for each row, in source order, with memory that does not grow."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import chain
from operator import itemgetter

from pipeline.ledger.packs import Pack, read_packs
from pipeline.ledger.records import RunRecord
from pipeline.ledger.runs import IS_DELIVERED, UNREACHED
from pipeline.model import Alike, Outcome, Status

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
_STATUS = {status.value: status for status in Status}
_RANK = {status: rank for rank, status in enumerate(SEVERITY)}
_PAGE = 2000
# As far as SQLite's numbers go.
_END = (1 << 63) - 1

_PAGE_OF_ROWS = (
    "SELECT min(row_no), max(row_no) FROM"
    " (SELECT row_no FROM rows WHERE run_no = ? AND row_no BETWEEN ? AND ? ORDER BY row_no LIMIT ?)"
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
    for told in outcomes_and_packs(connection, run):
        if isinstance(told, Alike):
            yield from told.outcomes()
        else:
            yield told


def outcomes_and_packs(connection: sqlite3.Connection, run: RunRecord) -> Iterator[Outcome | Alike]:
    """Yield the outcomes of all rows, in source order; neighbours that share one together, where they lie packed."""
    names = dict(connection.execute("SELECT file_no, name FROM inputs WHERE run_no = ?", (run.run_no,)).fetchall())
    first = 0
    for packs in _overlapping(read_packs(connection, run)):
        low = min(pack.row_nos[0] for pack in packs)
        high = max(pack.row_nos[-1] for pack in packs)
        yield from (outcome for _, outcome in _outcomes_of_rows(connection, run, first, low - 1))
        rows = _outcomes_of_rows(connection, run, low, high)
        between = next(rows, None)
        if between is None and len(packs) == 1:
            yield _alike(packs[0], names)
        else:
            yield from _mixed(chain([between] if between else [], rows), packs, names)
        first = high + 1
    yield from (outcome for _, outcome in _outcomes_of_rows(connection, run, first, _END))


def _overlapping(packs: Iterator[Pack]) -> Iterator[list[Pack]]:
    """Put packs together whose rows lie among one another."""
    group: list[Pack] = []
    for pack in packs:
        if group and pack.row_nos[0] > max(other.row_nos[-1] for other in group):
            yield group
            group = []
        group.append(pack)
    if group:
        yield group


def _alike(pack: Pack, names: Mapping[int, str]) -> Alike:
    return Alike(
        names[pack.file_no], pack.file_no, pack.status, pack.code, pack.message, pack.source_rows, pack.request_keys
    )


def _mixed(rows: Iterable[tuple[int, Outcome]], packs: Sequence[Pack], names: Mapping[int, str]) -> Iterator[Outcome]:
    unpacked = (zip(pack.row_nos, _alike(pack, names).outcomes(), strict=True) for pack in packs)
    yield from (outcome for _, outcome in merge(rows, *unpacked, key=itemgetter(0)))


def _outcomes_of_rows(
    connection: sqlite3.Connection, run: RunRecord, first: int, last: int
) -> Iterator[tuple[int, Outcome]]:
    while True:
        low, high = connection.execute(_PAGE_OF_ROWS, (run.run_no, first, last, _PAGE)).fetchone()
        if low is None:
            return
        worst = _worst_dues(connection, run, low, high)
        # Not all at once: the cells of a single row may be many megabytes.
        for line in connection.execute(_ROWS, (run.run_no, low, high)):
            yield line[0], _outcome(line, worst.get(line[0]))
        first = high + 1


_RowLine = tuple[int, str, int, str | None, str | None, str | None, str | None, int, str | None]
_DueLine = tuple[int, str, str, str, int | None, int, str | None, str | None, int | None, str | None, int]


def _worst_dues(connection: sqlite3.Connection, run: RunRecord, first: int, last: int) -> dict[int, _DueLine]:
    worst: dict[int, _DueLine] = {}
    attempts: dict[int, int] = {}
    for line in connection.execute(_DUES, (run.run_no, first, last)):
        row_no = line[0]
        attempts[row_no] = attempts.get(row_no, 0) + line[5]
        held = worst.get(row_no)
        if held is None or _RANK[_STATUS[line[1]]] > _RANK[_STATUS[held[1]]]:
            worst[row_no] = line
    return {n: (*line[:5], attempts[n], *line[6:]) for n, line in worst.items()}


def _outcome(row: _RowLine, due: _DueLine | None) -> Outcome:
    _, name, source_row, key, status, code, message, file_no, cells = row
    if status is not None or due is None:
        due = (0, status or "unsent", code or "interrupted", message or "", None, 0, None, None, None, None, 0)
    return Outcome(name, source_row, key or "", _STATUS[due[1]], *due[2:10], file_no, bool(due[10]), cells)
