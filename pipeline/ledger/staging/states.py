"""
States of objects: which of a staged run are sent, under which identities, and what else is noted of them.

The rows wait in a table of their own until all are read. They are then decided on object by object.
"""

import sqlite3
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
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
    last_states,
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
from pipeline.ledger.store.spill_file import scratch_database
from pipeline.model import ObjectState


class StagedStates:
    """
    The states of a run's rows while it is staged.

    Objects are decided on together, up to `rows_at_once`, so that the ledger is asked for many of them at once. One
    that has more rows is decided on by itself, and its rows are not held.
    """

    def __init__(self, run: RunRecord, folder: Path, *, rows_at_once: int = 5_000) -> None:
        self._run = run
        self._rows_at_once = rows_at_once
        self._table = scratch_database(folder)
        self._table.execute("CREATE TABLE told (row_no INTEGER PRIMARY KEY, object TEXT, version TEXT, digest BLOB)")
        self._table.execute("CREATE TABLE corrected (row_no INTEGER, identity TEXT, version TEXT, last_row_no INTEGER)")

    def note(self, chunk: StagedChunk, fixed: Mapping[int, VariantDelivery]) -> None:
        """Take in the rows of a leaf that can be sent, and the states that were delivered in the stead of others."""
        due = chunk.parts.take(chunk.due_parts())
        reported = zip(*map(due.values, ("at", "identity", "version", "digest")), strict=True)
        instead = ((at, object_of(line.identity), line.version, line.digest) for at, line in fixed.items())
        self._table.executemany(
            "INSERT INTO told VALUES (?, ?, ?, ?)",
            (
                (chunk.first_row_no + at, obj, version or "", digest)
                for at, obj, version, digest in (*reported, *instead)
            ),
        )

    def decide(self, connection: sqlite3.Connection, rulings: Rulings, heartbeat: Callable[[], None]) -> None:
        """Rule on all rows; `connection` is the ledger's, and only read. `heartbeat` is called now and then."""
        self._table.execute("CREATE INDEX told_by_object ON told (object, version, row_no, digest)")
        for objects in self._batches():
            if len(objects) == 1:
                self._decide_one(connection, rulings, objects[0])
            else:
                self._decide_some(connection, rulings, objects)
            heartbeat()
        self._table.execute("CREATE INDEX corrected_by_row ON corrected (row_no)")

    def _batches(self) -> Iterator[list["_Rows"]]:
        """Yield all objects, some at once: one by itself where it has very many rows."""
        batch, left = list[_Rows](), self._rows_at_once
        found = self._table.execute("SELECT object, count(*), sum(version <> '') FROM told GROUP BY object")
        for rows in map(_Rows._make, found):
            if batch and rows.rows > left:
                yield batch
                batch, left = [], self._rows_at_once
            batch.append(rows)
            left -= rows.rows
        if batch:
            yield batch

    def _decide_some(self, connection: sqlite3.Connection, rulings: Rulings, objects: list["_Rows"]) -> None:
        """Rule on the rows of objects that are few enough to be held."""
        names = [rows.object for rows in objects]
        held = newest_states(connection, self._run, names)
        # Of a history as much as there may be rows, and as much again: some of it may be gone from the export.
        earlier = defaultdict[str, deque[KnownState]](lambda: deque(maxlen=2 * self._rows_at_once))
        for name, state in history_of(connection, self._run, names):
            earlier[name].append(state)
        if not held and not earlier and len(objects) == sum(rows.rows for rows in objects):
            # Of a new object with one row there is nothing to find out, and in most exports all are so.
            return
        found = self._table.execute(
            "SELECT object, row_no, version, digest FROM told WHERE object BETWEEN ? AND ?"
            " ORDER BY object, version, row_no",
            (names[0], names[-1]),
        )
        for rows, (obj, lines) in zip(objects, groupby(found, key=itemgetter(0)), strict=True):
            history = _HeldHistory([state for name in sorted(names_of(obj)) for state in earlier.get(name, ())])
            reported = [StagedState(*line[1:]) for line in lines]
            if rows.rows > 1 or history.states or obj in held:
                self._rule(rulings, rows, Sequence(reported, history, held.get(obj), rulings.rule_one), reported)

    def _decide_one(self, connection: sqlite3.Connection, rulings: Rulings, rows: "_Rows") -> None:
        """Rule on the rows of one object, however many."""
        held = newest_states(connection, self._run, [rows.object]).get(rows.object)
        reported = _StoredRows(self._table, rows.object)
        history = _StoredHistory(connection, self._run, rows.object)
        self._rule(rulings, rows, Sequence(reported, history, held, rulings.rule_one), reported)

    def _rule(self, rulings: Rulings, rows: "_Rows", sequence: Sequence, reported: Iterable[StagedState]) -> None:
        if 0 < rows.dated < rows.rows:
            for state in reported:
                rulings.rule_one(state.row_no, Ruling.SOME_TIMES)
        else:
            self._table.executemany("INSERT INTO corrected VALUES (?, ?, ?, ?)", sequence.decide())

    def apply(self, chunk: StagedChunk) -> None:
        """Give the states of a leaf their identities, and say when they changed."""
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
                # Its object bears the name of version 1; whether it still holds is asked under both names.
                identity = None
            own = identity_of(ObjectState(objects[n], version), last_position_of(self._run, chunk, at))
            chunk.parts.change(n, identity=identity or own, version=version or None)

    def close(self) -> None:
        """Forget the rows."""
        self._table.close()


class _Rows(NamedTuple):
    """How many rows an object has, and how many of them say when it changed."""

    object: str
    rows: int
    dated: int


@dataclass(frozen=True, slots=True)
class _StoredRows:
    """The rows of one object, in the order in which they are sent."""

    table: sqlite3.Connection
    object: str

    def __iter__(self) -> Iterator[StagedState]:
        found = self.table.execute(
            "SELECT row_no, version, digest FROM told WHERE object = ? ORDER BY version, row_no", (self.object,)
        )
        return (StagedState(*line) for line in found)


@dataclass(frozen=True, slots=True)
class _HeldHistory:
    """A history that is short enough to be held."""

    states: list[KnownState]

    def newest_first(self) -> Iterator[KnownState]:
        """Yield the states from the last to the first."""
        return reversed(self.states)

    def last(self, count: int, *, only_applied: bool) -> Iterator[KnownState]:
        """Yield so many, the last ones."""
        states = [state for state in self.states if state.may_be_applied] if only_applied else self.states
        return iter(states[len(states) - count :])


@dataclass(frozen=True, slots=True)
class _StoredHistory:
    """A history of any length, as the ledger has it."""

    connection: sqlite3.Connection
    run: RunRecord
    object: str

    def newest_first(self) -> Iterator[KnownState]:
        """Yield the states from the last to the first."""
        return (earlier for _, earlier in history_of(self.connection, self.run, [self.object], newest_first=True))

    def last(self, count: int, *, only_applied: bool) -> Iterator[KnownState]:
        """Yield so many, the last ones."""
        return last_states(self.connection, self.run, self.object, count, only_applied=only_applied)


def last_position_of(run: RunRecord, chunk: StagedChunk, at: int) -> int:
    """Return the place, among all rows ever staged, of the last row that says what a row says."""
    return position(run.run_no, chunk.last_rows.get(at, chunk.first_row_no + at))


def decide_states(connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk) -> None:
    """Take back what is unchanged no more, since another job of the account sent a state of the object."""
    for reported in _unchanged(connection, run, chunk):
        held = reported.held
        if held is None or held.unsettled or held.confirmed != reported.digest:
            is_later = held is not None and held.is_later(reported.version, reported.position)
            chunk.decisions[reported.at] = RowDecision.SUPERSEDED if is_later else RowDecision.DUE
            # The state that it was found to be is delivered: it comes back as another one.
            own = identity_of(ObjectState(reported.object, reported.version), reported.position)
            chunk.parts.change(reported.part, identity=own)


def leave_out_states(connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk) -> set[int]:
    """
    Leave out, of a run that ends while it reads, the states that the platform holds, by what is read so far.

    Returns the places of the rows that an earlier attempt may have applied.
    """
    objects, digests = chunk.parts.values("identity"), chunk.parts.values("digest")
    held, in_doubt = newest_states(connection, run, set(objects)), set[int]()
    for n, at in enumerate(chunk.parts.values("at")):
        newest = held.get(objects[n])
        if newest is not None and newest.digest == digests[n]:
            if newest.unsettled:
                in_doubt.add(at)
            else:
                chunk.decisions[at] = RowDecision.UNCHANGED
    return in_doubt


def note_unchanged(connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk) -> None:
    """
    Note how late an export still says what the platform holds: no state from before may be sent any more.

    Left out where it would change nothing: the export's own time says nothing new, and nobody has another state of the
    object to send from before, nor may come to have one.
    """
    unchanged = list(_unchanged(connection, run, chunk))
    objects = {held.object for reported in unchanged if (held := reported.held)}
    owed = objects if may_stage_before(connection, run) else objects_with_dues(connection, objects)
    note_repeated(
        connection,
        run,
        [
            (held.object, held.identity, reported.version, reported.position)
            for reported in unchanged
            if (held := reported.held) and (held.object in owed or (reported.version or "") > (held.version or ""))
        ],
    )


class _Unchanged(NamedTuple):
    part: int
    at: int
    object: str
    digest: bytes
    version: str | None
    position: int
    held: NewestState | None


def _unchanged(connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk) -> Iterator[_Unchanged]:
    """Yield the rows of a leaf that say what the platform holds already, beside what the ledger knows."""
    is_unchanged = (chunk.decisions_by_row() == RowDecision.UNCHANGED)[chunk.parts.numbers("at")]
    parts = np.flatnonzero(is_unchanged)
    reported = chunk.parts.take(parts)
    objects = [object_of(identity) for identity in reported.values("identity")]
    held = newest_states(connection, run, set(objects))
    columns = (reported.values(name) for name in ("at", "digest", "version"))
    for part, obj, at, digest, version in zip(parts.tolist(), objects, *columns, strict=True):
        yield _Unchanged(part, at, obj, digest, version, last_position_of(run, chunk, at), held.get(obj))
