"""
All that a run staged, in slices: whatever concerns every row of a run is written slice by slice.

One transaction over millions of rows takes minutes, and a run of another job that wants to write to the same ledger
meanwhile would give up.
"""

import sqlite3

from pipeline.ledger.records import RunRecord


def last_row_of_slice(
    connection: sqlite3.Connection, run: RunRecord, table: str, which: str, first: int, *, rows: int
) -> int | None:
    """
    Return the number of the row that a slice ends with, None where no line is left.

    It begins with row `first`, and is of those lines of the table that `which` is true of, an SQL expression. It has
    at most `rows` lines.
    """
    found = connection.execute(
        f"SELECT max(row_no) FROM (SELECT row_no FROM {table} WHERE run_no = ? AND row_no >= ? AND ({which})"
        f" ORDER BY row_no LIMIT ?)",
        (run.run_no, first, rows),
    ).fetchone()
    return None if found[0] is None else int(found[0])
