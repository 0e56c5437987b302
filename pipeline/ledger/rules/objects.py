"""
What the ledger knows of the objects that states are of.

The table `objects` has a line for each object: its newest state that the platform may hold, and the one before while
it is not known whether the newest was applied. All states that an object had are in `deliveries`, and those that a run
has still to send in `dues`: their identities begin with the object and sort as the states go out.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from pipeline.ledger.records import DeliveryState, Due, RunRecord
from pipeline.model import UNIT_SEPARATOR, ObjectState

_MAY_BE_APPLIED = frozenset({DeliveryState.SUCCEEDED, DeliveryState.SENDING, DeliveryState.UNKNOWN})


def identity_of(state: ObjectState, position: int) -> str:
    """
    Return what makes a state one and the same: its object, the run that staged it first, when it changed, and the row.

    So identities of one object sort as its states go out.
    """
    run_no, row_no = divmod(position, 1 << 40)
    return f"{state.object}{UNIT_SEPARATOR}{run_no:08x}{state.version or ''}{row_no:010x}"


def object_of(identity: str) -> str:
    """Return the object that the state with this identity is of."""
    return identity.rpartition(UNIT_SEPARATOR)[0]


def object_in(identity: str) -> str:
    """Return the SQL expression of the object that the state with an identity is of; that one is an expression too."""
    first = f"instr({identity}, char(31))"
    return f"substr({identity}, 1, {first} + instr(substr({identity}, {first} + 1), char(31)) - 1)"


def subject_of(identity: str) -> str:
    """Return what a delivery is about: the object of a state, staged or not; of anything else, the identity itself."""
    return object_of(identity) if identity.count(UNIT_SEPARATOR) == 2 else identity


def names_of(obj: str) -> tuple[str, str]:
    """Return the names of an object: its own, and that of all objects of its number in a ledger of version 1."""
    return obj, obj.partition(UNIT_SEPARATOR)[0] + UNIT_SEPARATOR


@dataclass(frozen=True, slots=True)
class NewestState:
    """
    The newest state of an object that the platform may hold, and how new it is.

    `unsettled`: it is not known whether it was applied. `confirmed` is the digest of the last state that surely was,
    and `confirmed_version` when that one changed.
    """

    object: str
    identity: str
    digest: bytes = field(repr=False)
    version: str | None
    position: int
    unsettled: int
    confirmed: bytes | None = field(repr=False)
    confirmed_version: str | None

    def is_later(self, version: str | None, position: int) -> bool:
        """Return whether this state is newer: by the export's own time where both have one."""
        if version is not None and self.version is not None and version != self.version:
            return self.version > version
        return self.position > position


@dataclass(frozen=True, slots=True)
class KnownState:
    """A state that an object had, or that some run has still to send: then without a delivery's state."""

    identity: str
    digest: bytes = field(repr=False)
    delivery: DeliveryState | None

    @property
    def version(self) -> str:
        """When it changed, as far as an export said so."""
        return self.identity.rpartition(UNIT_SEPARATOR)[2][8:-10]

    @property
    def may_be_applied(self) -> bool:
        """Whether the platform may have applied it."""
        return self.delivery in _MAY_BE_APPLIED


_HELD = (
    "SELECT h.object, h.identity, h.digest, h.version, h.position, h.unsettled,"
    " iif(h.unsettled, h.before_digest, h.digest), iif(h.unsettled, h.before_version, h.version)"
    " FROM json_each(?) AS asked CROSS JOIN objects AS h ON h.account_no = ? AND h.object = asked.value"
)


def newest_states(connection: sqlite3.Connection, run: RunRecord, objects: Collection[str]) -> dict[str, NewestState]:
    """Return the newest state of each of these objects; objects that nothing was sent of are left out."""
    names = {name for obj in objects for name in names_of(obj)}
    lines = connection.execute(_HELD, (orjson.dumps(sorted(names)).decode(), run.account_no))
    found = {name: NewestState(name, *reported) for name, *reported in lines}
    newest: dict[str, NewestState] = {}
    for obj in objects:
        known = [found[name] for name in names_of(obj) if name in found]
        if known:
            newest[obj] = max(known, key=lambda held: held.position)
    return newest


# What is open has an index of its own, which is found by these words.
_IS_OPEN = "coalesce(d.status, '') NOT IN ('succeeded', 'skipped')"
# `char(32)` follows the separator: these are the identities that begin with the object and the separator.
_HISTORY = (
    "SELECT asked.value AS object, v.identity, v.digest, v.state FROM json_each(:objects) AS asked"
    " CROSS JOIN deliveries AS v ON v.account_no = :account_no AND v.api = :api"
    " AND v.identity > asked.value || char(31) AND v.identity < asked.value || char(32)"
    " UNION"
    " SELECT asked.value, d.identity, d.digest, NULL FROM json_each(:objects) AS asked CROSS JOIN dues AS d"
    f" ON d.object = asked.value AND {_IS_OPEN} JOIN runs AS r USING (run_no)"
    " WHERE r.account_no = :account_no AND NOT EXISTS (SELECT 1 FROM deliveries AS v"
    " WHERE v.account_no = :account_no AND v.api = :api AND v.identity = d.identity)"
)
_APPLIED = f"WHERE state IN {tuple(map(str, sorted(_MAY_BE_APPLIED)))}"


def history_of(
    connection: sqlite3.Connection, run: RunRecord, objects: Collection[str], *, newest_first: bool = False
) -> Iterator[tuple[str, KnownState]]:
    """Yield the states that objects had, or that some run has still to send, in the order of staging or backwards."""
    order = f"ORDER BY identity{' DESC' if newest_first else ''}"
    return _known_states(connection, run, objects, f"{_HISTORY} {order}")


def last_states(
    connection: sqlite3.Connection, run: RunRecord, obj: str, count: int, *, only_applied: bool
) -> Iterator[KnownState]:
    """Yield so many states of an object's history, the last ones; only those that may be applied, where asked for."""
    newest = f"SELECT * FROM ({_HISTORY}) {_APPLIED if only_applied else ''} ORDER BY identity DESC LIMIT {count:d}"
    found = _known_states(connection, run, [obj], f"SELECT * FROM ({newest}) ORDER BY identity")
    return (earlier for _, earlier in found)


def _known_states(
    connection: sqlite3.Connection, run: RunRecord, objects: Collection[str], question: str
) -> Iterator[tuple[str, KnownState]]:
    names = sorted({name for obj in objects for name in names_of(obj)})
    asked = {"objects": orjson.dumps(names).decode(), "account_no": run.account_no, "api": run.api}
    for name, identity, digest, state in connection.execute(question, asked):
        yield name, KnownState(identity, digest, None if state is None else DeliveryState(state))


def objects_with_dues(connection: sqlite3.Connection, objects: Collection[str]) -> set[str]:
    """Return those of the objects that some run may yet send a state of."""
    found = connection.execute(
        "SELECT DISTINCT d.object FROM json_each(?) AS asked CROSS JOIN dues AS d"
        f" ON d.object = asked.value AND {_IS_OPEN}",
        (orjson.dumps(sorted(objects)).decode(),),
    )
    return {obj for (obj,) in found}


def is_earlier_open(connection: sqlite3.Connection, run: RunRecord, due: Due) -> bool:
    """Return whether the run could not send an earlier state of the due's object."""
    if due.state is None:
        return False
    found = connection.execute(
        f"SELECT EXISTS (SELECT 1 FROM dues AS d WHERE d.object = :object AND {_IS_OPEN}"
        " AND d.status IN ('unsent', 'blocked') AND d.run_no = :run_no"
        " AND (coalesce(d.version, ''), coalesce(d.last_position, d.position)) < (coalesce(:version, ''), :position))",
        {
            "object": due.state.object,
            "run_no": run.run_no,
            "version": due.state.version,
            "position": due.position,
        },
    ).fetchone()
    return bool(found[0])


def intend_state(connection: sqlite3.Connection, run: RunRecord, due: Due) -> None:
    """Note that a state is about to be sent: from here on the platform may hold it."""
    if due.state is None:
        return
    connection.execute(
        "INSERT INTO objects (account_no, object, identity, digest, version, position, unsettled)"
        " VALUES (?, ?, ?, ?, ?, ?, 1)"
        " ON CONFLICT DO UPDATE SET unsettled = 1, identity = excluded.identity, digest = excluded.digest,"
        " version = excluded.version, position = excluded.position, before_identity = identity,"
        " before_digest = digest, before_version = version, before_position = position"
        " WHERE identity <> excluded.identity",
        (run.account_no, due.state.object, due.identity, due.digest, due.state.version, due.position),
    )
    note_repeated(connection, run, [(due.state.object, due.identity, due.state.version, due.position)])


def settle_state(connection: sqlite3.Connection, run: RunRecord, due: Due, leaves: DeliveryState | None) -> None:
    """Note what came of a state that was sent."""
    if due.state is None or leaves is DeliveryState.UNKNOWN:
        return
    where = " WHERE account_no = ? AND object = ? AND identity = ?"
    key = (run.account_no, due.state.object, due.identity)
    if leaves is DeliveryState.SUCCEEDED:
        connection.execute("UPDATE objects SET unsettled = 0" + where, key)
        return
    # Surely not applied: the state before it is the newest again.
    connection.execute("DELETE FROM objects" + where + " AND before_identity IS NULL", key)
    connection.execute(
        "UPDATE objects SET unsettled = 0, identity = before_identity, digest = before_digest,"
        " version = before_version, position = before_position" + where,
        key,
    )


def note_unchanged(connection: sqlite3.Connection, run: RunRecord, dues: Sequence[Due]) -> None:
    """Note that dues are not sent, since the platform holds their states: no state from before may be sent any more."""
    states = [(due.state, due.position) for due in dues if due.state is not None]
    if states:
        held = newest_states(connection, run, {state.object for state, _ in states})
        newest = [held[state.object] for state, _ in states]
        reported = zip(newest, states, strict=True)
        note_repeated(connection, run, [(h.object, h.identity, s.version, position) for h, (s, position) in reported])


def note_repeated(
    connection: sqlite3.Connection, run: RunRecord, reported: Sequence[tuple[str, str, str | None, int]]
) -> None:
    """Note that states which are the newest of their objects are told again: object, identity, version and position."""
    connection.executemany(
        "UPDATE objects SET position = max(position, ?4), version = coalesce(max(version, ?3), version, ?3)"
        " WHERE account_no = ?5 AND object = ?1 AND identity = ?2",
        ((*each, run.account_no) for each in reported),
    )
