"""
Ranges of the rows of a run, for changes that concern all of them.

One transaction over millions of lines takes minutes. A run of another job that has to write would give up waiting.
"""

from collections.abc import Iterator

from pipeline.ledger.store.port import Connection, Read


def row_ranges(
    read: Read, run_no: int, table: str, which: str = "TRUE", *, number: str = "row_no", lines: int
) -> Iterator[tuple[int, int]]:
    """
    Yield the first and the last row of each range: at most `lines` lines of a table for which `which` holds.

    `which` is an SQL condition, `number` the column with the number of a line's row. Change each range before the next.
    """
    query = f"""
    SELECT max({number}) FROM (
        SELECT {number} FROM {table} WHERE run_no = ? AND {number} >= ? AND ({which}) ORDER BY {number} LIMIT ?
    ) AS row_nos
    """
    first = 0
    while True:
        (last,) = read(lambda c: c.execute(query, (run_no, first, lines)).fetchone())  # noqa: B023 - called at once
        if last is None:
            return
        yield first, last
        first = last + 1


def delete_range(
    connection: Connection, first: int, last: int, run_no: int, table: str, *, number: str = "row_no"
) -> None:
    """Delete the lines of a table of rows from `first` to `last`."""
    connection.execute(f"DELETE FROM {table} WHERE run_no = ? AND {number} BETWEEN ? AND ?", (run_no, first, last))
