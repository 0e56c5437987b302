"""The order of deliveries: refunds wait for their payment; states and balances of one object or card go in order."""

from pipeline.language import t
from pipeline.ledger.records import DeliveryState, Due, RunRecord
from pipeline.ledger.rules.admission import Blocked, Skip
from pipeline.ledger.rules.known_deliveries import state_of
from pipeline.ledger.rules.objects import is_earlier_open, newest_states
from pipeline.ledger.store.lease import IsGone, of_owners
from pipeline.ledger.store.port import Connection
from pipeline.model import Balance

SUPERSEDED = "superseded"
UNCHANGED = "unchanged"

# The owners of other jobs, and their senders, whose run has an intent for a delivery.
_OTHER_SENDERS = of_owners("""
SELECT j.holder
FROM deliveries AS v
JOIN dues AS d USING (due_no)
JOIN runs AS r ON r.run_no = d.run_no
JOIN owners AS j USING (run_id)
WHERE v.account_no = ? AND v.api = ? AND v.identity = ? AND v.state = 'sending'
    AND j.job <> ? AND j.expires_at <> ''
""")
# The status of a payment without delivery: that of its newest due,
_STATUS_OF_NEWEST_DUE = """
SELECT coalesce(d.status, 'unsent') FROM dues AS d JOIN runs AS r USING (run_no)
WHERE r.account_no = ? AND r.api = ? AND d.identity = ? ORDER BY d.due_no DESC LIMIT 1
"""
# else whether it is an invalid row.
_STATUS_OF_INVALID_ROW = """
SELECT w.status FROM rows AS w JOIN runs AS r USING (run_no)
WHERE r.account_no = ? AND r.api = ? AND w.request_key = ? AND w.status = 'invalid' LIMIT 1
"""
# Whether a later run is still to send a newer balance of a card.
_IS_NEWER_BALANCE_DUE = """
SELECT EXISTS (
    SELECT 1 FROM dues AS d JOIN runs AS r USING (run_no)
    WHERE d.card = :card AND d.position > :position AND r.account_no = :account_no
        AND coalesce(d.status, 'unsent') = 'unsent' AND (d.version >= :version) IS NOT FALSE
)
"""


def under_way_elsewhere(connection: Connection, run: RunRecord, due: Due, is_gone: IsGone) -> Blocked | None:
    """Block a due that a run of another job has sent and not settled, while the process of that run lives."""
    owners = connection.execute(_OTHER_SENDERS, (run.account_no, run.api, due.identity, run.job)).fetchall()
    if all(is_gone(owner) for (owner,) in owners):
        return None
    return Blocked(
        "sent_by_another_job", t("a run of another job is sending this request key; once that has ended, rerun")
    )


def payment_of(connection: Connection, run: RunRecord, due: Due) -> Blocked | None:
    """Block a refund whose payment did not succeed. A payment that the ledger never saw is left to the platform."""
    if due.refund_of is None:
        return None
    state = payment_state(connection, run, due.refund_of)
    if state in (None, DeliveryState.SUCCEEDED):
        return None
    return Blocked(
        "payment_not_succeeded",
        t("the payment named in pay_out_biz_no is {state}; deliver it, then rerun this run", state=state),
    )


def payment_state(connection: Connection, run: RunRecord, key: str) -> str | None:
    """Return the state of a payment's delivery, else the status that a run gave it; None where it was never seen."""
    state, _ = state_of(connection, run, key)
    if state is not None:
        return state
    payment = (run.account_no, run.api, key)
    status = (
        connection.execute(_STATUS_OF_NEWEST_DUE, payment).fetchone()
        or connection.execute(_STATUS_OF_INVALID_ROW, payment).fetchone()
    )
    return None if status is None else str(status[0])


def sequence_of_states(connection: Connection, run: RunRecord, due: Due) -> Skip | Blocked | None:
    """
    Return why a state is not sent now; None: it may be sent, or the due is no state.

    The platform may have a later state of the object, or the same. An earlier state may be open or in doubt: sent after
    this one it would undo it.
    """
    if due.state is None:
        return None
    newest = newest_states(connection, run, [due.state.object]).get(due.state.object)
    if newest is not None and newest.identity != due.identity:
        if newest.is_later(due.state.version, due.position):
            return Skip(SUPERSEDED)
        if newest.unsettled:
            return _earlier_state()
    if is_earlier_open(connection, run, due):
        return _earlier_state()
    return Skip(UNCHANGED) if newest is not None and newest.is_confirmed(due.digest) else None


def _earlier_state() -> Blocked:
    message = t("an earlier state of this out_biz_no is open; rerun the run that left it so, then this one")
    return Blocked("earlier_state_open", message)


def is_a_newer_one_due(connection: Connection, run: RunRecord, balance: Balance, position: int) -> bool:
    """
    Return whether a run that began later is still to send a newer balance of the card.

    That happens to a run that is staged again. The later balance was given its key without knowing of this one. If it
    has the key of an equal balance from before, the platform would answer it from memory, and keep this balance.
    """
    values = {"card": balance.card, "position": position, "account_no": run.account_no, "version": balance.version}
    return bool(connection.execute(_IS_NEWER_BALANCE_DUE, values).fetchone()[0])
