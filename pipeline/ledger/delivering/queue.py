"""The dues of a run, lane by lane: lanes in a chosen order, within a lane in source order."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, groupby, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from pipeline.errors import LedgerError
from pipeline.language import t
from pipeline.ledger.batch_sizes import DEFAULT_SIZES, BatchSizes
from pipeline.ledger.records import Due, RunRecord
from pipeline.ledger.store.port import Connection, Damaged, Read, Sql, json_of, stream
from pipeline.ledger.store.spill_file import SpillFile
from pipeline.model import Api, Balance, LaneOrder, ObjectState, digest

LaneT = TypeVar("LaneT", bytes, str)

# The largest integer of SQLite.
_END = (1 << 63) - 1
# A place behind all others.
_LAST_PLACE = 1 << 40
# No index, in the arrays of `refunds_after_payments`.
_NOWHERE = -1

ENTRY = np.dtype([("due_no", "<i8"), ("lane_no", "<i8"), ("lane_dues", "<i8")])
"""An entry of the order: the number of a due, that of its lane, and how many dues the lane has."""
# Entries that are written at once, and bytes of them that are kept in memory.
_ENTRIES_AT_ONCE = 10_000
_MEMORY_BYTES = 4 << 20

# The temporary tables of a queue: the lanes that are joined, and the refunds that go after another due. They end with
# the transaction that reads the order.
_CREATE_JOINED = Sql(
    "CREATE TEMP TABLE joined (lane BLOB PRIMARY KEY, joined_to BLOB) WITHOUT ROWID",
    postgresql="CREATE TEMP TABLE joined (lane BYTEA PRIMARY KEY, joined_to BYTEA)",
)
_CREATE_MOVED = "CREATE TEMP TABLE moved (due_no BIGINT PRIMARY KEY, after BIGINT, behind BIGINT)"
# The lane of a due, or the lane that it was joined to.
_LANE = "coalesce((SELECT j.joined_to FROM joined AS j WHERE j.lane = d.lane), d.lane)"
# The order within a lane: a refund above its payment comes after that, states come by time of change.
_TURN = {Api.CUMULATION: "coalesce(m.after, d.due_no)", Api.STATE: "coalesce(d.last_position, d.position)"}
# The order of lanes, and of dues in them. `lane_no` is the first due of a lane, in source order; `newest` is the latest
# time of change in it, NULL if it has none.
_ORDERS = {
    LaneOrder.SOURCE: "lane_no, version NULLS FIRST, turn, behind NULLS FIRST, due_no",
    LaneOrder.NEWEST: "newest DESC NULLS LAST, lane_no, version NULLS FIRST, turn, behind NULLS FIRST, due_no",
}
# The order of the open dues of a run, with the lane of each and the size of that lane.
_ORDER = """
SELECT due_no, lane_no, lane_dues FROM (
    SELECT due_no, version, turn, behind, min(due_no) OVER of_lane AS lane_no,
        count(*) OVER of_lane AS lane_dues, max(version) OVER of_lane AS newest
    FROM (
        SELECT d.due_no, d.version, {lane} AS lane, {turn} AS turn, m.behind
        FROM dues AS d LEFT JOIN moved AS m ON m.due_no = d.due_no
        WHERE d.run_no = ? AND d.status IS NULL AND d.row_no <= ?
    ) AS due
    WINDOW of_lane AS (PARTITION BY lane)
) AS queued
ORDER BY {order}
"""
# The last of the first rows that have open dues.
_LAST_OF_FIRST_ROWS = """
SELECT max(row_no) FROM (
    SELECT DISTINCT row_no FROM dues WHERE run_no = ? AND status IS NULL ORDER BY row_no LIMIT ?
) AS first_rows
"""
# Pairs of lanes that have to be one: a refund waits for its payment, and a state for an earlier one of its number,
# whatever user or principal the export names.
_LANES_TO_JOIN = {
    Api.CUMULATION: """
        SELECT DISTINCT r.lane, p.lane
        FROM dues AS r JOIN dues AS p ON p.identity = r.refund_of AND p.run_no = r.run_no
        WHERE r.run_no = ? AND r.refund_of IS NOT NULL AND p.lane <> r.lane
    """,
    Api.STATE: """
        SELECT DISTINCT lane, one FROM (
            SELECT lane, first_value(lane) OVER (PARTITION BY request_key ORDER BY lane) AS one
            FROM dues WHERE run_no = ? AND status IS NULL
        ) AS due
        WHERE lane <> one
    """,
}
# Open refunds of a run whose payments are open too.
_REFUNDS = """
FROM dues AS r JOIN dues AS p ON p.identity = r.refund_of AND p.run_no = r.run_no AND p.status IS NULL
WHERE r.run_no = :run_no AND r.status IS NULL AND r.refund_of IS NOT NULL
"""
# Those that come before their payment and are no refunds of refunds go after that.
_MOVE_SIMPLE_REFUNDS = f"""
INSERT INTO moved
SELECT r.due_no, p.due_no, 0 {_REFUNDS} AND p.due_no > r.due_no AND p.refund_of IS NULL
ON CONFLICT DO NOTHING
"""
# Refunds of refunds, each with its payment, down to the refund of a payment that is no refund.
_CHAINED_REFUNDS = f"""
SELECT r.due_no, p.due_no {_REFUNDS} AND p.refund_of IS NOT NULL
UNION
SELECT r.due_no, p.due_no {_REFUNDS} AND p.refund_of IS NULL
    AND r.identity IN (SELECT p.identity {_REFUNDS} AND p.refund_of IS NOT NULL)
ORDER BY 1
"""
# The sizes of the bodies of some dues.
_BODY_SIZES = """
SELECT length(d.body) FROM json_each(?) AS wanted CROSS JOIN dues AS d ON d.due_no = CAST(wanted.value AS BIGINT)
ORDER BY wanted.key
"""
# Some dues.
_DUES = """
SELECT d.due_no, d.row_no, d.request_key, d.identity, d.digest, d.body, d.lane,
    d.refund_of, d.card, d.points, d.version, coalesce(d.last_position, d.position), d.object
FROM json_each(?) AS wanted CROSS JOIN dues AS d ON d.due_no = CAST(wanted.value AS BIGINT)
ORDER BY wanted.key
"""


@dataclass(frozen=True, slots=True)
class _QueuedDue:
    """A due in the queue, with the number of its lane and how many dues that has."""

    lane_no: int
    lane_dues: int
    due: Due


class Order:
    """
    The order of the dues of a run, on local scratch, and the lanes that were joined to others.

    It is not thread-safe: entries are read where the ledger is.
    """

    def __init__(self, folder: Path) -> None:
        self._entries = SpillFile(folder, _MEMORY_BYTES)
        self.count = 0
        self.joined: dict[bytes, bytes] = {}

    def add(self, entries: np.ndarray[Any, Any]) -> None:
        """Append entries, of the type `ENTRY`."""
        self._entries.add(entries.tobytes())
        self.count += len(entries)

    def between(self, first: int, last: int) -> np.ndarray[Any, Any]:
        """Return the entries from one place to another, both included."""
        size = ENTRY.itemsize
        return np.frombuffer(self._entries.read_at(first * size, (last - first + 1) * size), ENTRY)

    def whole_lanes(self, first: int, dues: int) -> int:
        """Return how many entries from a place on are lanes with about `dues` dues, each of them whole."""
        entries = self.between(first, first + dues - 1)
        begins = np.flatnonzero(entries["lane_no"][1:] != entries["lane_no"][:-1]) + 1
        last = int(begins[-1]) if len(begins) else 0
        # The last lane may be longer than what was read of it.
        return last + int(entries["lane_dues"][last])


def lanes(
    read: Read,
    run: RunRecord,
    order: LaneOrder,
    rows: int | None = None,
    sizes: BatchSizes = DEFAULT_SIZES,
    *,
    folder: Path,
) -> Iterator[Iterable[Due]]:
    """
    Yield the open dues of each lane, within the lane in source order, states by time of change.

    A refund shares a lane with its payment, and so do the states of one number, whatever users the export names. With
    `rows` the dues are those of so many rows, the first in the source that have any.

    The order is written into a spill file in `folder` first. One long read of the ledger would keep its write-ahead log
    from being cut back during the run.
    """
    yield from lanes_of(read, order_of(read, run, order, rows, folder=folder), sizes)


def order_of(read: Read, run: RunRecord, order: LaneOrder, rows: int | None = None, *, folder: Path) -> Order:
    """Return the order of a run's open dues; see `lanes`."""
    queue = Order(folder)
    read(partial(_read_order, queue, run=run, order=order, rows=rows))
    return queue


def lanes_of(read: Read, queue: Order, sizes: BatchSizes = DEFAULT_SIZES) -> Iterator[Iterable[Due]]:
    """Yield the dues of an order, lane by lane. All of them are open."""
    at = 0
    while page := read(partial(_page, queue, first=at, last=_LAST_PLACE, sizes=sizes)):
        first = page[0]
        if first.lane_dues > len(page):
            yield _long_lane(read, queue, at, at + first.lane_dues - 1, sizes)
            at += first.lane_dues
            continue
        for _, queued in groupby(page, key=lambda queued: queued.lane_no):
            lane = list(queued)
            # A lane that the page has only in part begins the next page.
            if len(lane) == lane[0].lane_dues:
                yield [each.due for each in lane]
                at += len(lane)


def _long_lane(read: Read, queue: Order, first: int, last: int, sizes: BatchSizes) -> Iterator[Due]:
    """Yield the dues of a lane that is longer than a page; they are read as they are iterated."""
    while page := read(partial(_page, queue, first=first, last=last, sizes=sizes)):
        yield from (queued.due for queued in page)
        first += len(page)


def _read_order(queue: Order, connection: Connection, run: RunRecord, order: LaneOrder, rows: int | None) -> None:
    # PostgreSQL keeps temporary tables only within a transaction where connections are pooled.
    connection.execute("BEGIN")
    try:
        connection.execute(_CREATE_JOINED)
        connection.execute(_CREATE_MOVED)
        queue.joined = _join_lanes(connection, run)
        _move_refunds(connection, run)
        first_rows = (run.run_no, rows)
        last_row = _END if rows is None else connection.execute(_LAST_OF_FIRST_ROWS, first_rows).fetchone()[0] or 0
        query = _ORDER.format(lane=_LANE, turn=_TURN.get(run.api, "d.due_no"), order=_ORDERS[order])
        entries = iter(stream(connection, query, (run.run_no, last_row)))
        while some := list(islice(entries, _ENTRIES_AT_ONCE)):
            queue.add(np.array(some, ENTRY))
    finally:
        connection.execute("ROLLBACK")


def _join_lanes(connection: Connection, run: RunRecord) -> dict[bytes, bytes]:
    """Write into a temporary table which lanes are joined to which one; return them."""
    if run.api not in _LANES_TO_JOIN:
        return {}
    found = joined(connection.execute(_LANES_TO_JOIN[run.api], (run.run_no,)))
    connection.executemany("INSERT INTO joined VALUES (?, ?)", found.items())
    return found


def joined(pairs: Iterable[tuple[LaneT, LaneT]]) -> dict[LaneT, LaneT]:
    """Merge pairs of lanes (union-find); return the lane that each one is joined to."""
    above: dict[LaneT, LaneT] = {}
    for pair in pairs:
        one, other = (_top(above, lane) for lane in pair)
        if one != other:
            above[one] = other
    return {lane: _top(above, lane) for lane in above}


def _top(above: dict[LaneT, LaneT], lane: LaneT) -> LaneT:
    while (higher := above.get(lane)) is not None:
        # Path halving keeps the paths short.
        above[lane] = above.get(higher, higher)
        lane = higher
    return lane


def _move_refunds(connection: Connection, run: RunRecord) -> None:
    """Write into a temporary table which refunds come before their payments, and the dues after which they go."""
    if run.api is Api.CUMULATION:
        values = {"run_no": run.run_no}
        connection.execute(_MOVE_SIMPLE_REFUNDS, values)
        chained = refunds_after_payments(connection.execute(_CHAINED_REFUNDS, values))
        connection.executemany("INSERT INTO moved VALUES (?, ?, ?) ON CONFLICT DO NOTHING", chained)


def refunds_after_payments(refunds: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """
    Yield the refunds that come before their payment, the due after which each goes, and its rank among those.

    `refunds` are pairs of a refund and its payment, by due number, sorted. A refund goes after the last due of the
    chain of its payments; refunds that name each other in a circle go last.
    """
    refund, payment = np.fromiter(refunds, np.dtype((np.int64, 2))).T
    at = np.searchsorted(refund, payment)
    at[at == len(refund)] = 0
    # The index of the next refund in the chain. Pointer doubling: facts about n steps give facts about 2n.
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


def _page(queue: Order, connection: Connection, first: int, last: int, sizes: BatchSizes) -> list[_QueuedDue]:
    """Return the dues of a page, at places of the queue from `first` to `last` at most."""
    entries = queue.between(first, min(last, first + sizes.page_dues - 1)).tolist()
    bodies = connection.execute(_BODY_SIZES, (json_of(due_no for due_no, *_ in entries),)).fetchall()
    totals = accumulate(length or 0 for (length,) in bodies)
    # At least one due, however large its body.
    count = min(len(bodies), 1 + sum(1 for total in totals if total < sizes.page_bytes))
    lane_of = {due_no: (lane_no, lane_dues) for due_no, lane_no, lane_dues in entries[:count]}
    found = connection.execute(_DUES, (json_of(lane_of),))
    return [_QueuedDue(*lane_of[line[0]], due_of(line, queue.joined)) for line in found]


def due_of(line: Iterable[Any], joined: Mapping[bytes, bytes] = MappingProxyType({})) -> Due:
    """
    Return the due of a line of `_DUES`; `joined` are lanes that were joined to others.

    Raises LedgerError if it is settled: only another process can have done that. Raises Damaged for a wrong body.
    """
    due_no, row_no, key, identity, staged, body, lane, refund_of, card, points, version, position, obj = line
    if body is None:
        raise LedgerError(
            t(
                "the run was taken over by another process while this one was held up; nothing more is sent "
                "here; `backfill runs` shows it"
            )
        )
    if digest(body) != staged:
        # SQLite has no checksums of pages: a damaged body may still be valid JSON.
        raise Damaged(t("the body of a due is not the one that was staged"))
    balance = None if card is None else Balance(card, points, version)
    return Due(
        due_no=due_no,
        row_no=row_no,
        request_key=key,
        identity=identity,
        digest=staged,
        body=body,
        lane=joined.get(lane, lane),
        refund_of=refund_of,
        balance=balance,
        position=position,
        state=None if obj is None else ObjectState(obj, version),
    )
