"""The dues of a run, lane by lane; the order of lanes is chosen, within a lane it is that of the source."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, TypeVar

from pipeline.ledger.records import Due, RunRecord
from pipeline.ledger.store.database import Damaged
from pipeline.model import Api, Balance, LaneOrder, ObjectState, digest

LaneT = TypeVar("LaneT", bytes, str)

_PAGE = 1000
_HELD_BYTES = 1 << 20
# As far as SQLite's numbers go.
_END = (1 << 63) - 1
# A lane that was joined to another one bears the name of that.
_LANE = "coalesce((SELECT j.joined_to FROM temp.joined AS j WHERE j.lane = d.lane), d.lane)"
_COLUMNS = (
    f"d.due_no, d.row_no, d.request_key, d.identity, d.digest, d.body, {_LANE}, d.refund_of, d.card, d.points,"
    " d.version, d.position, d.object"
)

# `first` is where a lane begins in the source; `newest` is when what it holds changed last, NULL where nobody says.
# Within a lane, states go as they changed.
_ORDERS = {
    LaneOrder.SOURCE: "first, version, position, due_no",
    LaneOrder.NEWEST: "newest DESC NULLS LAST, first, version, position, due_no",
}


def lanes(
    connection: sqlite3.Connection, lock: threading.Lock, run: RunRecord, order: LaneOrder, rows: int | None = None
) -> Iterator[list[Due]]:
    """
    Yield the open dues of each lane, within the lane in source order, or by when a state changed.

    A refund and its payment share a lane also where the export names other users for them, and so do the states of one
    number. The order is worked out
    once, into a temporary table: a long read of the ledger itself would keep its write-ahead log from being cut back
    while the run goes on. With `rows` the dues are those of so many rows, the first in the source that have any.
    """
    with lock:
        _join(connection, run)
        upto = _END if rows is None else _last_of_the_first(connection, run, rows)
        connection.execute("DROP TABLE IF EXISTS temp.queue")
        connection.execute(
            "CREATE TEMP TABLE queue AS SELECT due_no FROM"
            " (SELECT due_no, version, position, min(due_no) OVER (PARTITION BY lane) AS first,"
            "  max(version) OVER (PARTITION BY lane) AS newest"
            f"  FROM (SELECT due_no, version, position, {_LANE} AS lane FROM dues AS d"
            "   WHERE run_no = ? AND status IS NULL AND row_no <= ?))"
            f" ORDER BY {_ORDERS[order]}",
            (run.run_no, upto),
        )
    for _, lane in groupby(_dues(connection, lock), key=lambda due: due.lane):
        yield list(lane)


def _last_of_the_first(connection: sqlite3.Connection, run: RunRecord, rows: int) -> int:
    """Return the number of the last of so many rows that have open dues."""
    found = connection.execute(
        "SELECT max(row_no) FROM (SELECT DISTINCT row_no FROM dues WHERE run_no = ? AND status IS NULL"
        " ORDER BY row_no LIMIT ?)",
        (run.run_no, rows),
    ).fetchone()
    return int(found[0] or 0)


# Pairs of lanes that have to be one: a refund waits for its payment, and a state for an earlier one of its number,
# whichever user or principal the export names.
_APART = {
    Api.CUMULATION: (
        "SELECT DISTINCT r.lane, p.lane FROM dues AS r JOIN dues AS p ON p.identity = r.refund_of"
        " AND p.run_no = r.run_no WHERE r.run_no = ? AND r.refund_of IS NOT NULL AND p.lane <> r.lane"
    ),
    Api.STATE: (
        "SELECT DISTINCT lane, one FROM (SELECT lane, min(lane) OVER (PARTITION BY request_key) AS one FROM dues"
        " WHERE run_no = ? AND status IS NULL) WHERE lane <> one"
    ),
}


def _join(connection: sqlite3.Connection, run: RunRecord) -> None:
    """Find the lanes that have to be one, and write into a temporary table which one that is."""
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS joined (lane BLOB PRIMARY KEY, joined_to BLOB) WITHOUT ROWID")
    connection.execute("DELETE FROM temp.joined")
    if run.api in _APART:
        apart = connection.execute(_APART[run.api], (run.run_no,))
        connection.executemany("INSERT INTO temp.joined VALUES (?, ?)", joined(apart).items())


def joined(pairs: Iterable[tuple[LaneT, LaneT]]) -> dict[LaneT, LaneT]:
    """Return, for lanes of which each pair is to be one, the lane that each of them becomes a part of."""
    above: dict[LaneT, LaneT] = {}
    for pair in pairs:
        one, other = (_top(above, lane) for lane in pair)
        if one != other:
            above[one] = other
    return {lane: _top(above, lane) for lane in above}


def _top(above: dict[LaneT, LaneT], lane: LaneT) -> LaneT:
    while (higher := above.get(lane)) is not None:
        # Halved on the way: else the way grows with every pair.
        above[lane] = above.get(higher, higher)
        lane = higher
    return lane


def _dues(connection: sqlite3.Connection, lock: threading.Lock) -> Iterator[Due]:
    for first, last in _pages(connection, lock):
        with lock:
            page = connection.execute(
                f"SELECT {_COLUMNS} FROM temp.queue AS q JOIN dues AS d USING (due_no)"
                " WHERE q.rowid BETWEEN ? AND ? ORDER BY q.rowid",
                (first, last),
            ).fetchall()
        yield from map(_due, page)


def _pages(connection: sqlite3.Connection, lock: threading.Lock) -> Iterator[tuple[int, int]]:
    """Yield the first and the last place of dues that are read at once: few where their bodies are large."""
    last = 0
    while True:
        with lock:
            sizes = connection.execute(
                "SELECT q.rowid, length(d.body) FROM temp.queue AS q JOIN dues AS d USING (due_no)"
                " WHERE q.rowid > ? ORDER BY q.rowid LIMIT ?",
                (last, _PAGE),
            ).fetchall()
        if not sizes:
            return
        held = 0
        for place, size in sizes:
            held += size or 0
            if held >= _HELD_BYTES or place == sizes[-1][0]:
                yield last + 1, place
                last, held = place, 0


def _due(line: tuple[Any, ...]) -> Due:
    due_no, row_no, key, identity, staged, body, lane, refund_of, card, points, version, position, obj = line
    if digest(body) != staged:
        # SQLite keeps no sum of a page: a body that has rotted may still be right in form.
        raise Damaged("the body of a due is not the one that was staged")
    balance = None if card is None else Balance(card, points, version)
    return Due(
        due_no=due_no,
        row_no=row_no,
        request_key=key,
        identity=identity,
        digest=staged,
        body=body,
        lane=lane,
        refund_of=refund_of,
        balance=balance,
        position=position,
        state=None if obj is None else ObjectState(obj, version),
    )
