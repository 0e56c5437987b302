"""The dues of a run, lane by lane; the order of lanes is chosen, within a lane it is that of the source."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, groupby
from typing import Any, Protocol, TypeVar

import numpy as np

from pipeline.ledger.records import Due, RunRecord
from pipeline.ledger.store.database import Damaged
from pipeline.model import Api, Balance, LaneOrder, ObjectState, digest

T = TypeVar("T")
LaneT = TypeVar("LaneT", bytes, str)

# As far as SQLite's numbers go.
_END = (1 << 63) - 1
_NOWHERE = -1
# A lane that was joined to another one bears the name of that.
_LANE = "coalesce((SELECT j.joined_to FROM temp.joined AS j WHERE j.lane = d.lane), d.lane)"
_COLUMNS = (
    f"d.due_no, d.row_no, d.request_key, d.identity, d.digest, d.body, {_LANE}, d.refund_of, d.card, d.points,"
    " d.version, coalesce(d.last_position, d.position), d.object"
)

# `lane_no` is where a lane begins in the source; `newest` is when what it holds changed last, NULL where nobody says.
# Within a lane states go as they changed, and a refund that stands above its payment goes after that.
_ORDERS = {
    LaneOrder.SOURCE: "lane_no, version, turn, behind, due_no",
    LaneOrder.NEWEST: "newest DESC NULLS LAST, lane_no, version, turn, behind, due_no",
}
_TURN = {
    Api.CUMULATION: "coalesce(m.after, d.due_no)",
    Api.STATE: "coalesce(d.last_position, d.position)",
}


class Read(Protocol):
    """Runs a query on the ledger, for one thread at a time."""

    def __call__(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of the query."""
        ...


@dataclass(frozen=True, slots=True)
class PageSize:
    """How much is read at once: dues, and fewer where their bodies are large."""

    dues: int = 1000
    body_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class _QueuedDue:
    """A due, in a lane with this number, of so many."""

    lane_no: int
    lane_dues: int
    due: Due


@dataclass(frozen=True, slots=True)
class LongLane:
    """The dues of a lane that are more than a page: they are read as they are gone through."""

    read: Read
    first: int
    last: int
    size: PageSize

    def __iter__(self) -> Iterator[Due]:
        place = self.first
        while page := self.read(partial(_page, first=place, last=self.last, size=self.size)):
            yield from (line.due for line in page)
            place += len(page)


def lanes(
    read: Read, run: RunRecord, order: LaneOrder, rows: int | None = None, size: PageSize = PageSize()
) -> Iterator[Iterable[Due]]:
    """
    Yield the open dues of each lane, within the lane in source order, or by when a state changed.

    A refund and its payment share a lane also where the export names other users for them, and so do the states of one
    number. The order is worked out once, into a temporary table: a long read of the ledger itself would keep its
    write-ahead log from being cut back while the run goes on. With `rows` the dues are those of so many rows, the first
    in the source that have any.
    """
    read(partial(_work_out, run=run, order=order, rows=rows))
    place = 1
    while page := read(partial(_page, first=place, last=_END, size=size)):
        first = page[0]
        if first.lane_dues > len(page):
            yield LongLane(read, place, place + first.lane_dues - 1, size)
            place += first.lane_dues
            continue
        for _, lines in groupby(page, key=lambda line: line.lane_no):
            lane = list(lines)
            # The next page begins with a lane that this one does not hold to its end.
            if len(lane) == lane[0].lane_dues:
                yield [line.due for line in lane]
                place += len(lane)


def _work_out(connection: sqlite3.Connection, run: RunRecord, order: LaneOrder, rows: int | None) -> None:
    """Write into a temporary table in which order the dues go, and in which lane."""
    _join(connection, run)
    _move(connection, run)
    upto = _END if rows is None else _last_of_the_first(connection, run, rows)
    connection.execute("DROP TABLE IF EXISTS temp.queue")
    connection.execute(
        "CREATE TEMP TABLE queue AS SELECT due_no, lane_no, lane_dues FROM"
        " (SELECT due_no, version, turn, behind, min(due_no) OVER of_lane AS lane_no,"
        "  count(*) OVER of_lane AS lane_dues, max(version) OVER of_lane AS newest"
        f"  FROM (SELECT d.due_no, d.version, {_LANE} AS lane, {_TURN.get(run.api, 'd.due_no')} AS turn, m.behind"
        "   FROM dues AS d LEFT JOIN temp.moved AS m USING (due_no)"
        "   WHERE d.run_no = ? AND d.status IS NULL AND d.row_no <= ?)"
        "  WINDOW of_lane AS (PARTITION BY lane))"
        f" ORDER BY {_ORDERS[order]}",
        (run.run_no, upto),
    )


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


# The refunds of a run whose payments are still to go out in it too.
_REFUNDS = (
    "FROM dues AS r JOIN dues AS p ON p.identity = r.refund_of AND p.run_no = r.run_no AND p.status IS NULL"
    " WHERE r.run_no = :run_no AND r.status IS NULL AND r.refund_of IS NOT NULL"
)
# Refunds of refunds, each with its payment, down to the refund of a payment proper.
_CHAINED = (
    f"SELECT r.due_no, p.due_no {_REFUNDS} AND p.refund_of IS NOT NULL"
    f" UNION SELECT r.due_no, p.due_no {_REFUNDS} AND p.refund_of IS NULL AND r.identity IN"
    f" (SELECT p.identity {_REFUNDS} AND p.refund_of IS NOT NULL) ORDER BY 1"
)


def _move(connection: sqlite3.Connection, run: RunRecord) -> None:
    """Write into a temporary table which refunds stand above their payments, and after which due they go instead."""
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS moved (due_no INTEGER PRIMARY KEY, after INTEGER, behind INTEGER)"
    )
    connection.execute("DELETE FROM temp.moved")
    if run.api is Api.CUMULATION:
        asked = {"run_no": run.run_no}
        connection.execute(
            f"INSERT OR IGNORE INTO temp.moved SELECT r.due_no, p.due_no, 0 {_REFUNDS} AND p.due_no > r.due_no"
            " AND p.refund_of IS NULL",
            asked,
        )
        connection.executemany(
            "INSERT OR IGNORE INTO temp.moved VALUES (?, ?, ?)", moved(connection.execute(_CHAINED, asked))
        )


def moved(refunds: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """
    Yield the refunds that stand above their payment: the due after which they go, and how many refunds lie between.

    Each refund comes with its payment, and they are in order. A refund goes after the last due of the chain of its
    payments; refunds that name each other in a circle go last.
    """
    refund, payment = np.fromiter(refunds, np.dtype((np.int64, 2))).T
    at = np.searchsorted(refund, payment)
    at[at == len(refund)] = 0
    # Where the next refund of the chain is. What is known of so many steps of it tells of twice as many.
    ahead, steps = np.where(refund[at] == payment, at, _NOWHERE), 1
    last, behind = np.maximum(refund, payment), np.where(payment >= refund, 1, 0)
    while steps <= len(refund) and (goes_on := ahead != _NOWHERE).any():
        is_later = goes_on & (last[ahead] > last)
        last, behind = np.where(is_later, last[ahead], last), np.where(is_later, steps + behind[ahead], behind)
        ahead, steps = np.where(goes_on, ahead[ahead], _NOWHERE), 2 * steps
    is_circle = ahead != _NOWHERE
    last[is_circle], behind[is_circle] = _END, 1
    is_moved = behind > 0
    yield from zip(*(column[is_moved].tolist() for column in (refund, last, behind - 1)), strict=True)


def _page(connection: sqlite3.Connection, first: int, last: int, size: PageSize) -> list[_QueuedDue]:
    """Return the dues of a page, from one place up to another at most."""
    bodies = connection.execute(
        "SELECT q.rowid, length(d.body) FROM temp.queue AS q JOIN dues AS d USING (due_no)"
        " WHERE q.rowid BETWEEN ? AND ? ORDER BY q.rowid LIMIT ?",
        (first, last, size.dues),
    ).fetchall()
    held = accumulate(length or 0 for _, length in bodies)
    # One at least, however large.
    count = min(len(bodies), 1 + sum(1 for length in held if length < size.body_bytes))
    found = connection.execute(
        f"SELECT q.lane_no, q.lane_dues, {_COLUMNS} FROM temp.queue AS q JOIN dues AS d USING (due_no)"
        " WHERE q.rowid BETWEEN ? AND ? ORDER BY q.rowid",
        (first, min(first + count - 1, last)),
    )
    return [_QueuedDue(lane_no, lane_dues, _due(line)) for lane_no, lane_dues, *line in found]


def _due(line: Iterable[Any]) -> Due:
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
