"""
Slices of what a run staged, for changes that concern all of its rows.

One transaction over millions of rows takes minutes. A run of another job that has to write would give up waiting.
"""

import sqlite3

from pipeline.ledger.records import RunRecord


def last_row_of_slice(
    connection: sqlite3.Connection, run: RunRecord, table: str, which: str, first: int, *, rows: int
) -> int | None:
    """
    Return the number of the last row of the next slice; None if no line is left.

    A slice begins with row `first`, and has at most `rows` lines of `table` for which `which`, an SQL condition, holds.
    """
    found = connection.execute(
        f"SELECT max(row_no) FROM (SELECT row_no FROM {table} WHERE run_no = ? AND row_no >= ? AND ({which})"
        f" ORDER BY row_no LIMIT ?)",
        (run.run_no, first, rows),
    ).fetchone()
    return None if found[0] is None else int(found[0])
