"""
States of objects in a staged run: which are sent, and under which identities.

Rows wait in a scratch database until all are read. They are then decided on, object by object.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.ledger.records import RunRecord, position
from pipeline.ledger.rules.fixes import VariantDelivery
from pipeline.ledger.rules.objects import (
    KnownState,
    NewestState,
    history_of,
    identity_of,
    names_of,
    newest_states,
    note_repeated,
    object_of,
    objects_with_dues,
)
from pipeline.ledger.staging.balances import may_stage_before
from pipeline.ledger.staging.duplicates.rulings import Ruling, Rulings
from pipeline.ledger.staging.sequence import Sequence, StagedState
from pipeline.ledger.staging.staged_chunk import RowDecision, StagedChunk
from pipeline.ledger.store.port import Connection
from pipeline.ledger.store.spill_file import scratch_database
from pipeline.model import ObjectState

# The rows of a run by object, and what is found about their states.
_CREATE_STAGED = "CREATE TABLE staged (row_no INTEGER PRIMARY KEY, object TEXT, version TEXT, digest BLOB)"
_CREATE_CORRECTED = "CREATE TABLE corrected (row_no INTEGER, identity TEXT, version TEXT, last_row_no INTEGER)"
# Each object, with its number of rows, and of rows that say when it changed.
_OBJECTS = "SELECT object, count(*), sum(version <> '') FROM staged GROUP BY object"
# The rows of objects from one to another, in the order in which they are sent.
_ROWS_BETWEEN = """
SELECT object, row_no, version, digest FROM staged WHERE object BETWEEN ? AND ? ORDER BY object, version, row_no
"""
# The rows of one object, in the order in which they are sent.
_ROWS_OF_OBJECT = "SELECT row_no, version, digest FROM staged WHERE object = ? ORDER BY version, row_no"


class StagedStates:
    """
    The states of a run's rows while it is staging.

    Objects are decided on in batches of up to `rows_at_once` rows, so that one query serves many objects. An object
    with more rows is decided on alone, and its rows are never all in memory: only the past states that they repeat.
    """

    def __init__(self, run: RunRecord, folder: Path, *, rows_at_once: int = 5_000) -> None:
        self._run = run
        self._rows_at_once = rows_at_once
        self._table = scratch_database(folder)
        self._table.execute(_CREATE_STAGED)
        self._table.execute(_CREATE_CORRECTED)

    def add(self, rows: Iterable["NotedState"], moved: int = 0) -> None:
        """Add rows, numbered `moved` more than they are."""
        self._table.executemany(
            "INSERT INTO staged VALUES (?, ?, ?, ?)",
            ((row_no + moved, obj, version, digest) for row_no, obj, version, digest in rows),
        )

    def decide(self, connection: Connection, rulings: Rulings, heartbeat: Callable[[], None]) -> None:
        """Rule on all rows; `connection` is the ledger's, and only read. `heartbeat` is called now and then."""
        self._table.execute("CREATE INDEX staged_by_object ON staged (object, version, row_no, digest)")
        for objects in self._batches():
            if len(objects) == 1:
                self._decide_one(connection, rulings, objects[0])
            else:
                self._decide_some(connection, rulings, objects)
            heartbeat()
        self._table.execute("CREATE INDEX corrected_by_row ON corrected (row_no)")

    def _batches(self) -> Iterator[list["_Object"]]:
        """Yield all objects in batches; an object with more rows than fit is a batch of its own."""
        batch, room = list[_Object](), self._rows_at_once
        for obj in map(_Object._make, self._table.execute(_OBJECTS)):
            if batch and obj.rows > room:
                yield batch
                batch, room = [], self._rows_at_once
            batch.append(obj)
            room -= obj.rows
        if batch:
            yield batch

    def _decide_some(self, connection: Connection, rulings: Rulings, objects: list["_Object"]) -> None:
        """Rule on the rows of objects that fit into memory."""
        names = [obj.name for obj in objects]
        newest = newest_states(connection, self._run, names)
        # Twice as much history as there may be rows: some of it may be missing in the export.
        histories = defaultdict[str, deque[KnownState]](lambda: deque(maxlen=2 * self._rows_at_once))
        for name, state in history_of(connection, self._run, names):
            histories[name].append(state)
        if not newest and not histories and len(objects) == sum(obj.rows for obj in objects):
            # All objects are new and have one row each, as in most exports: there is nothing to find.
            return
        found = self._table.execute(_ROWS_BETWEEN, (names[0], names[-1]))
        for obj, (name, lines) in zip(objects, groupby(found, key=itemgetter(0)), strict=True):
            history = [state for alias in sorted(names_of(name)) for state in histories.get(alias, ())]
            rows = [StagedState(*line[1:]) for line in lines]
            if obj.rows > 1 or history or name in newest:
                self._rule(rulings, obj, partial(iter, rows), partial(reversed, history), newest.get(name))

    def _decide_one(self, connection: Connection, rulings: Rulings, obj: "_Object") -> None:
        """Rule on the rows of one object, however many."""
        newest = newest_states(connection, self._run, [obj.name]).get(obj.name)

        def rows() -> Iterator[StagedState]:
            return (StagedState(*line) for line in self._table.execute(_ROWS_OF_OBJECT, (obj.name,)))

        def newest_first() -> Iterator[KnownState]:
            return (state for _, state in history_of(connection, self._run, [obj.name], newest_first=True))

        self._rule(rulings, obj, rows, newest_first, newest)

    def _rule(
        self,
        rulings: Rulings,
        obj: "_Object",
        rows: Callable[[], Iterable[StagedState]],
        newest_first: Callable[[], Iterator[KnownState]],
        newest: NewestState | None,
    ) -> None:
        if 0 < obj.dated < obj.rows:
            for state in rows():
                rulings.rule(state.row_no, Ruling.SOME_TIMES)
        else:
            corrections = Sequence(rows, newest_first, newest, rulings.rule).decide()
            self._table.executemany("INSERT INTO corrected VALUES (?, ?, ?, ?)", corrections)

    def apply(self, chunk: StagedChunk) -> None:
        """Write their identities into the states of a chunk, with the time of change."""
        first, last = chunk.first_row_no, chunk.first_row_no + len(chunk.decisions) - 1
        corrected: dict[int, tuple[str | None, str]] = {}
        found = self._table.execute("SELECT * FROM corrected WHERE row_no BETWEEN ? AND ?", (first, last))
        for row_no, identity, version, last_row_no in found:
            corrected[row_no - first] = identity, version
            chunk.last_rows[row_no - first] = last_row_no
        objects, versions = list(chunk.parts.values("identity")), list(chunk.parts.values("version"))
        for n, at in enumerate(chunk.parts.values("at")):
            identity, version = corrected.get(at, (None, versions[n]))
            if identity and chunk.decisions[at] != RowDecision.DUE and object_of(identity) != objects[n]:
                # The ledger has the object under its name of version 1: both names are looked up later.
                identity = None
            own = identity_of(ObjectState(objects[n], version), last_position_of(self._run, chunk, at))
            chunk.parts.change(n, identity=identity or own, version=version or None)

    def close(self) -> None:
        """Delete the rows."""
        self._table.close()


# The number of a row, its object, its time of change or "", and its digest.
NotedState = tuple[int, str, str, bytes]


def noted_states(chunk: StagedChunk, fixed: Mapping[int, VariantDelivery]) -> list[NotedState]:
    """Return the rows of a chunk that can be sent; `fixed` are states that were delivered instead of rows."""
    due = chunk.parts.take(chunk.due_parts())
    own = zip(*map(due.values, ("at", "identity", "version", "digest")), strict=True)
    instead = ((at, object_of(delivery.identity), delivery.version, delivery.digest) for at, delivery in fixed.items())
    return [(chunk.first_row_no + at, obj, version or "", digest) for at, obj, version, digest in (*own, *instead)]


class _Object(NamedTuple):
    """An object: how many rows it has in the run, and how many of them say when it changed."""

    name: str
    rows: int
    dated: int


def last_position_of(run: RunRecord, chunk: StagedChunk, at: int) -> int:
    """Return the position of the last row that says the same as a row of a chunk."""
    return position(run.run_no, chunk.last_rows.get(at, chunk.first_row_no + at))


def decide_states(connection: Connection, run: RunRecord, chunk: StagedChunk) -> None:
    """Make states due again that are no longer unchanged, since another job sent a state of the object meanwhile."""
    for row in _unchanged_rows(connection, run, chunk):
        newest = row.newest
        if newest is None or not newest.is_confirmed(row.digest):
            is_later = newest is not None and newest.is_later(row.version, row.position)
            chunk.decisions[row.at] = RowDecision.SUPERSEDED if is_later else RowDecision.DUE
            # The state that the row was found to be is delivered. It comes back, as another state.
            own = identity_of(ObjectState(row.object, row.version), row.position)
            chunk.parts.change(row.part, identity=own)


def leave_out_states(connection: Connection, run: RunRecord, chunk: StagedChunk) -> set[int]:
    """
    Skip states that the platform has, for a run that ends while it reads, by what is read so far.

    Returns the indexes of rows that an earlier attempt may have applied.
    """
    objects, digests = chunk.parts.values("identity"), chunk.parts.values("digest")
    newest_of, in_doubt = newest_states(connection, run, set(objects)), set[int]()
    for n, at in enumerate(chunk.parts.values("at")):
        newest = newest_of.get(objects[n])
        if newest is not None and newest.digest == digests[n]:
            if newest.unsettled:
                in_doubt.add(at)
            else:
                chunk.decisions[at] = RowDecision.UNCHANGED
    return in_doubt


def note_unchanged(connection: Connection, run: RunRecord, chunk: StagedChunk) -> None:
    """
    Note when an export says again what the platform has: no state from before may be sent after that.

    Nothing is written where it would change nothing: the export is not newer, and no run has an earlier state of the
    object to send, or may get one.
    """
    rows = list(_unchanged_rows(connection, run, chunk))
    objects = {newest.object for row in rows if (newest := row.newest)}
    contested = objects if may_stage_before(connection, run) else objects_with_dues(connection, objects)
    note_repeated(
        connection,
        run,
        [
            (newest.object, newest.identity, row.version, row.position)
            for row in rows
            if (newest := row.newest) and (newest.object in contested or (row.version or "") > (newest.version or ""))
        ],
    )


class _UnchangedRow(NamedTuple):
    """A row that says what the platform has already, beside the newest state that the ledger knows of its object."""

    part: int
    at: int
    object: str
    digest: bytes
    version: str | None
    position: int
    newest: NewestState | None


def _unchanged_rows(connection: Connection, run: RunRecord, chunk: StagedChunk) -> Iterator[_UnchangedRow]:
    is_unchanged = (chunk.decisions_by_row() == RowDecision.UNCHANGED)[chunk.parts.numbers("at")]
    indexes = np.flatnonzero(is_unchanged)
    parts = chunk.parts.take(indexes)
    objects = [object_of(identity) for identity in parts.values("identity")]
    newest = newest_states(connection, run, set(objects))
    columns = (parts.values(name) for name in ("at", "digest", "version"))
    for part, obj, at, digest, version in zip(indexes.tolist(), objects, *columns, strict=True):
        yield _UnchangedRow(part, at, obj, digest, version, last_position_of(run, chunk, at), newest.get(obj))
