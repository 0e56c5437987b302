"""The outcomes of a run: one for each row, in source order, read in pages of bounded size."""

from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any

from pipeline.ledger.history.dues import IS_DELIVERED, UNREACHED
from pipeline.ledger.history.inputs import inputs_of
from pipeline.ledger.history.skipped_rows import LAST_ROW, SkippedRows, read_skipped_rows
from pipeline.ledger.records import RunRecord
from pipeline.ledger.store.port import Connection
from pipeline.model import Status
from pipeline.tables.outcome_page import Outcome, OutcomePage

SEVERITY = ("skipped", "succeeded", "unsent", "blocked", "invalid", "rejected", "unknown")
"""Statuses by severity, the worst last. Doubt is the worst: it must not be answered by sending something else."""

_RANK = {status: rank for rank, status in enumerate(SEVERITY)}
_STATUS = {status.value: status for status in Status}
# Rows of a page.
_PAGE = 1000
# Characters of cells after which a page ends. A single row may have megabytes.
_PAGE_CELLS = 1 << 20
# HTTP status to trace id, and whether a new key is wanted, of a row that was not sent.
_NOT_SENT = (None, 0, None, None, None, None, False)

# Some rows of a run. The status and the columns after the line are set only where the row itself is final.
_ROWS = """
SELECT row_no, file_no, source_row, coalesce(request_key, ''), status, code, message,
    cells, file_line, field, heading, rule, value
FROM rows WHERE run_no = ? AND row_no BETWEEN ? AND ? ORDER BY row_no LIMIT ?
"""
# How the dues of some rows ended. For dues of a killed run, which has settled nothing, it is what the intents say.
_DUES = f"""
SELECT row_no, coalesce(status, {UNREACHED}),
    coalesce(code, CASE WHEN {IS_DELIVERED} THEN 'already_succeeded' ELSE 'interrupted' END),
    coalesce(message, ''), http_status, attempts, first_sent_at, finished_at, latency_ms, trace_id, wants_new_key
FROM dues WHERE run_no = ? AND row_no BETWEEN ? AND ? ORDER BY row_no, part
"""


# A line of a statement above.
_Found = tuple[Any, ...]
# The number of a row in its run, and its values in the columns of `OutcomePage`.
_Line = tuple[Any, ...]


def outcomes(connection: Connection, run: RunRecord) -> Iterator[Outcome]:
    """Yield the outcome of each row of a run, in source order. Each page is one short read."""
    return chain.from_iterable(outcome_pages(connection, run))


def outcome_pages(
    connection: Connection, run: RunRecord, first: int = 0, last: int = LAST_ROW
) -> Iterator[OutcomePage]:
    """Yield the outcomes of the rows from `first` to `last` in pages, in source order. No page is empty."""
    names = {source.file_no: source.name for source in inputs_of(connection, run)}
    pages_of = partial(_pages_of_rows, connection, run, names)
    for skipped_rows in _overlapping(read_skipped_rows(connection, run, first, last)):
        low = min(skipped.row_nos[0] for skipped in skipped_rows)
        high = max(skipped.row_nos[-1] for skipped in skipped_rows)
        yield from map(_page_of, pages_of(first, low - 1))
        rows = pages_of(low, high)
        between = next(rows, None)
        if between is None and len(skipped_rows) == 1:
            yield _unpacked(skipped_rows[0], names)
        else:
            skipped_lines = chain.from_iterable(_lines(skipped, names) for skipped in skipped_rows)
            yield from map(_page_of, _merged(chain([between] if between else [], rows), skipped_lines))
        first = high + 1
    yield from map(_page_of, pages_of(first, last))


def _overlapping(skipped_rows: Iterator[SkippedRows]) -> Iterator[list[SkippedRows]]:
    """Group lines of skipped rows whose rows lie among one another."""
    group: list[SkippedRows] = []
    for skipped in skipped_rows:
        if group and skipped.row_nos[0] > max(other.row_nos[-1] for other in group):
            yield group
            group = []
        group.append(skipped)
    if group:
        yield group


def _unpacked(skipped: SkippedRows, names: Mapping[int, str]) -> OutcomePage:
    rows = len(skipped.row_nos)
    nothing = [None] * rows
    return OutcomePage(
        source_file=[names[skipped.file_no]] * rows,
        source_row=skipped.source_rows,
        request_key=[key or "" for key in skipped.request_keys],
        status=[skipped.status] * rows,
        code=[skipped.code] * rows,
        message=[skipped.message] * rows,
        http_status=nothing,
        attempts=[0] * rows,
        first_sent_at=nothing,
        finished_at=nothing,
        latency_ms=nothing,
        trace_id=nothing,
        file_no=[skipped.file_no] * rows,
        wants_new_key=[False] * rows,
        cells=nothing,
        file_line=skipped.file_lines or nothing,
        field=nothing,
        column=nothing,
        rule=nothing,
        value=nothing,
    )


def _lines(skipped: SkippedRows, names: Mapping[int, str]) -> Iterator[_Line]:
    return zip(skipped.row_nos, *_unpacked(skipped, names).columns(), strict=True)


def _merged(pages: Iterator[list[_Line]], skipped_lines: Iterable[_Line]) -> Iterator[list[_Line]]:
    """Yield pages of rows, with skipped rows in their places."""
    packed = sorted(skipped_lines, key=_row_no)
    taken = 0
    for rows in pages:
        upto = bisect(packed, _row_no(rows[-1]), key=_row_no)
        yield sorted(chain(packed[taken:upto], rows), key=_row_no)
        taken = upto
    if taken < len(packed):
        yield packed[taken:]


_row_no: Callable[[_Line], int] = itemgetter(0)


def _page_of(lines: list[_Line]) -> OutcomePage:
    _, *columns = zip(*lines, strict=True)
    return OutcomePage(*columns)


def _pages_of_rows(
    connection: Connection, run: RunRecord, names: Mapping[int, str], first: int, last: int
) -> Iterator[list[_Line]]:
    while rows := _rows(connection, run, first, last):
        high = rows[-1][0]
        # Iterated, not fetched at once: a row may have a thousand dues.
        dues = _worst_dues(connection.execute(_DUES, (run.run_no, rows[0][0], high)))
        yield [_line(row, dues.get(row[0]), names) for row in rows]
        first = high + 1


def _rows(connection: Connection, run: RunRecord, first: int, last: int) -> list[_Found]:
    rows: list[_Found] = []
    room = _PAGE_CELLS
    with closing(connection.execute(_ROWS, (run.run_no, first, last, _PAGE))) as lines:
        for line in lines:
            rows.append(line)
            room -= len(line[7] or "")
            if room < 0:
                break
    return rows


def _worst_dues(dues: Iterable[_Found]) -> Mapping[int, _Found]:
    """Return the worst due of each row, with the attempts of all."""
    worst: dict[int, _Found] = {}
    for due in dues:
        known = worst.setdefault(due[0], due)
        if known is not due:
            worse = max(known, due, key=lambda end: _RANK[end[1]])
            worst[due[0]] = (*worse[:5], known[5] + due[5], *worse[6:])
    return worst


def _line(row: _Found, due: _Found | None, names: Mapping[int, str]) -> _Line:
    """Return the outcome of a row: its own if it is final, else that of its worst due."""
    row_no, file_no, source_row, key, status, code, message = row[:7]
    if status is None and due is not None:
        status, code, message = due[1:4]
        sent = (*due[4:10], bool(due[10]))
    else:
        status, code, message, sent = status or "unsent", code or "interrupted", message or "", _NOT_SENT
    return (row_no, names[file_no], source_row, key, _STATUS[status], code, message, file_no, *sent, *row[7:])
