"""The rows of a run by status, counted in the ledger: quicker than to read each outcome."""

import sqlite3
from collections import Counter

from pipeline.ledger.history.dues import UNREACHED
from pipeline.ledger.history.outcomes import SEVERITY, outcome_pages
from pipeline.ledger.records import Phase, RunRecord
from pipeline.model import Status

# Rows that have their own status.
_ROWS = "SELECT status, count(*) FROM rows WHERE run_no = ? AND status IS NOT NULL GROUP BY status"
# Rows by the rank of their worst due.
_DUES = f"""
SELECT worst, count(*) FROM (
    SELECT max(CASE coalesce(status, {UNREACHED})
        {" ".join(f"WHEN '{status}' THEN {rank}" for rank, status in enumerate(SEVERITY))} END) AS worst
    FROM dues WHERE run_no = ? GROUP BY row_no
) AS ends GROUP BY worst
"""
_READ = "SELECT coalesce(sum(rows), 0) FROM inputs WHERE run_no = ?"


def counts_of(connection: sqlite3.Connection, run: RunRecord) -> Counter[Status]:
    """Count the rows of a run by status, as its outcomes have them."""
    counts: Counter[Status] = Counter()
    if run.phase is Phase.STAGING:
        # Nothing was sent; rows that were read may not be in the ledger.
        for page in outcome_pages(connection, run):
            counts.update(page.status)
        return counts
    counts.update({Status(status): rows for status, rows in connection.execute(_ROWS, (run.run_no,))})
    counts.update({Status(SEVERITY[rank]): rows for rank, rows in connection.execute(_DUES, (run.run_no,))})
    (read,) = connection.execute(_READ, (run.run_no,)).fetchone()
    # The others were skipped when the run was staged, many in one line of the ledger.
    counts[Status.SKIPPED] += read - counts.total()
    return counts
