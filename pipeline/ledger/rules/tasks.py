"""
The two forms of a task's deliveries: `<key>` where it was done once, `<key>-1` ... `<key>-n` where it was done n times.

Sent in both, the same completions would count twice.
"""

import sqlite3
from collections.abc import Iterable

import orjson

from pipeline.ledger.records import Due, RunRecord
from pipeline.ledger.rules.admission import Conflict
from pipeline.model import Export

# A row's key, and whether it counts the task once.
Form = tuple[str, bool]

COUNTED_OTHERWISE = "the task was delivered with another form of `times`; give this row another key"


def sent_otherwise(
    connection: sqlite3.Connection, run: RunRecord, rows: Iterable[tuple[str, bool]]
) -> set[tuple[str, bool]]:
    """
    Return those of the rows under whose key the task went out in the other form.

    What was refused for good, and given no other key,
    counts nowhere.
    """
    # `.` follows `-` in ASCII. A key that only looks numbered belongs to a row of that very key. Of a pruned run the
    # delivery itself knows its row's key, and another run may have taken the number of its due.
    found = connection.execute(
        "WITH asked AS (SELECT json_extract(value, '$[0]') AS key, json_extract(value, '$[1]') AS once"
        " FROM json_each(?)) SELECT a.key, a.once FROM asked AS a CROSS JOIN deliveries AS d"
        " ON d.account_no = ? AND d.api = ?"
        " AND d.identity >= iif(a.once, a.key || '-', a.key) AND d.identity <= iif(a.once, a.key || '.', a.key)"
        " LEFT JOIN dues AS u ON u.due_no = d.due_no AND u.identity = d.identity"
        " LEFT JOIN rows AS w ON w.run_no = u.run_no AND w.row_no = u.row_no"
        " WHERE coalesce(w.request_key, d.row_key, d.identity) = a.key"
        " AND (d.state <> 'rejected' OR d.successor IS NOT NULL)",
        (orjson.dumps(list(rows)).decode(), run.account_no, run.api),
    )
    return {(key, bool(once)) for key, once in found}


def form_conflict(connection: sqlite3.Connection, run: RunRecord, due: Due) -> Conflict | None:
    """Say whether another run has sent the task in the other form since this due was staged."""
    if run.export is not Export.TASKS:
        return None
    asked = (run.run_no, due.row_no)
    key = connection.execute("SELECT request_key FROM rows WHERE run_no = ? AND row_no = ?", asked).fetchone()[0]
    return Conflict(COUNTED_OTHERWISE) if sent_otherwise(connection, run, [(key, key == due.identity)]) else None
