"""Which inputs a run reads, and how it forgets what it read of them."""

import sqlite3

import orjson

from pipeline.ledger.records import InputRecord, RunRecord, position
from pipeline.ledger.rules.fixes import forget_fixes


def add_input(connection: sqlite3.Connection, run: RunRecord, source: InputRecord) -> None:
    """Write an input file; once it was read to its end again, with what is known then."""
    connection.execute(
        "INSERT OR REPLACE INTO inputs (run_no, file_no, name, location, columns, rows, sha256, encoding)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (run.run_no, source.file_no, source.name, source.location, orjson.dumps(source.columns).decode(),
         source.rows, source.sha256, source.encoding),
    )  # fmt: skip


def forget_rows(connection: sqlite3.Connection, first: int, last: int, run: RunRecord, *, table: str) -> None:
    """Forget what was staged of a run that sent nothing, from one row to another, in `dues` or in `rows`."""
    connection.execute(f"DELETE FROM {table} WHERE run_no = ? AND row_no BETWEEN ? AND ?", (run.run_no, first, last))


def forget_inputs(connection: sqlite3.Connection, run: RunRecord) -> None:
    """Forget the inputs of such a run, and what was packed of them."""
    for table in ("packs", "inputs"):
        connection.execute(f"DELETE FROM {table} WHERE run_no = ?", (run.run_no,))
    forget_fixes(connection, position(run.run_no, 0), position(run.run_no + 1, 0))
