"""Intents and settlements: what is known of each delivery, changed only inside one transaction."""

import sqlite3
from dataclasses import fields

from pipeline.ledger.admission import Admission, Conflict, Go, Skip, admit, is_overtaken
from pipeline.ledger.past import cards_of, past_of
from pipeline.ledger.precedence import SUPERSEDED, later_state_sent, what_goes_first
from pipeline.ledger.records import DeliveryState, Due, RunRecord, Settlement
from pipeline.ledger.tasks import form_conflict
from pipeline.model import Status

_TOLD = tuple(field.name for field in fields(Settlement) if field.name != "leaves")
_WITHOUT_INTENT = (Status.SKIPPED, Status.INVALID, Status.BLOCKED)


def intend(connection: sqlite3.Connection, run: RunRecord, due: Due) -> Admission:
    """
    Write the intent to send, if the ledger lets this content go out; else change nothing and say why not.

    Until `settle` the delivery counts as possibly applied.
    """
    admission = _admission(connection, run, due)
    if isinstance(admission, Go):
        connection.execute(
            "INSERT INTO deliveries (account_no, api, identity, digest, state, due_no) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET digest = excluded.digest, state = excluded.state, due_no = excluded.due_no",
            (run.account_no, run.api, due.identity, due.digest, DeliveryState.SENDING, due.due_no),
        )
        _intend_balance(connection, run, due)
    return admission


def _admission(connection: sqlite3.Connection, run: RunRecord, due: Due) -> Admission:
    admission = admit(past_of(connection, run, [due.identity]).known(due.identity), due.digest)
    if not isinstance(admission, Go):
        return admission
    return (
        _obstacle(connection, run, due, doubt=admission.doubt)
        or what_goes_first(connection, run, due, doubt=admission.doubt)
        or admission
    )


def _obstacle(connection: sqlite3.Connection, run: RunRecord, due: Due, *, doubt: bool) -> Conflict | Skip | None:
    """Say why a due is never sent any more. What is in doubt, but for a balance, has to be settled."""
    if due.balance is not None:
        card = cards_of(connection, run, [due.balance.card]).get(due.balance.card)
        return Skip(SUPERSEDED) if is_overtaken(due.balance, due.position, due.identity, card) else None
    return None if doubt else form_conflict(connection, run, due) or later_state_sent(connection, run, due)


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


# Cut off before the first attempt, a resumed delivery keeps what is known of the last one.
_SETTLE = (
    "UPDATE dues SET status = :status, code = :code, message = :message, wants_new_key = :wants_new_key,"
    " is_open = :is_open, body = iif(:is_done, NULL, body), attempts = attempts + :attempts,"
    " first_sent_at = coalesce(first_sent_at, :first_sent_at), http_status = iif(:attempts, :http_status, http_status),"
    " finished_at = iif(:attempts, :finished_at, finished_at), latency_ms = iif(:attempts, :latency_ms, latency_ms),"
    " trace_id = iif(:attempts, :trace_id, trace_id) WHERE due_no = :due_no"
)


def settle(connection: sqlite3.Connection, run: RunRecord, due: Due, end: Settlement) -> None:
    """Fix the outcome of a due, and what is known of its delivery from here on."""
    # What is confirmed is never sent again: its body and its row, which name a user, need not be kept.
    is_done = end.status in (Status.SUCCEEDED, Status.SKIPPED)
    told = {name: getattr(end, name) for name in _TOLD}
    connection.execute(_SETTLE, {**told, "due_no": due.due_no, "is_done": is_done})
    if end.status not in _WITHOUT_INTENT:
        _settle_delivery(connection, run, due, end.leaves)
        _settle_balance(connection, run, due, end.leaves)
    if is_done:
        _forget_cells(connection, run, due)


def _settle_delivery(connection: sqlite3.Connection, run: RunRecord, due: Due, leaves: DeliveryState | None) -> None:
    # Another job of the account may have delivered the same meanwhile: a success is never taken back.
    where = " WHERE account_no = ? AND api = ? AND identity = ? AND state <> 'succeeded'"
    key = (run.account_no, run.api, due.identity)
    if leaves is None:
        connection.execute("DELETE FROM deliveries" + where, key)
    else:
        connection.execute("UPDATE deliveries SET state = ?" + where, (leaves, *key))


def _settle_balance(connection: sqlite3.Connection, run: RunRecord, due: Due, leaves: DeliveryState | None) -> None:
    if due.balance is None or leaves is DeliveryState.UNKNOWN:
        return
    where = " WHERE account_no = ? AND card = ? AND newest_identity = ?"
    key = (run.account_no, due.balance.card, due.identity)
    if leaves is DeliveryState.SUCCEEDED:
        connection.execute("UPDATE cards SET confirmed_points = ?, unsettled = 0" + where, (due.balance.points, *key))
        return
    # Surely not applied: the balance sent before it is the newest again.
    connection.execute(
        "UPDATE cards SET newest_identity = before_identity, newest_version = before_version,"
        " newest_position = before_position, unsettled = before_unsettled" + where + " AND before_identity IS NOT NULL",
        key,
    )
    connection.execute("DELETE FROM cards" + where + " AND before_identity IS NULL AND confirmed_points IS NULL", key)


def _forget_cells(connection: sqlite3.Connection, run: RunRecord, due: Due) -> None:
    connection.execute(
        "UPDATE rows SET cells = NULL WHERE run_no = ? AND row_no = ? AND NOT EXISTS (SELECT 1 FROM dues"
        " WHERE run_no = ? AND row_no = ? AND (status IS NULL OR status NOT IN ('succeeded', 'skipped')))",
        (run.run_no, due.row_no, run.run_no, due.row_no),
    )
