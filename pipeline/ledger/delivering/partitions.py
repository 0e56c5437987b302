"""
The partitions of a run's queue, on a server: lanes that follow one another, which one sender has at a time.

A partition has whole lanes, and lanes that were joined are one. So what goes in order is sent by one sender. Partitions
are numbered in the order of the queue, and the first free one is taken first. The line of a partition is deleted once
all of its dues have ended.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.ledger.delivering.queue import ENTRY, Order
from pipeline.ledger.records import RunRecord
from pipeline.ledger.store.port import Connection, json_of

# A run is cut into about so many partitions, of so many dues.
_PARTITIONS = 64
_FEWEST_DUES, _MOST_DUES = 16, 1024

_ADD = "INSERT INTO partitions (run_no, partition_no, entries) VALUES (?, ?, ?)"
_DELETE_ALL = "DELETE FROM partitions WHERE run_no = ?"
_IS_FREE = """
SELECT EXISTS (SELECT 1 FROM partitions WHERE run_no = :run_no AND sender_no IS NULL
    AND (:is_any = 1 OR partition_no IN (SELECT CAST(value AS BIGINT) FROM json_each(:wanted))))
"""
_COUNT = "SELECT count(*), count(*) - count(sender_no) FROM partitions WHERE run_no = ?"
# Take the first partition that is free.
_TAKE = """
UPDATE partitions SET sender_no = :sender_no
WHERE run_no = :run_no AND partition_no = (
    SELECT min(partition_no) FROM partitions WHERE run_no = :run_no AND sender_no IS NULL
        AND (:is_any = 1 OR partition_no IN (SELECT CAST(value AS BIGINT) FROM json_each(:wanted)))
)
RETURNING partition_no, entries
"""
_DELETE = """
DELETE FROM partitions WHERE run_no = ? AND partition_no IN (SELECT CAST(value AS BIGINT) FROM json_each(?))
"""
# Make some dues due again that a sender left before they ended. Then which of them are due.
_REOPEN = """
UPDATE dues SET status = NULL, code = NULL, message = NULL, is_open = 0
WHERE due_no IN (SELECT CAST(value AS BIGINT) FROM json_each(?)) AND is_open <> 0
"""
_OPEN = """
SELECT d.due_no FROM json_each(?) AS wanted JOIN dues AS d ON d.due_no = CAST(wanted.value AS BIGINT)
WHERE d.status IS NULL
"""

Entries = np.ndarray[Any, Any]
"""Dues in their order, of the type `ENTRY`."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition that was taken, with its dues that are still open."""

    number: int
    entries: Entries


@dataclass(frozen=True, slots=True)
class PartitionsLeft:
    """How many partitions of a run are not done, and whether one of them has no sender."""

    count: int
    has_free: bool


def cut(order: Order) -> Iterator[bytes]:
    """Yield the dues of each partition of a queue, as `entries`."""
    most = min(max(-(-order.count // _PARTITIONS), _FEWEST_DUES), _MOST_DUES)
    first = 0
    while first < order.count:
        size = order.whole_lanes(first, most)
        yield order.between(first, first + size - 1).tobytes()
        first += size


def add(connection: Connection, run: RunRecord, first: int, several: Collection[bytes]) -> None:
    """Write partitions, numbered from `first` on."""
    connection.executemany(_ADD, [(run.run_no, first + n, entries) for n, entries in enumerate(several)])


def delete_all(connection: Connection, run: RunRecord) -> None:
    """Delete the partitions of a run."""
    connection.execute(_DELETE_ALL, (run.run_no,))


def left(connection: Connection, run: RunRecord) -> PartitionsLeft:
    """Return what is left of a run's partitions."""
    count, free = connection.execute(_COUNT, (run.run_no,)).fetchone()
    return PartitionsLeft(int(count), has_free=free > 0)


def is_any_free(connection: Connection, run: RunRecord, wanted: Collection[int] | None = None) -> bool:
    """Return whether a partition of a run, or one of the wanted ones, has no sender."""
    values = {"run_no": run.run_no, **_wanted(wanted)}
    return bool(connection.execute(_IS_FREE, values).fetchone()[0])


def take(
    connection: Connection, run: RunRecord, sender_no: int, wanted: Collection[int] | None = None
) -> Partition | None:
    """Give the first free partition of a run, or of the wanted ones, to a sender; None if there is none."""
    values = {"run_no": run.run_no, "sender_no": sender_no, **_wanted(wanted)}
    while (line := connection.execute(_TAKE, values).fetchone()) is not None:
        number, entries = line
        found = _open_entries(connection, np.frombuffer(entries, ENTRY))
        if len(found):
            return Partition(number, found)
        delete(connection, run, [number])
    return None


def _open_entries(connection: Connection, entries: Entries) -> Entries:
    """Return the entries of dues that are open, with the lanes as they are without the others."""
    numbers = json_of(entries["due_no"].tolist())
    connection.execute(_REOPEN, (numbers,))
    is_open = np.isin(entries["due_no"], [due_no for (due_no,) in connection.execute(_OPEN, (numbers,))])
    left = entries[is_open].copy()
    _, lane, sizes = np.unique(left["lane_no"], return_inverse=True, return_counts=True)
    left["lane_dues"] = sizes[lane]
    return left


def delete(connection: Connection, run: RunRecord, numbers: Collection[int]) -> None:
    """Delete partitions whose dues have all ended."""
    if numbers:
        connection.execute(_DELETE, (run.run_no, json_of(numbers)))


def _wanted(numbers: Collection[int] | None) -> dict[str, object]:
    return {"is_any": int(numbers is None), "wanted": json_of(numbers or ())}
