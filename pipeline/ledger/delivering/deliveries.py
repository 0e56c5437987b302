"""Intents and settlements: each changes what the ledger knows of deliveries, inside one transaction."""

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter

from pipeline.ledger.records import DeliveryState, Due, RunRecord, Settlement
from pipeline.ledger.rules.admission import Admission, Blocked, Conflict, Go, Skip, admit, is_overtaken
from pipeline.ledger.rules.cards import cards_of, intend_balance, settle_balance
from pipeline.ledger.rules.dependencies import (
    SUPERSEDED,
    UNCHANGED,
    payment_of,
    sequence_of_states,
    under_way_elsewhere,
)
from pipeline.ledger.rules.fixes import judge_dues, knows_fixes, note_sent
from pipeline.ledger.rules.known_deliveries import KnownDeliveries, known_deliveries_of
from pipeline.ledger.rules.measures import COLUMNS, measures_of
from pipeline.ledger.rules.objects import intend_state, note_unchanged, settle_state
from pipeline.ledger.rules.tasks import form_conflict
from pipeline.ledger.store.lease import IsGone
from pipeline.ledger.store.loss_detection.generations import Generation, may_have_been_sent
from pipeline.ledger.store.port import Connection, json_of
from pipeline.model import Api, Status

# What a settlement writes into its due: all of its fields but the state of the delivery, in this order.
_DUE_FIELDS = tuple(field.name for field in fields(Settlement) if field.name != "leaves")
_due_fields_of = attrgetter(*_DUE_FIELDS)
# Dues that ended so have no intent.
_WITHOUT_INTENT = (Status.SKIPPED, Status.INVALID, Status.BLOCKED)
# Dues that ended so are never sent again. Their bodies and cells, which name users, are deleted.
_DONE = (Status.SUCCEEDED, Status.SKIPPED)

_UNCHANGED = Skip(UNCHANGED)

# A measure of a due that is about to be sent, as `_INTEND` reads it: each element has the due's number, then these.
_MEASURE = ", ".join(
    ("wanted.value ->> 1", *(f"CAST(wanted.value ->> {n} AS BIGINT)" for n in range(2, 1 + len(COLUMNS.split(",")))))
)
# Write the intents to send some dues, with their measures.
_INTEND = f"""
INSERT INTO deliveries (account_no, api, identity, digest, state, due_no, intended_at, {COLUMNS})
SELECT ?, ?, d.identity, d.digest, ?, d.due_no, ?, {_MEASURE}
FROM json_each(?) AS wanted CROSS JOIN dues AS d ON d.due_no = CAST(wanted.value ->> 0 AS BIGINT)
WHERE true
ON CONFLICT (account_no, api, identity) DO UPDATE SET digest = excluded.digest, state = excluded.state,
    due_no = excluded.due_no, intended_at = excluded.intended_at, agreement = excluded.agreement,
    biz_day = excluded.biz_day, direction = excluded.direction, tasks = excluded.tasks, amount = excluded.amount,
    discount = excluded.discount
"""
# Fields of a settlement that are numbers.
_NUMBERS = ("http_status", "attempts", "latency_ms", "wants_new_key", "is_open", "due_no")
# A field of a settlement, as `_SETTLE` reads it: each element of its JSON has the fields, and then the due's number.
_FIELD = {
    name: f"CAST(ended.value ->> {n} AS BIGINT)" if name in _NUMBERS else f"ended.value ->> {n}"
    for n, name in enumerate((*_DUE_FIELDS, "due_no"))
}
# Write how some dues ended. Facts of the last attempt stay where this execution made none.
_SETTLE = f"""
UPDATE dues SET status = {_FIELD["status"]}, code = {_FIELD["code"]}, message = {_FIELD["message"]},
    wants_new_key = {_FIELD["wants_new_key"]}, is_open = {_FIELD["is_open"]},
    body = CASE WHEN {_FIELD["status"]} IN {tuple(map(str, _DONE))} THEN NULL ELSE body END,
    attempts = attempts + {_FIELD["attempts"]},
    first_sent_at = coalesce(first_sent_at, {_FIELD["first_sent_at"]}),
    http_status = CASE WHEN {_FIELD["attempts"]} > 0 THEN {_FIELD["http_status"]} ELSE http_status END,
    finished_at = CASE WHEN {_FIELD["attempts"]} > 0 THEN {_FIELD["finished_at"]} ELSE finished_at END,
    latency_ms = CASE WHEN {_FIELD["attempts"]} > 0 THEN {_FIELD["latency_ms"]} ELSE latency_ms END,
    trace_id = CASE WHEN {_FIELD["attempts"]} > 0 THEN {_FIELD["trace_id"]} ELSE trace_id END
FROM json_each(?) AS ended WHERE dues.due_no = {_FIELD["due_no"]}
"""
# Write the state of some deliveries. A success stays: another job of the account may have delivered the same meanwhile.
_SET_STATE = """
UPDATE deliveries SET state = ?
WHERE account_no = ? AND api = ? AND identity IN (SELECT value FROM json_each(?)) AND state <> 'succeeded'
"""
# Delete the intents of deliveries for which nothing was sent.
_DELETE_INTENTS = """
DELETE FROM deliveries
WHERE account_no = ? AND api = ? AND identity IN (SELECT value FROM json_each(?)) AND state <> 'succeeded'
"""
# Keep the body of an account's newest confirmed report.
_KEEP_CONFIRMED = "UPDATE accounts SET confirmed_report = ? WHERE account_no = ?"
# Delete the cells of rows whose dues are all done.
_DELETE_CELLS = """
UPDATE rows SET cells = NULL
WHERE run_no = :run_no AND row_no IN (SELECT CAST(value AS BIGINT) FROM json_each(:row_nos))
    AND NOT EXISTS (SELECT 1 FROM dues AS d WHERE d.run_no = :run_no AND d.row_no = rows.row_no
        AND (status IS NULL OR status NOT IN ('succeeded', 'skipped')))
"""

# A due, and how it ended; None: it is about to be sent.
Entry = tuple[Due, Settlement | None]


def record(
    connection: Connection,
    run: RunRecord,
    entries: Sequence[Entry],
    *,
    generation: Generation,
    is_gone: IsGone,
    now: int,
    keeps_report: bool = True,
) -> list[Admission | None]:
    """
    Settle dues that ended, then write intents for the others; return an admission for each intent, else None.

    A due that is not admitted changes nothing. One that is counts as possibly applied until it is settled. Dues of one
    lane have all earlier ones settled, here at the latest, or need not wait for them.

    `generation` is that of the ledger; `is_gone` says whether the owner of a lease is dead; `now` is in seconds since
    1970. With `keeps_report` the body of a confirmed report is kept for the account.
    """
    _settle(connection, run, [(due, end) for due, end in entries if end is not None], keeps_report=keeps_report)
    to_send = [due for due, end in entries if end is None]
    admissions = iter(_doubted(generation, run, to_send, _intend(connection, run, to_send, is_gone, now)))
    return [next(admissions) if end is None else None for _, end in entries]


def _doubted(
    generation: Generation, run: RunRecord, dues: Sequence[Due], admissions: Sequence[Admission]
) -> list[Admission]:
    """Put dues in doubt that a lost state of the ledger may have sent."""
    return [
        Go(doubt=True)
        if isinstance(admission, Go) and admission.before is None and may_have_been_sent(generation, run.api, due)
        else admission
        for due, admission in zip(dues, admissions, strict=True)
    ]


def _intend(connection: Connection, run: RunRecord, dues: Sequence[Due], is_gone: IsGone, now: int) -> list[Admission]:
    if not dues:
        return []
    known = known_deliveries_of(connection, run, [due.identity for due in dues])
    has_fixes = knows_fixes(connection, run)
    forbidden = judge_dues(connection, run, dues) if has_fixes else {}
    admissions = [forbidden.get(due.due_no) or _admission(connection, run, due, known, is_gone) for due in dues]
    admitted = [due for due, admission in zip(dues, admissions, strict=True) if isinstance(admission, Go)]
    measured = json_of([(due.due_no, *measures_of(due.body)) for due in admitted])
    connection.execute(_INTEND, (run.account_no, run.api, DeliveryState.SENDING, now, measured))
    if has_fixes:
        note_sent(connection, admitted)
    for due in admitted:
        intend_balance(connection, run, due, now)
        intend_state(connection, run, due)
    note_unchanged(connection, run, [due for due, found in zip(dues, admissions, strict=True) if found == _UNCHANGED])
    return admissions


def _admission(connection: Connection, run: RunRecord, due: Due, known: KnownDeliveries, is_gone: IsGone) -> Admission:
    admission = admit(known.known(due.identity), due.digest)
    if not isinstance(admission, Go):
        return admission
    is_sending = admission.before is DeliveryState.SENDING
    return (
        (under_way_elsewhere(connection, run, due, is_gone) if is_sending else None)
        or _obstacle(connection, run, due, doubt=admission.doubt)
        or payment_of(connection, run, due)
        or admission
    )


def _obstacle(connection: Connection, run: RunRecord, due: Due, *, doubt: bool) -> Conflict | Skip | Blocked | None:
    """Return why a due is not sent now or ever, if so. A due in doubt has to be sent, except a balance."""
    if due.balance is not None:
        card = cards_of(connection, run, [due.balance.card]).get(due.balance.card)
        return Skip(SUPERSEDED) if is_overtaken(due.balance, due.position, due.identity, card) else None
    return None if doubt else form_conflict(connection, run, due) or sequence_of_states(connection, run, due)


def _settle(
    connection: Connection, run: RunRecord, ended: Sequence[tuple[Due, Settlement]], *, keeps_report: bool
) -> None:
    """Write how dues ended, and what the ledger knows of their deliveries from now on."""
    if not ended:
        return
    connection.execute(_SETTLE, (json_of([(*map(_plain, _due_fields_of(end)), due.due_no) for due, end in ended]),))
    _settle_deliveries(connection, run, [(due, end) for due, end in ended if end.status not in _WITHOUT_INTENT])
    if keeps_report:
        _keep_confirmed(connection, run, [due for due, end in ended if end.status is Status.SUCCEEDED and end.attempts])
    done = [due.row_no for due, end in ended if end.status in _DONE]
    connection.execute(_DELETE_CELLS, {"run_no": run.run_no, "row_nos": json_of(done)})


def _plain(value: object) -> object:
    """Return a value of a settlement as it is kept: a boolean is a number."""
    return int(value) if isinstance(value, bool) else value


def _keep_confirmed(connection: Connection, run: RunRecord, confirmed: Sequence[Due]) -> None:
    """Keep the body of the newest report whose answer was verified. Only cumulations can be asked for."""
    if confirmed and run.api is Api.CUMULATION:
        connection.execute(_KEEP_CONFIRMED, (confirmed[-1].body, run.account_no))


def _settle_deliveries(connection: Connection, run: RunRecord, ended: Sequence[tuple[Due, Settlement]]) -> None:
    for state in {end.leaves for _, end in ended}:
        deliveries = (run.account_no, run.api, json_of([due.identity for due, end in ended if end.leaves is state]))
        if state is None:
            connection.execute(_DELETE_INTENTS, deliveries)
        else:
            connection.execute(_SET_STATE, (state, *deliveries))
    for due, end in ended:
        settle_balance(connection, run, due, end.leaves)
        settle_state(connection, run, due, end.leaves)
