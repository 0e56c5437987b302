"""Intents and settlements: what is known of each delivery, changed only inside one transaction."""

import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter

import orjson

from pipeline.ledger.records import DeliveryState, Due, RunRecord, Settlement
from pipeline.ledger.rules.admission import Admission, Blocked, Conflict, Go, Skip, admit, is_overtaken
from pipeline.ledger.rules.dependencies import (
    SUPERSEDED,
    UNCHANGED,
    payment_of,
    sequence_of_states,
    under_way_elsewhere,
)
from pipeline.ledger.rules.fixes import judge_dues, knows_fixes, note_sent
from pipeline.ledger.rules.known_deliveries import KnownDeliveries, cards_of, known_deliveries_of
from pipeline.ledger.rules.objects import intend_state, note_unchanged, settle_state
from pipeline.ledger.rules.tasks import form_conflict
from pipeline.ledger.store.generations import Generation, may_have_been_sent
from pipeline.ledger.store.lease import IsGone
from pipeline.model import Status

_TOLD = tuple(field.name for field in fields(Settlement) if field.name != "leaves")
_reported = attrgetter(*_TOLD)
_WITHOUT_INTENT = (Status.SKIPPED, Status.INVALID, Status.BLOCKED)
# What is confirmed is never sent again: its body and its row, which name a user, need not be kept.
_DONE = (Status.SUCCEEDED, Status.SKIPPED)

_UNCHANGED = Skip(UNCHANGED)

# A due, and how it ended; without that it is about to be sent.
Entry = tuple[Due, Settlement | None]


def record(
    connection: sqlite3.Connection,
    run: RunRecord,
    entries: Sequence[Entry],
    *,
    generation: Generation,
    is_gone: IsGone,
    now: int,
) -> list[Admission | None]:
    """
    Fix the outcomes of dues that ended, then write the intents to send the others; return an admission for each intent.

    Where the ledger does not let a due go out nothing is changed. One that does counts as possibly applied until it is
    settled. Dues of one lane that are to be sent have all of those before them settled, here at the latest, or wait for
    none of them. `generation` is that of the ledger; `is_gone` tells whether the holder of a job is dead; `now` is in
    seconds since 1970.
    """
    _settle(connection, run, [(due, end) for due, end in entries if end is not None])
    going = [due for due, end in entries if end is None]
    admissions = iter(_doubted(generation, run, going, _intend(connection, run, going, is_gone, now)))
    return [next(admissions) if end is None else None for _, end in entries]


def _doubted(
    generation: Generation, run: RunRecord, dues: Sequence[Due], admissions: Sequence[Admission]
) -> list[Admission]:
    """Put in doubt what a lost state of the ledger may have sent."""
    return [
        Go(doubt=True)
        if isinstance(admission, Go) and admission.before is None and may_have_been_sent(generation, run.api, due)
        else admission
        for due, admission in zip(dues, admissions, strict=True)
    ]


def _intend(
    connection: sqlite3.Connection, run: RunRecord, dues: Sequence[Due], is_gone: IsGone, now: int
) -> list[Admission]:
    if not dues:
        return []
    earlier = known_deliveries_of(connection, run, [due.identity for due in dues])
    has_fixes = knows_fixes(connection, run)
    forbidden = judge_dues(connection, run, dues) if has_fixes else {}
    admissions = [forbidden.get(due.due_no) or _admission(connection, run, due, earlier, is_gone) for due in dues]
    going = [due for due, admission in zip(dues, admissions, strict=True) if isinstance(admission, Go)]
    connection.execute(
        "INSERT INTO deliveries (account_no, api, identity, digest, state, due_no, intended_at)"
        " SELECT ?, ?, d.identity, d.digest, ?, d.due_no, ? FROM json_each(?) AS asked CROSS JOIN dues AS d"
        " ON d.due_no = asked.value WHERE true"
        " ON CONFLICT DO UPDATE SET digest = excluded.digest, state = excluded.state, due_no = excluded.due_no,"
        " intended_at = excluded.intended_at",
        (run.account_no, run.api, DeliveryState.SENDING, now, _json([due.due_no for due in going])),
    )
    if has_fixes:
        note_sent(connection, going)
    for due in going:
        _intend_balance(connection, run, due)
        intend_state(connection, run, due)
    note_unchanged(connection, run, [due for due, found in zip(dues, admissions, strict=True) if found == _UNCHANGED])
    return admissions


def _admission(
    connection: sqlite3.Connection, run: RunRecord, due: Due, earlier: KnownDeliveries, is_gone: IsGone
) -> Admission:
    admission = admit(earlier.known(due.identity), due.digest)
    if not isinstance(admission, Go):
        return admission
    is_sending = admission.before is DeliveryState.SENDING
    return (
        (under_way_elsewhere(connection, run, due, is_gone) if is_sending else None)
        or _obstacle(connection, run, due, doubt=admission.doubt)
        or payment_of(connection, run, due)
        or admission
    )


def _obstacle(
    connection: sqlite3.Connection, run: RunRecord, due: Due, *, doubt: bool
) -> Conflict | Skip | Blocked | None:
    """Say why a due is not sent, or never any more. What is in doubt, but for a balance, has to be settled."""
    if due.balance is not None:
        card = cards_of(connection, run, [due.balance.card]).get(due.balance.card)
        return Skip(SUPERSEDED) if is_overtaken(due.balance, due.position, due.identity, card) else None
    return None if doubt else form_conflict(connection, run, due) or sequence_of_states(connection, run, due)


def _intend_balance(connection: sqlite3.Connection, run: RunRecord, due: Due) -> None:
    if due.balance is None:
        return
    connection.execute(
        "INSERT INTO cards (account_no, card, unsettled, newest_identity, newest_version, newest_position)"
        " VALUES (?, ?, 1, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET unsettled = 1, newest_identity = excluded.newest_identity,"
        " newest_version = excluded.newest_version, newest_position = excluded.newest_position,"
        " before_identity = newest_identity, before_version = newest_version, before_position = newest_position,"
        " before_unsettled = unsettled WHERE newest_identity <> excluded.newest_identity",
        (run.account_no, due.balance.card, due.identity, due.balance.version, due.position),
    )
    # The same balance said again by a later export is as new as that.
    connection.execute(
        "UPDATE cards SET newest_position = max(newest_position, ?),"
        " newest_version = CASE WHEN ? > newest_version THEN ? ELSE newest_version END"
        " WHERE account_no = ? AND card = ? AND newest_identity = ?",
        (due.position, due.balance.version, due.balance.version, run.account_no, due.balance.card, due.identity),
    )


# Each line of the JSON is what is told of a due, in the order of _TOLD and its number last; booleans are numbers to
# SQLite. Cut off before the first attempt, a resumed delivery keeps what is known of the last one.
_AT = {name: f"json_extract(told.value, '$[{n}]')" for n, name in enumerate((*_TOLD, "due_no"))}
_SETTLE = (
    f"UPDATE dues SET status = {_AT['status']}, code = {_AT['code']}, message = {_AT['message']},"
    f" wants_new_key = {_AT['wants_new_key']}, is_open = {_AT['is_open']},"
    f" body = iif({_AT['status']} IN {tuple(map(str, _DONE))}, NULL, body), attempts = attempts + {_AT['attempts']},"
    f" first_sent_at = coalesce(first_sent_at, {_AT['first_sent_at']}),"
    + ",".join(
        f" {name} = iif({_AT['attempts']}, {_AT[name]}, {name})"
        for name in ("http_status", "finished_at", "latency_ms", "trace_id")
    )
    + f" FROM json_each(?) AS told WHERE dues.due_no = {_AT['due_no']}"
)


def _settle(connection: sqlite3.Connection, run: RunRecord, ended: Sequence[tuple[Due, Settlement]]) -> None:
    """Fix the outcome of dues, and what is known of their deliveries from here on."""
    if not ended:
        return
    connection.execute(_SETTLE, (_json([(*_reported(end), due.due_no) for due, end in ended]),))
    _settle_deliveries(connection, run, [(due, end) for due, end in ended if end.status not in _WITHOUT_INTENT])
    _forget_cells(connection, run, [due.row_no for due, end in ended if end.status in _DONE])


def _settle_deliveries(connection: sqlite3.Connection, run: RunRecord, ended: Sequence[tuple[Due, Settlement]]) -> None:
    # Another job of the account may have delivered the same meanwhile: a success is never taken back.
    where = (
        " WHERE account_no = ? AND api = ? AND identity IN (SELECT value FROM json_each(?)) AND state <> 'succeeded'"
    )
    for state in {end.leaves for _, end in ended}:
        asked = (run.account_no, run.api, _json([due.identity for due, end in ended if end.leaves is state]))
        if state is None:
            connection.execute("DELETE FROM deliveries" + where, asked)
        else:
            connection.execute("UPDATE deliveries SET state = ?" + where, (state, *asked))
    for due, end in ended:
        _settle_balance(connection, run, due, end.leaves)
        settle_state(connection, run, due, end.leaves)


# After a resync the platform may have answered a key of the export from memory, and hold a balance that was sent since:
# it proves a balance that changed later, since its key is then as new.
_IS_UNPROVEN = (
    "(SELECT g.generation > 1 AND NOT d.key_is_derived AND coalesce(d.version, '') <= g.begun_at FROM dues AS d"
    " JOIN generations AS g WHERE d.due_no = ? ORDER BY g.generation DESC LIMIT 1)"
)


def _settle_balance(connection: sqlite3.Connection, run: RunRecord, due: Due, leaves: DeliveryState | None) -> None:
    if due.balance is None or leaves is DeliveryState.UNKNOWN:
        return
    where = " WHERE account_no = ? AND card = ? AND newest_identity = ?"
    key = (run.account_no, due.balance.card, due.identity)
    if leaves is DeliveryState.SUCCEEDED:
        connection.execute(
            f"UPDATE cards SET confirmed_points = ?, unsettled = {_IS_UNPROVEN}" + where,
            (due.balance.points, due.due_no, *key),
        )
        return
    # Surely not applied: the balance sent before it is the newest again.
    connection.execute(
        "UPDATE cards SET newest_identity = before_identity, newest_version = before_version,"
        " newest_position = before_position, unsettled = before_unsettled" + where + " AND before_identity IS NOT NULL",
        key,
    )
    connection.execute("DELETE FROM cards" + where + " AND before_identity IS NULL AND confirmed_points IS NULL", key)


def _forget_cells(connection: sqlite3.Connection, run: RunRecord, rows: Sequence[int]) -> None:
    connection.execute(
        "UPDATE rows SET cells = NULL WHERE run_no = ?1 AND row_no IN (SELECT value FROM json_each(?2))"
        " AND NOT EXISTS (SELECT 1 FROM dues AS d WHERE d.run_no = ?1 AND d.row_no = rows.row_no"
        " AND (status IS NULL OR status NOT IN ('succeeded', 'skipped')))",
        (run.run_no, _json(rows)),
    )


def _json(values: Sequence[object]) -> str:
    return orjson.dumps(values).decode()
