"""
What the ledger knows of the objects that states are of.

The table `objects` has a line for each object: its newest state that the platform may have, and the state before while
it is not known whether the newest was applied. All states that an object had are in `deliveries`; those that a run is
still to send are in `dues`. Their identities begin with the object, and sort in the order of sending.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from pipeline.ledger.records import ROW_BITS, DeliveryState, Due, RunRecord
from pipeline.ledger.store.port import Connection, json_of
from pipeline.model import UNIT_SEPARATOR, ObjectState

MAY_BE_APPLIED = frozenset({DeliveryState.SUCCEEDED, DeliveryState.SENDING, DeliveryState.UNKNOWN})

# `coalesce(d.status, '') NOT IN ('succeeded', 'skipped')` below is the condition of the index `dues_open_by_object`,
# word for word: otherwise SQLite does not use it.

# The newest state of some objects; while that is unsettled, the state before is the last confirmed one.
_NEWEST = """
SELECT h.object, h.identity, h.digest, h.version, h.position, h.unsettled,
    CASE WHEN h.unsettled <> 0 THEN h.before_digest ELSE h.digest END,
    CASE WHEN h.unsettled <> 0 THEN h.before_version ELSE h.version END
FROM json_each(?) AS wanted CROSS JOIN objects AS h ON h.account_no = ? AND h.object = wanted.value
"""
# All states that some objects had, and those that a run is still to send. Identities of an object lie between the
# object with a separator, char(31), and the object with the next character, char(32). Dues of a later run are left out:
# a run that is staged again comes before that run.
_HISTORY = """
SELECT wanted.value AS object, v.identity, v.digest, v.state
FROM json_each(:objects) AS wanted
CROSS JOIN deliveries AS v ON v.account_no = :account_no AND v.api = :api
    AND v.identity > wanted.value || char(31) AND v.identity < wanted.value || char(32)
UNION
SELECT wanted.value, d.identity, d.digest, NULL
FROM json_each(:objects) AS wanted
CROSS JOIN dues AS d ON d.object = wanted.value AND coalesce(d.status, '') NOT IN ('succeeded', 'skipped')
JOIN runs AS r USING (run_no)
WHERE r.account_no = :account_no AND d.run_no <= :run_no AND NOT EXISTS (
    SELECT 1 FROM deliveries AS v
    WHERE v.account_no = :account_no AND v.api = :api AND v.identity = d.identity
)
ORDER BY identity {order}
"""
# Objects, of some, that a run may still send a state of.
_OBJECTS_WITH_DUES = """
SELECT DISTINCT d.object
FROM json_each(?) AS wanted
CROSS JOIN dues AS d ON d.object = wanted.value AND coalesce(d.status, '') NOT IN ('succeeded', 'skipped')
"""
# Whether a run could not send an earlier state of an object.
_IS_EARLIER_OPEN = """
SELECT EXISTS (
    SELECT 1 FROM dues AS d
    WHERE d.object = :object AND coalesce(d.status, '') NOT IN ('succeeded', 'skipped')
        AND d.status IN ('unsent', 'blocked') AND d.run_no = :run_no
        AND (coalesce(d.version, ''), coalesce(d.last_position, d.position)) < (coalesce(:version, ''), :position)
)
"""
# A state is about to be sent: it becomes the newest, and the newest becomes the one before.
_INTEND = """
INSERT INTO objects (account_no, object, identity, digest, version, position, unsettled)
VALUES (?, ?, ?, ?, ?, ?, 1)
ON CONFLICT (account_no, object) DO UPDATE SET unsettled = 1, identity = excluded.identity, digest = excluded.digest,
    version = excluded.version, position = excluded.position,
    before_identity = objects.identity, before_digest = objects.digest, before_version = objects.version,
    before_position = objects.position
WHERE objects.identity <> excluded.identity
"""
# The newest state is confirmed.
_CONFIRM = "UPDATE objects SET unsettled = 0 WHERE account_no = ? AND object = ? AND identity = ?"
# The newest state was surely not applied, and there was none before: nothing is known of the object any more.
_FORGET = "DELETE FROM objects WHERE account_no = ? AND object = ? AND identity = ? AND before_identity IS NULL"
# The newest state was surely not applied: the one before is the newest again.
_TAKE_BACK = """
UPDATE objects SET unsettled = 0, identity = before_identity, digest = before_digest,
    version = before_version, position = before_position
WHERE account_no = ? AND object = ? AND identity = ?
"""
# An export says the newest state again: the state counts as new as the later of the two. The time of change is that of
# the newer one, if it has one, by the rule of `NewestState.is_later`. With the time of the older one, a state that was
# left unsent before, and is newer than that time, would be sent after the later export.
_REPEAT = """
UPDATE objects
SET position = CASE WHEN :position > position THEN :position ELSE position END,
    version = CASE WHEN coalesce(version < :version, position < :position) THEN :version ELSE version END
WHERE account_no = :account_no AND object = :object AND identity = :identity
"""


def identity_of(state: ObjectState, position: int) -> str:
    """
    Return the identity of a state: its object, the run that staged it first, its time of change, and the row.

    So identities of one object sort in the order of sending.
    """
    run_no, row_no = divmod(position, 1 << ROW_BITS)
    return f"{state.object}{UNIT_SEPARATOR}{run_no:08x}{state.version or ''}{row_no:010x}"


def object_of(identity: str) -> str:
    """Return the object of the state with this identity."""
    return identity.rpartition(UNIT_SEPARATOR)[0]


def object_in(identity: str) -> str:
    """Return the SQL expression for the object of a state; `identity` is the SQL expression of its identity."""
    first = f"instr({identity}, char(31))"
    return f"substr({identity}, 1, {first} + instr(substr({identity}, {first} + 1), char(31)) - 1)"


def subject_of(identity: str) -> str:
    """Return the subject of a delivery: the object of a state, staged or not; otherwise the identity itself."""
    return object_of(identity) if identity.count(UNIT_SEPARATOR) == 2 else identity


def names_of(obj: str) -> tuple[str, str]:
    """Return the names of an object: its own, and the name that ledgers of version 1 have for all of its number."""
    return obj, obj.partition(UNIT_SEPARATOR)[0] + UNIT_SEPARATOR


@dataclass(frozen=True, slots=True)
class NewestState:
    """
    The newest state of an object that the platform may have.

    `unsettled`: it is not known whether it was applied. `confirmed` is the digest of the last state that surely was,
    `confirmed_version` its time of change.
    """

    object: str
    identity: str
    digest: bytes = field(repr=False)
    version: str | None
    position: int
    unsettled: int
    confirmed: bytes | None = field(repr=False)
    confirmed_version: str | None

    def is_confirmed(self, digest: bytes) -> bool:
        """Return whether the platform surely has this content as its newest state."""
        return not self.unsettled and self.confirmed == digest

    def is_later(self, version: str | None, position: int) -> bool:
        """Return whether this state is newer: by the time of change where both have one, else by position."""
        if version is not None and self.version is not None and version != self.version:
            return self.version > version
        return self.position > position


@dataclass(frozen=True, slots=True)
class KnownState:
    """A state that an object had, or that a run is still to send; the latter has no delivery."""

    identity: str
    digest: bytes = field(repr=False)
    delivery: DeliveryState | None

    @property
    def version(self) -> str:
        """The time of change, or an empty text if the export had none."""
        return self.identity.rpartition(UNIT_SEPARATOR)[2][8:-10]

    @property
    def may_be_applied(self) -> bool:
        """Whether the platform may have applied it."""
        return self.delivery in MAY_BE_APPLIED


def newest_states(connection: Connection, run: RunRecord, objects: Collection[str]) -> dict[str, NewestState]:
    """Return the newest state of each of these objects; objects of which nothing was sent are left out."""
    names = {name for obj in objects for name in names_of(obj)}
    lines = connection.execute(_NEWEST, (json_of(sorted(names)), run.account_no))
    found = {name: NewestState(name, *columns) for name, *columns in lines}
    newest: dict[str, NewestState] = {}
    for obj in objects:
        known = [found[name] for name in names_of(obj) if name in found]
        if known:
            newest[obj] = max(known, key=lambda state: state.position)
    return newest


def history_of(
    connection: Connection, run: RunRecord, objects: Collection[str], *, newest_first: bool = False
) -> Iterator[tuple[str, KnownState]]:
    """Yield the states that objects had, or that a run is still to send, with their object; in order or backwards."""
    names = json_of(sorted({name for obj in objects for name in names_of(obj)}))
    values = {"objects": names, "account_no": run.account_no, "api": run.api, "run_no": run.run_no}
    for name, identity, digest, state in connection.execute(
        _HISTORY.format(order="DESC" if newest_first else "ASC"), values
    ):
        yield name, KnownState(identity, digest, None if state is None else DeliveryState(state))


def objects_with_dues(connection: Connection, objects: Collection[str]) -> set[str]:
    """Return those of the objects that a run may still send a state of."""
    found = connection.execute(_OBJECTS_WITH_DUES, (json_of(sorted(objects)),))
    return {obj for (obj,) in found}


def is_earlier_open(connection: Connection, run: RunRecord, due: Due) -> bool:
    """Return whether the run could not send an earlier state of the due's object."""
    if due.state is None:
        return False
    state = {"object": due.state.object, "version": due.state.version, "position": due.position, "run_no": run.run_no}
    return bool(connection.execute(_IS_EARLIER_OPEN, state).fetchone()[0])


def intend_state(connection: Connection, run: RunRecord, due: Due) -> None:
    """Note that a state is about to be sent: from here on the platform may have it."""
    if due.state is None:
        return
    connection.execute(
        _INTEND, (run.account_no, due.state.object, due.identity, due.digest, due.state.version, due.position)
    )
    note_repeated(connection, run, [(due.state.object, due.identity, due.state.version, due.position)])


def settle_state(connection: Connection, run: RunRecord, due: Due, leaves: DeliveryState | None) -> None:
    """Note how the delivery of a state ended; `leaves` is what the ledger knows of it now."""
    if due.state is None or leaves is DeliveryState.UNKNOWN:
        return
    key = (run.account_no, due.state.object, due.identity)
    if leaves is DeliveryState.SUCCEEDED:
        connection.execute(_CONFIRM, key)
    else:
        connection.execute(_FORGET, key)
        connection.execute(_TAKE_BACK, key)


def note_unchanged(connection: Connection, run: RunRecord, dues: Sequence[Due]) -> None:
    """Note that dues are not sent since the platform has their states: no state from before may be sent after that."""
    states = [(due.state, due.position) for due in dues if due.state is not None]
    if states:
        newest_of = newest_states(connection, run, {state.object for state, _ in states})
        repeated = [(newest_of[state.object], state.version, position) for state, position in states]
        note_repeated(
            connection, run, [(newest.object, newest.identity, version, at) for newest, version, at in repeated]
        )


def note_repeated(connection: Connection, run: RunRecord, states: Sequence[tuple[str, str, str | None, int]]) -> None:
    """Note that newest states are said again: object, identity, version and position of each."""
    names = ("object", "identity", "version", "position")
    connection.executemany(
        _REPEAT, ({"account_no": run.account_no, **dict(zip(names, state, strict=True))} for state in states)
    )
