"""Refunds follow their payment: if it was given another key, the refund names that key."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.ledger.records import DeliveryState, RunRecord
from pipeline.ledger.rules.admission import KnownDelivery
from pipeline.ledger.rules.known_deliveries import known_deliveries_of, last_successor
from pipeline.ledger.store.port import Connection
from pipeline.model import Api, digest

# It imports Arrow, which takes a tenth of a second, and only staging needs that.
if TYPE_CHECKING:
    from pipeline.ledger.staging.staged_chunk import StagedChunk

# Puts another payment into the body of a refund.
Retarget = Callable[[bytes, str], bytes]

# Open refunds of a run whose payment was given another key.
_REFUNDS_OF_MOVED_PAYMENTS = """
SELECT d.due_no, d.identity, d.digest, d.body, p.successor
FROM dues AS d JOIN deliveries AS p ON p.account_no = ? AND p.api = ? AND p.identity = d.refund_of
WHERE d.run_no = ? AND d.status IS NULL AND p.successor IS NOT NULL
"""
# Give a refund another payment.
_RETARGET = "UPDATE dues SET refund_of = ?, body = ?, digest = ? WHERE due_no = ?"


def follow_payments(connection: Connection, run: RunRecord, chunk: "StagedChunk", retarget: Retarget) -> None:
    """Put the last key of their payment into the refunds of a chunk that is being staged."""
    column = chunk.parts.column("refund_of")
    if column.null_count == len(column):
        return
    refunds = chunk.parts.values("refund_of")
    payments = known_deliveries_of(connection, run, sorted(set(refunds) - {None}))
    rekeyed = {key: payment.successor for key, payment in payments.others.items() if payment.successor is not None}
    if not rekeyed:
        return
    indexes = [n for n, payment in enumerate(refunds) if payment in rekeyed]
    identities, bodies, digests = (chunk.parts.values(name) for name in ("identity", "body", "digest"))
    known = known_deliveries_of(connection, run, [identities[n] for n in indexes])
    for n in indexes:
        if not _has_to_stay(known.known(identities[n]), digests[n]):
            body = retarget(bodies[n], rekeyed[refunds[n]])
            chunk.parts.change(n, refund_of=rekeyed[refunds[n]], body=body, digest=digest(body))


def _has_to_stay(sent: KnownDelivery | None, digest: bytes) -> bool:
    """Return whether a refund was sent with this content and may have been applied: it is repeated as it is."""
    return sent is not None and sent.state is not DeliveryState.REJECTED and sent.digest == digest


def follow_new_keys(connection: Connection, run: RunRecord, retarget: Retarget) -> None:
    """Put the last key of their payment into the open refunds of a run."""
    # Only cumulation has refunds: other runs need no look through all of their dues.
    if run.api is not Api.CUMULATION:
        return
    refunds = connection.execute(_REFUNDS_OF_MOVED_PAYMENTS, (run.account_no, run.api, run.run_no)).fetchall()
    known = known_deliveries_of(connection, run, [identity for _, identity, *_ in refunds])
    for due_no, identity, staged, body, successor in refunds:
        if _has_to_stay(known.known(identity), staged):
            continue
        key = last_successor(connection, run, successor)[0] or successor
        new_body = retarget(body, key)
        connection.execute(_RETARGET, (key, new_body, digest(new_body), due_no))
