"""Dues about which the platform can be asked: those in doubt, and those that it refused."""

from collections.abc import Iterator, Sequence
from functools import partial

import orjson

from pipeline.ledger.delivering.queue import due_of
from pipeline.ledger.records import NamedDue, RunRecord
from pipeline.ledger.store.port import Connection, Read

# Dues of one query.
_PAGE_DUES = 1000

# Dues of a run that may have been applied, lane by lane. Another run may have settled the delivery since.
_IN_DOUBT = """
SELECT d.due_no FROM dues AS d
JOIN deliveries AS v ON v.account_no = ? AND v.api = ? AND v.identity = d.identity AND v.digest = d.digest
WHERE d.run_no = ? AND coalesce(d.status, 'unknown') = 'unknown' AND v.state IN ('sending', 'unknown')
ORDER BY d.lane, d.due_no
"""
# Dues of a run that the platform refused with one of some codes, lane by lane.
_REFUSED = """
SELECT due_no FROM dues
WHERE run_no = ? AND status = 'rejected' AND code IN (SELECT value FROM json_each(?)) ORDER BY lane, due_no
"""
# Some dues, with the names of their rows.
_NAMED = """
SELECT i.name, w.source_row, w.file_line, coalesce(d.code, ''), coalesce(d.message, ''),
    d.due_no, d.row_no, d.request_key, d.identity, d.digest, d.body, d.lane,
    d.refund_of, d.card, d.points, d.version, d.position, d.object
FROM json_each(?) AS wanted
CROSS JOIN dues AS d ON d.due_no = CAST(wanted.value AS BIGINT)
JOIN rows AS w ON w.run_no = d.run_no AND w.row_no = d.row_no
JOIN inputs AS i ON i.run_no = w.run_no AND i.file_no = w.file_no
ORDER BY wanted.key
"""
_CONFIRMED = "SELECT confirmed_report FROM accounts WHERE account_no = ?"


def dues_in_doubt(read: Read, run: RunRecord) -> Iterator[NamedDue]:
    """Yield the dues of a run that may have been applied, lane by lane."""
    return _named(read, read(lambda c: c.execute(_IN_DOUBT, (run.account_no, run.api, run.run_no)).fetchall()))


def refused_dues(read: Read, run: RunRecord, codes: Sequence[str]) -> Iterator[NamedDue]:
    """Yield the dues of a run that were refused with one of these codes, lane by lane."""
    values = (run.run_no, orjson.dumps(codes).decode())
    return _named(read, read(lambda c: c.execute(_REFUSED, values).fetchall()))


def confirmed_report(connection: Connection, run: RunRecord) -> bytes | None:
    """Return the body of the newest confirmed report of a run's account; None if the ledger knows none."""
    line = connection.execute(_CONFIRMED, (run.account_no,)).fetchone()
    return None if line is None else line[0]


def note(connection: Connection, due_no: int, message: str) -> None:
    """Replace the message of a due that ended."""
    connection.execute("UPDATE dues SET message = ? WHERE due_no = ?", (message, due_no))


def _named(read: Read, due_nos: Sequence[tuple[int]]) -> Iterator[NamedDue]:
    for first in range(0, len(due_nos), _PAGE_DUES):
        yield from read(partial(_page, due_nos=due_nos[first : first + _PAGE_DUES]))


def _page(connection: Connection, due_nos: Sequence[tuple[int]]) -> list[NamedDue]:
    wanted = orjson.dumps([due_no for (due_no,) in due_nos]).decode()
    return [
        NamedDue(file, source_row, file_line, code, message, due_of(line))
        for file, source_row, file_line, code, message, *line in connection.execute(_NAMED, (wanted,))
    ]
