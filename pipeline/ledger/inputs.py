"""Which inputs a run reads, and how it forgets what it read of them."""

import sqlite3

import orjson

from pipeline.ledger.records import InputRecord, RunRecord


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
    for table in ("dues", "rows", "packs", "inputs"):
        connection.execute(f"DELETE FROM {table} WHERE run_no = ?", (run.run_no,))
