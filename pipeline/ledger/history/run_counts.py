"""The rows of a run by status, counted in the ledger: quicker than to read each outcome."""

from collections import Counter
from collections.abc import Iterator

from pipeline.ledger.history.dues import UNREACHED
from pipeline.ledger.history.outcomes import SEVERITY, outcome_pages
from pipeline.ledger.records import Phase, RunRecord
from pipeline.ledger.store.port import Connection, Sql
from pipeline.model import Api, Status

DONE = frozenset({Status.SUCCEEDED, Status.SKIPPED})
"""Statuses of rows that need nothing more."""

# The rank of a due's status in `SEVERITY`. The first two are done.
_RANK = f"""CASE coalesce(status, {UNREACHED})
    {" ".join(f"WHEN '{status}' THEN {rank}" for rank, status in enumerate(SEVERITY))} END"""
# Rows that have their own status.
_ROWS = "SELECT status, count(*) FROM rows WHERE run_no = ? AND status IS NOT NULL GROUP BY status"
# Rows by the rank of their worst due.
_DUES = f"""
SELECT worst, count(*) FROM (
    SELECT max({_RANK}) AS worst FROM dues WHERE run_no = ? GROUP BY row_no
) AS ends GROUP BY worst
"""
_READ = "SELECT coalesce(sum(rows), 0) FROM inputs WHERE run_no = ?"
_OPEN_ROWS = "SELECT row_no, status FROM rows WHERE run_no = ? AND status NOT IN ('succeeded', 'skipped')"
# Rows with dues that are not done, with the rank of the worst. SQLite uses the index `dues_open` only if the condition
# is the same word for word, and if no other index has the order of the groups.
_OPEN = "coalesce(status, '') NOT IN ('succeeded', 'skipped')"
_OPEN_DUES = f"SELECT row_no, max({_RANK}) FROM dues WHERE run_no = ? AND {_OPEN} GROUP BY row_no"
_SELECT_OPEN_REPORTS = f"""
SELECT row_no, max({_RANK}) FROM dues WHERE run_no = ? AND card IS NULL AND object IS NULL AND {_OPEN} GROUP BY
"""
_OPEN_REPORTS = Sql(f"{_SELECT_OPEN_REPORTS} +row_no", postgresql=f"{_SELECT_OPEN_REPORTS} row_no")


def counts_of(connection: Connection, run: RunRecord) -> Counter[Status]:
    """Count the rows of a run by status, as its outcomes have them."""
    counts: Counter[Status] = Counter()
    if run.phase is Phase.STAGING:
        # Nothing was sent; rows that were read may not be in the ledger.
        for page in outcome_pages(connection, run):
            counts.update(page.status)
        return counts
    counts.update({Status(status): rows for status, rows in connection.execute(_ROWS, (run.run_no,))})
    counts.update({Status(SEVERITY[rank]): rows for rank, rows in connection.execute(_DUES, (run.run_no,))})
    # The others were skipped when the run was staged, many in one line of the ledger.
    counts[Status.SKIPPED] += rows_of(connection, run) - counts.total()
    return counts


def rows_of(connection: Connection, run: RunRecord) -> int:
    """Count the rows of a run."""
    if run.phase is Phase.STAGING:
        return sum(map(len, outcome_pages(connection, run)))
    (read,) = connection.execute(_READ, (run.run_no,)).fetchone()
    return int(read)


def open_rows(connection: Connection, run: RunRecord) -> Iterator[tuple[int, Status]]:
    """Yield number and status of each row of a run that is not done, as its outcomes have them, in any order."""
    if run.phase is Phase.STAGING:
        statuses = (status for page in outcome_pages(connection, run) for status in page.status)
        yield from ((row_no, status) for row_no, status in enumerate(statuses, 1) if status not in DONE)
        return
    yield from ((row_no, Status(status)) for row_no, status in connection.execute(_OPEN_ROWS, (run.run_no,)))
    query = _OPEN_REPORTS if run.api is Api.CUMULATION else _OPEN_DUES
    ends = ((row_no, Status(SEVERITY[rank])) for row_no, rank in connection.execute(query, (run.run_no,)))
    yield from ((row_no, status) for row_no, status in ends if status not in DONE)
