"""What goes before a due, and what has overtaken it: payments before refunds, states and balances in their order."""

import sqlite3

from pipeline.ledger.records import DeliveryState, Due, RunRecord
from pipeline.ledger.rules.admission import Blocked, Skip
from pipeline.ledger.rules.objects import is_earlier_open, newest_states
from pipeline.ledger.store.lease import IsGone
from pipeline.model import Balance

PAYMENT_NOT_SUCCEEDED = "payment_not_succeeded"
EARLIER_STATE_OPEN = "earlier_state_open"
SENT_BY_ANOTHER_JOB = "sent_by_another_job"
SUPERSEDED = "superseded"
UNCHANGED = "unchanged"

_EARLIER_STATE = Blocked(
    EARLIER_STATE_OPEN,
    "an earlier state of this out_biz_no is open; rerun the run that left it so, then this one",
)


def under_way_elsewhere(connection: sqlite3.Connection, run: RunRecord, due: Due, is_gone: IsGone) -> Blocked | None:
    """Hold back what a run of another job has sent and not settled yet, while its process lives."""
    holders = connection.execute(
        "SELECT j.holder FROM deliveries AS v JOIN dues AS d USING (due_no) JOIN runs AS r ON r.run_no = d.run_no"
        " JOIN jobs AS j USING (run_id) WHERE v.account_no = ? AND v.api = ? AND v.identity = ?"
        " AND v.state = 'sending' AND j.job <> ? AND j.expires_at <> ''",
        (run.account_no, run.api, due.identity, run.job),
    ).fetchall()
    if all(is_gone(holder) for (holder,) in holders):
        return None
    return Blocked(SENT_BY_ANOTHER_JOB, "a run of another job is sending this request key; once that has ended, rerun")


def payment_of(connection: sqlite3.Connection, run: RunRecord, due: Due) -> Blocked | None:
    """Say why a refund has to wait. A payment that the ledger never saw is left for the platform to judge."""
    if due.refund_of is None:
        return None
    stands = payment_state(connection, run, due.refund_of)
    if stands in (None, DeliveryState.SUCCEEDED):
        return None
    return Blocked(
        PAYMENT_NOT_SUCCEEDED,
        f"the payment named in pay_out_biz_no is {stands}; deliver it, then rerun this run",
    )


def payment_state(connection: sqlite3.Connection, run: RunRecord, key: str) -> str | None:
    """Return how a payment stands: a delivery's state, else a status a run gave it, None where it was never seen."""
    asked = (run.account_no, run.api, key)
    delivery = connection.execute(
        "SELECT state FROM deliveries WHERE account_no = ? AND api = ? AND identity = ?", asked
    ).fetchone()
    if delivery is not None:
        return DeliveryState(delivery[0])
    seen = (
        connection.execute(
            "SELECT coalesce(d.status, 'unsent') FROM dues AS d JOIN runs AS r USING (run_no)"
            " WHERE r.account_no = ? AND r.api = ? AND d.identity = ? ORDER BY d.due_no DESC LIMIT 1",
            asked,
        ).fetchone()
        or connection.execute(
            "SELECT w.status FROM rows AS w JOIN runs AS r USING (run_no)"
            " WHERE r.account_no = ? AND r.api = ? AND w.request_key = ? AND w.status = 'invalid' LIMIT 1",
            asked,
        ).fetchone()
    )
    return None if seen is None else str(seen[0])


def sequence_of_states(connection: sqlite3.Connection, run: RunRecord, due: Due) -> Skip | Blocked | None:
    """
    Say why a state is not sent now: the platform may hold a later one of the object, or the same, or waits for one.

    Sent or applied after a later one it would undo that, and so would an earlier one that is open yet.
    """
    if due.state is None:
        return None
    held = newest_states(connection, run, [due.state.object]).get(due.state.object)
    if held is not None and held.identity != due.identity:
        if held.is_later(due.state.version, due.position):
            return Skip(SUPERSEDED)
        if held.unsettled:
            return _EARLIER_STATE
    if is_earlier_open(connection, run, due):
        return _EARLIER_STATE
    return Skip(UNCHANGED) if held is not None and held.confirmed == due.digest and not held.unsettled else None


def is_a_newer_one_due(connection: sqlite3.Connection, run: RunRecord, balance: Balance, position: int) -> bool:
    """
    Return whether a run that began later is still to send a newer balance of the card.

    So it is for a run that is staged anew. The later one was given its key without knowing of this balance: sent in
    between, this one would stay, where the later one has the key of an equal balance from before.
    """
    found = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM dues AS d JOIN runs AS r USING (run_no) WHERE d.card = :card AND d.position > :at"
        " AND r.account_no = :account_no AND coalesce(d.status, 'unsent') = 'unsent'"
        " AND coalesce(d.version >= :version, 1))",
        {"card": balance.card, "at": position, "account_no": run.account_no, "version": balance.version},
    ).fetchone()
    return bool(found[0])
