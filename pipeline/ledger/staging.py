"""Putting what was read and mapped into the ledger."""

import sqlite3
from collections.abc import Iterator, Sequence

import orjson

from pipeline.ledger.admission import Conflict, Known, Skip, admit
from pipeline.ledger.deliveries import known
from pipeline.ledger.precedence import leave_out_states_before
from pipeline.ledger.records import InputRecord, RunRecord, StagedRow
from pipeline.ledger.refunds import Retarget, follow_payments
from pipeline.ledger.tasks import COUNTED_OTHERWISE, counted_otherwise
from pipeline.model import Balance, Export, Status, digest

KEY_CONFLICT = "key_conflict"


def stage_rows(
    connection: sqlite3.Connection,
    run: RunRecord,
    file_no: int,
    first_row_no: int,
    rows: Sequence[StagedRow],
    retarget: Retarget,
) -> None:
    """
    Write rows, numbered from `first_row_no` in the run, and the dues of those that are to be delivered.

    `retarget` puts another payment into a refund, where that was given another key.
    """
    rows = follow_payments(connection, run, rows, retarget)
    history = known(connection, run, _identities(rows))
    counted_otherwise = _counted_otherwise(connection, run, rows)
    decided = [_decide(row, history, counted_otherwise) for row in rows]
    connection.executemany(
        "INSERT INTO rows (run_no, row_no, file_no, source_row, request_key, status, code, message, cells)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (run.run_no, row_no, file_no, row.source_row, row.request_key, row.status, row.code, row.message,
             None if row.status is Status.SKIPPED else orjson.dumps(row.cells).decode())
            for row_no, row in enumerate(decided, first_row_no)
        ),
    )  # fmt: skip
    _insert_dues(connection, run, first_row_no, decided)
    held = ((row.request_key, n) for n, row in enumerate(decided, first_row_no) if row.code == "already_succeeded")
    leave_out_states_before(connection, run, [(key, row_no) for key, row_no in held if key is not None])


def _identities(rows: Sequence[StagedRow]) -> Iterator[str]:
    # A balance is decided on in `sift`, when the newest of its card is known: were it left out here as delivered, an
    # older one of the same card would seem the newest.
    return (p.identity for row in rows for p in row.payloads if p.balance is None)


def _decide(row: StagedRow, history: dict[str, Known], counted_otherwise: set[str]) -> StagedRow:
    if row.status is not None:
        return row
    if row.request_key in counted_otherwise:
        return _conflict(row, COUNTED_OTHERWISE)
    admissions = [admit(history.get(payload.identity), digest(payload.body)) for payload in row.payloads]
    conflict = next((a for a in admissions if isinstance(a, Conflict)), None)
    if conflict is not None:
        return _conflict(row, conflict.message)
    if all(isinstance(a, Skip) for a in admissions):
        return StagedRow(row.source_row, (), (), row.request_key, Status.SKIPPED, "already_succeeded", "")
    return row


def _conflict(row: StagedRow, message: str) -> StagedRow:
    return StagedRow(row.source_row, row.cells, (), row.request_key, Status.INVALID, KEY_CONFLICT, message)


def _counted_otherwise(connection: sqlite3.Connection, run: RunRecord, rows: Sequence[StagedRow]) -> set[str]:
    if run.export is not Export.TASKS:
        return set()
    return counted_otherwise(
        connection, run, ((r.request_key, len(r.payloads) == 1) for r in rows if r.payloads and r.request_key)
    )


def _insert_dues(connection: sqlite3.Connection, run: RunRecord, first_row_no: int, rows: Sequence[StagedRow]) -> None:
    connection.executemany(
        "INSERT INTO dues (run_no, row_no, part, position, request_key, identity, key_is_derived, digest, body, lane,"
        " refund_of, card, points, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (run.run_no, row_no, part, position(run.run_no, row_no), p.request_key, p.identity, p.key_is_derived,
             digest(p.body), p.body, p.lane, p.refund_of, *_balance_columns(p.balance))
            for row_no, row in enumerate(rows, first_row_no)
            for part, p in enumerate(row.payloads)
        ),
    )  # fmt: skip


def position(run_no: int, row_no: int) -> int:
    """Return the place of a row among all rows ever staged."""
    return (run_no << 40) | row_no


def _balance_columns(balance: Balance | None) -> tuple[bytes | None, int | None, str | None]:
    return (None, None, None) if balance is None else (balance.card, balance.points, balance.version)


def add_input(connection: sqlite3.Connection, run: RunRecord, source: InputRecord) -> None:
    """Write an input file; once it was read to its end again, with what is known then."""
    connection.execute(
        "INSERT OR REPLACE INTO inputs (run_no, file_no, name, location, columns, rows, sha256)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (run.run_no, source.file_no, source.name, source.location, orjson.dumps(source.columns).decode(),
         source.rows, source.sha256),
    )  # fmt: skip


def unstage(connection: sqlite3.Connection, run: RunRecord) -> None:
    """Forget all that was staged for a run that sent nothing."""
    for table in ("dues", "rows", "inputs"):
        connection.execute(f"DELETE FROM {table} WHERE run_no = ?", (run.run_no,))
