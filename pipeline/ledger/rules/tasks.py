"""
The two forms of a task's keys: `<key>` if it was done once, `<key>-1` ... `<key>-n` if it was done n times.

Sent in both forms, the same completions would count twice.
"""

from collections.abc import Iterable

from pipeline.language import later, t
from pipeline.ledger.records import Due, RunRecord
from pipeline.ledger.rules.admission import Conflict
from pipeline.ledger.store.port import Connection, json_of
from pipeline.model import Export

# A row's key, and whether the task was done once.
Form = tuple[str, bool]

COUNTED_OTHERWISE = later("the task was delivered with another form of `times`; give this row another key")

# Rows whose task was sent in the other form, and was not refused for good. For a row in the single form these are
# deliveries from `<key>-` to `<key>.`, since `.` follows `-` in ASCII; for other rows it is `<key>`. A delivery counts
# only if its row has this very key: a key may just look numbered. The key of a pruned row is kept in `row_key`; another
# run may have the number of its due by now.
_SENT_OTHERWISE = """
WITH wanted AS (
    SELECT value ->> 0 AS key, CAST(value ->> 1 AS BIGINT) AS once FROM json_each(?)
)
SELECT a.key, a.once
FROM wanted AS a
CROSS JOIN deliveries AS d ON d.account_no = ? AND d.api = ?
    AND d.identity >= CASE WHEN a.once <> 0 THEN a.key || '-' ELSE a.key END
    AND d.identity <= CASE WHEN a.once <> 0 THEN a.key || '.' ELSE a.key END
LEFT JOIN dues AS u ON u.due_no = d.due_no AND u.identity = d.identity
LEFT JOIN rows AS w ON w.run_no = u.run_no AND w.row_no = u.row_no
WHERE coalesce(w.request_key, d.row_key, d.identity) = a.key
    AND (d.state <> 'rejected' OR d.successor IS NOT NULL)
"""


def sent_otherwise(connection: Connection, run: RunRecord, rows: Iterable[Form]) -> set[Form]:
    """Return those of the rows whose task was sent in the other form, and may count."""
    wanted = json_of((key, int(once)) for key, once in rows)
    found = connection.execute(_SENT_OTHERWISE, (wanted, run.account_no, run.api))
    return {(key, bool(once)) for key, once in found}


def form_conflict(connection: Connection, run: RunRecord, due: Due) -> Conflict | None:
    """Return a conflict if another run has sent the task in the other form since this due was staged."""
    if run.export is not Export.TASKS:
        return None
    row = (run.run_no, due.row_no)
    key = connection.execute("SELECT request_key FROM rows WHERE run_no = ? AND row_no = ?", row).fetchone()[0]
    return Conflict(t(COUNTED_OTHERWISE)) if sent_otherwise(connection, run, [(key, key == due.identity)]) else None
