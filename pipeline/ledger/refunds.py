"""A refund takes back the payment under the key that this went out under in the end."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace

import orjson

from pipeline.ledger.admission import Known
from pipeline.ledger.deliveries import known, last_successor
from pipeline.ledger.records import DeliveryState, RunRecord, StagedRow
from pipeline.model import Payload, digest

# Puts another payment into the body of a refund.
Retarget = Callable[[bytes, str], bytes]


def follow_payments(
    connection: sqlite3.Connection, run: RunRecord, rows: Sequence[StagedRow], retarget: Retarget
) -> Sequence[StagedRow]:
    """Return rows that are to be staged, with refunds that name the last key of their payment."""
    refunds = {p.identity: p.refund_of for row in rows for p in row.payloads if p.refund_of is not None}
    moved = _moved(connection, run, set(refunds.values())) if refunds else {}
    if not moved:
        return rows
    sent = known(connection, run, [identity for identity, payment in refunds.items() if payment in moved])
    return [
        replace(row, payloads=tuple(_followed(p, moved, sent.get(p.identity), retarget) for p in row.payloads))
        for row in rows
    ]


def _moved(connection: sqlite3.Connection, run: RunRecord, payments: set[str]) -> dict[str, str]:
    found = connection.execute(
        "SELECT d.identity, d.successor FROM json_each(?) AS asked CROSS JOIN deliveries AS d ON d.account_no = ?"
        " AND d.api = ? AND d.identity = asked.value WHERE d.successor IS NOT NULL",
        (orjson.dumps(sorted(payments)).decode(), run.account_no, run.api),
    ).fetchall()
    return {key: last_successor(connection, run, successor)[0] or successor for key, successor in found}


def _followed(payload: Payload, moved: dict[str, str], sent: Known | None, retarget: Retarget) -> Payload:
    key = moved.get(payload.refund_of or "")
    # What may have been applied as it is stays as it is.
    is_fixed = sent is not None and sent.state is not DeliveryState.REJECTED and sent.digest == digest(payload.body)
    return payload if key is None or is_fixed else replace(payload, body=retarget(payload.body, key), refund_of=key)


def follow_new_keys(connection: sqlite3.Connection, run: RunRecord, retarget: Retarget) -> None:
    """Let the dues of a run that are refunds, and were never sent, name the last key of their payment."""
    moved = connection.execute(
        "SELECT d.due_no, d.body, p.successor FROM dues AS d JOIN deliveries AS p ON p.account_no = ? AND p.api = ?"
        " AND p.identity = d.refund_of WHERE d.run_no = ? AND p.successor IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM deliveries AS v WHERE v.account_no = p.account_no AND v.api = p.api"
        " AND v.identity = d.identity)",
        (run.account_no, run.api, run.run_no),
    ).fetchall()
    for due_no, body, successor in moved:
        key = last_successor(connection, run, successor)[0] or successor
        new_body = retarget(body, key)
        connection.execute(
            "UPDATE dues SET refund_of = ?, body = ?, digest = ? WHERE due_no = ?",
            (key, new_body, digest(new_body), due_no),
        )
