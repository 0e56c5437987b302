"""What goes before a due, and what has overtaken it: payments before refunds, states and balances in their order."""

import sqlite3

from pipeline.ledger.admission import Blocked, Skip
from pipeline.ledger.lease import IsGone
from pipeline.ledger.records import DeliveryState, Due, RunRecord
from pipeline.model import Api, Balance

PAYMENT_NOT_SUCCEEDED = "payment_not_succeeded"
EARLIER_STATE_OPEN = "earlier_state_open"
SENT_BY_ANOTHER_JOB = "sent_by_another_job"
SUPERSEDED = "superseded"


def what_goes_first(connection: sqlite3.Connection, run: RunRecord, due: Due, *, doubt: bool) -> Blocked | None:
    """Say what a due has to wait for: the payment that it takes back, or an earlier state of the same object."""
    return _payment(connection, run, due) or _earlier_state(connection, run, due, doubt=doubt)


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


def _payment(connection: sqlite3.Connection, run: RunRecord, due: Due) -> Blocked | None:
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


# The other states of the same object that went out, wherever an export told them: `0` follows `/` in ASCII, so that
# these are the identities that begin with the key and a slash.
_OTHER_STATES = (
    "SELECT 1 FROM dues AS e JOIN runs AS r USING (run_no) JOIN deliveries AS v ON v.account_no = r.account_no"
    " AND v.api = r.api AND v.identity = e.identity WHERE r.account_no = :account_no AND r.api = :api"
    " AND e.identity > :key || '/' AND e.identity < :key || '0' AND e.identity <> :identity"
)


def _asked(run: RunRecord, due: Due) -> dict[str, object]:
    return {
        "account_no": run.account_no,
        "api": run.api,
        "run_no": run.run_no,
        "key": due.request_key,
        "identity": due.identity,
        "position": due.position,
    }


def _earlier_state(connection: sqlite3.Connection, run: RunRecord, due: Due, *, doubt: bool) -> Blocked | None:
    """
    Hold a state back while an earlier one of the same object is open: sent or applied later, that would undo this one.

    A state that is in doubt itself may be sent again: nothing else settles it.
    """
    if run.api is not Api.STATE or doubt:
        return None
    # `+` here and below: by its run SQLite would look through all dues, by its identity through a few.
    is_open = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM dues WHERE +run_no = :run_no AND identity <> :identity AND position < :position"
        " AND identity > :key || '/' AND identity < :key || '0' AND status IN ('unknown', 'unsent', 'blocked'))"
        f" OR EXISTS ({_OTHER_STATES} AND e.position < :position AND v.state IN ('sending', 'unknown'))",
        _asked(run, due),
    ).fetchone()
    if not is_open[0]:
        return None
    return Blocked(EARLIER_STATE_OPEN, "an earlier state of this out_biz_no is open; rerun, and that goes first")


def later_state_sent(connection: sqlite3.Connection, run: RunRecord, due: Due) -> Skip | None:
    """Leave a state out where the platform may hold a later one of the same object, which this would undo."""
    if run.api is not Api.STATE:
        return None
    may_be_held = "v.state IN ('sending', 'unknown', 'succeeded')"
    found = connection.execute(
        f"SELECT EXISTS ({_OTHER_STATES} AND e.position > :position AND {may_be_held})", _asked(run, due)
    ).fetchone()
    return Skip(SUPERSEDED) if found[0] else None


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
