"""A refund takes back the payment under the key that this went out under in the end."""

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson

from pipeline.ledger.records import DeliveryState, RunRecord
from pipeline.ledger.rules.admission import KnownDelivery
from pipeline.ledger.rules.known_deliveries import known_deliveries_of, last_successor
from pipeline.model import Api, digest

# It imports Arrow, which takes a tenth of a second, and only a run's first act needs that.
if TYPE_CHECKING:
    from pipeline.ledger.staging.staged_chunk import StagedChunk

# Puts another payment into the body of a refund.
Retarget = Callable[[bytes, str], bytes]


def follow_payments(connection: sqlite3.Connection, run: RunRecord, chunk: "StagedChunk", retarget: Retarget) -> None:
    """Let the refunds of a leaf that is to be staged name the last key of their payment."""
    column = chunk.parts.column("refund_of")
    if column.null_count == len(column):
        return
    refunds = chunk.parts.values("refund_of")
    moved = _moved(connection, run, set(refunds) - {None})
    if not moved:
        return
    places = [n for n, payment in enumerate(refunds) if payment in moved]
    identities, bodies, digests = (chunk.parts.values(name) for name in ("identity", "body", "digest"))
    earlier = known_deliveries_of(connection, run, [identities[n] for n in places])
    for n in places:
        if not _is_fixed(earlier.known(identities[n]), digests[n]):
            body = retarget(bodies[n], moved[refunds[n]])
            chunk.parts.change(n, refund_of=moved[refunds[n]], body=body, digest=digest(body))


def _is_fixed(sent: KnownDelivery | None, digest: bytes) -> bool:
    # What may have been applied as it is stays as it is.
    return sent is not None and sent.state is not DeliveryState.REJECTED and sent.digest == digest


def _moved(connection: sqlite3.Connection, run: RunRecord, payments: set[str]) -> dict[str, str]:
    found = connection.execute(
        "SELECT d.identity, d.successor FROM json_each(?) AS asked CROSS JOIN deliveries AS d ON d.account_no = ?"
        " AND d.api = ? AND d.identity = asked.value WHERE d.successor IS NOT NULL",
        (orjson.dumps(sorted(payments)).decode(), run.account_no, run.api),
    ).fetchall()
    return {key: last_successor(connection, run, successor)[0] or successor for key, successor in found}


def follow_new_keys(connection: sqlite3.Connection, run: RunRecord, retarget: Retarget) -> None:
    """Let the refunds that a run is still to send name the last key of their payment."""
    # Nothing else takes a payment back: all dues of a run need not be looked through.
    if run.api is not Api.CUMULATION:
        return
    moved = connection.execute(
        "SELECT d.due_no, d.identity, d.digest, d.body, p.successor FROM dues AS d JOIN deliveries AS p"
        " ON p.account_no = ? AND p.api = ? AND p.identity = d.refund_of"
        " WHERE d.run_no = ? AND d.status IS NULL AND p.successor IS NOT NULL",
        (run.account_no, run.api, run.run_no),
    ).fetchall()
    earlier = known_deliveries_of(connection, run, [identity for _, identity, *_ in moved])
    for due_no, identity, staged, body, successor in moved:
        if _is_fixed(earlier.known(identity), staged):
            continue
        key = last_successor(connection, run, successor)[0] or successor
        new_body = retarget(body, key)
        connection.execute(
            "UPDATE dues SET refund_of = ?, body = ?, digest = ? WHERE due_no = ?",
            (key, new_body, digest(new_body), due_no),
        )
