"""The dues of a run, lane by lane; the order of lanes is chosen, within a lane it is that of the source."""

import sqlite3
import threading
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from pipeline.ledger.database import Damaged
from pipeline.ledger.records import Due, RunRecord
from pipeline.model import Balance, LaneOrder, digest

_PAGE = 1000
_HELD_BYTES = 1 << 20
_COLUMNS = (
    "d.due_no, d.row_no, d.request_key, d.identity, d.digest, d.body, d.lane, d.refund_of, d.card, d.points,"
    " d.version, d.position"
)


# `first` is where a lane begins in the source; `newest` is when what it holds changed last, NULL where nobody says.
_ORDERS = {
    LaneOrder.SOURCE: "first, due_no",
    LaneOrder.NEWEST: "newest DESC NULLS LAST, first, due_no",
}


def lanes(
    connection: sqlite3.Connection, lock: threading.Lock, run: RunRecord, order: LaneOrder
) -> Iterator[list[Due]]:
    """
    Yield the open dues of each lane, in source order within the lane.

    The order is worked out once, into a temporary table: a long read of the ledger itself would keep its
    write-ahead log from being cut back while the run goes on.
    """
    with lock:
        connection.execute("DROP TABLE IF EXISTS temp.queue")
        connection.execute(
            "CREATE TEMP TABLE queue AS SELECT due_no FROM"
            " (SELECT due_no, min(due_no) OVER (PARTITION BY lane) AS first,"
            "  max(version) OVER (PARTITION BY lane) AS newest"
            f"  FROM dues WHERE run_no = ? AND status IS NULL) ORDER BY {_ORDERS[order]}",
            (run.run_no,),
        )
    for _, lane in groupby(_dues(connection, lock), key=lambda due: due.lane):
        yield list(lane)


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
    due_no, row_no, key, identity, staged, body, lane, refund_of, card, points, version, position = line
    if digest(body) != staged:
        # SQLite keeps no sum of a page: a body that has rotted may still be right in form.
        raise Damaged("the body of a due is not the one that was staged")
    balance = None if card is None else Balance(card, points, version)
    return Due(due_no, row_no, key, identity, staged, body, lane, refund_of, balance, position)


def join_lanes(connection: sqlite3.Connection, run: RunRecord) -> None:
    """Let a refund and its payment share a lane also where the export names other users for them."""
    while True:
        split = connection.execute(
            "SELECT r.lane, p.lane FROM dues AS r JOIN dues AS p ON p.identity = r.refund_of AND p.run_no = r.run_no"
            " WHERE r.run_no = ? AND r.refund_of IS NOT NULL AND p.lane <> r.lane LIMIT 1",
            (run.run_no,),
        ).fetchone()
        if split is None:
            return
        connection.execute("UPDATE dues SET lane = ? WHERE run_no = ? AND lane = ?", (split[1], run.run_no, split[0]))
