"""The dues of a run as a whole: those that it did not reach, those left open, and how they are closed or reopened."""

from pipeline.ledger.history.row_ranges import delete_range
from pipeline.ledger.records import RunRecord
from pipeline.ledger.store.port import Connection

# The state of a delivery with the content of a due, for use on the table `dues`.
_DELIVERY_STATE = """(
    SELECT v.state FROM deliveries AS v JOIN runs AS r ON r.account_no = v.account_no AND r.api = v.api
    WHERE r.run_no = dues.run_no AND v.identity = dues.identity AND v.digest = dues.digest
)"""
# The status of a due that its run did not reach: skipped, if another run delivered the content; unknown, if an attempt
# may have been applied; else unsent.
UNREACHED = f"""CASE {_DELIVERY_STATE}
    WHEN 'succeeded' THEN 'skipped' WHEN 'sending' THEN 'unknown' WHEN 'unknown' THEN 'unknown' ELSE 'unsent'
END"""
# Whether another run delivered the content of a due.
IS_DELIVERED = f"coalesce({_DELIVERY_STATE}, '') = 'succeeded'"

# Dues that their run did not reach.
NOT_REACHED = "status IS NULL"
# Dues that a resume makes due again: they were not sent, or the run was stopped before they ended.
LEFT_OPEN = "status IN ('unsent', 'blocked') OR (is_open <> 0 AND status = 'unknown')"

# Settle the dues of some rows that the run did not reach.
_CLOSE = f"""
UPDATE dues SET status = {UNREACHED},
    code = CASE WHEN {IS_DELIVERED} THEN 'already_succeeded' ELSE ? END,
    message = CASE WHEN {IS_DELIVERED} THEN '' ELSE ? END,
    is_open = CASE WHEN {IS_DELIVERED} THEN 0 ELSE 1 END
WHERE run_no = ? AND row_no BETWEEN ? AND ? AND {NOT_REACHED}
"""
# Write the worst end of its dues into each of some rows.
_MOVE_ENDS = """
UPDATE rows SET (status, code, message) = (
    SELECT d.status, d.code, d.message FROM dues AS d WHERE d.run_no = rows.run_no AND d.row_no = rows.row_no
    ORDER BY CASE d.status WHEN 'unknown' THEN 0 WHEN 'unsent' THEN 1 ELSE 2 END LIMIT 1
)
WHERE run_no = ? AND row_no BETWEEN ? AND ? AND status IS NULL
"""
# Make dues of some rows due again.
_REOPEN = f"""
UPDATE dues SET status = NULL, code = NULL, message = NULL, is_open = 0
WHERE run_no = ? AND row_no BETWEEN ? AND ? AND ({LEFT_OPEN})
"""
# Whether a run has dues that it did not reach, or did not finish.
_HAS_OPEN = "SELECT EXISTS (SELECT 1 FROM dues WHERE run_no = ? AND (status IS NULL OR is_open <> 0))"
_COUNT_UNREACHED = f"SELECT count(*) FROM dues WHERE run_no = ? AND {NOT_REACHED}"
# Whether a run has dues that a resume would send.
_HAS_TO_RESUME = f"SELECT EXISTS (SELECT 1 FROM dues WHERE run_no = ? AND ({NOT_REACHED} OR {LEFT_OPEN}))"


def close_dues(connection: Connection, first: int, last: int, run: RunRecord, open_as: tuple[str, str]) -> None:
    """Settle the dues that the run did not reach, of rows from `first` to `last`, with code and message `open_as`."""
    connection.execute(_CLOSE, (*open_as, run.run_no, first, last))


def move_ends_to_rows(connection: Connection, first: int, last: int, run: RunRecord) -> None:
    """Write the ends of dues into their rows, from `first` to `last`, and delete the dues: nothing is due any more."""
    connection.execute(_MOVE_ENDS, (run.run_no, first, last))
    delete_range(connection, first, last, run.run_no, "dues")


def has_open_dues(connection: Connection, run: RunRecord) -> bool:
    """Return whether the run has dues that it did not reach or did not finish."""
    return bool(connection.execute(_HAS_OPEN, (run.run_no,)).fetchone()[0])


def count_unreached(connection: Connection, run: RunRecord) -> int:
    """Return how many dues the run did not reach yet."""
    return int(connection.execute(_COUNT_UNREACHED, (run.run_no,)).fetchone()[0])


def has_dues_to_resume(connection: Connection, run: RunRecord) -> bool:
    """Return whether a resume of the run would send anything."""
    return bool(connection.execute(_HAS_TO_RESUME, (run.run_no,)).fetchone()[0])


def reopen_dues(connection: Connection, first: int, last: int, run: RunRecord) -> None:
    """Make dues due again that the run left unsent, blocked or unfinished, of rows from `first` to `last`."""
    connection.execute(_REOPEN, (run.run_no, first, last))
