"""
Slices of what a run staged, for changes that concern all of its rows.

One transaction over millions of rows takes minutes. A run of another job that has to write would give up waiting.
"""

import sqlite3

from pipeline.ledger.records import RunRecord

# Lines that one transaction changes: less than a second, also on a slow disk.
_LINES = 20_000


def last_row_of_slice(connection: sqlite3.Connection, run: RunRecord, table: str, which: str, first: int) -> int | None:
    """
    Return the number of the last row of a slice that begins with row `first`; None where no line is left.

    A slice has lines of `table` for which `which`, an SQL condition, holds.
    """
    found = connection.execute(
        f"SELECT max(row_no) FROM (SELECT row_no FROM {table} WHERE run_no = ? AND row_no >= ? AND ({which})"
        f" ORDER BY row_no LIMIT {_LINES})",
        (run.run_no, first),
    ).fetchone()
    return None if found[0] is None else int(found[0])
