"""The totals are one statement, and their memory does not grow with deliveries and agreements."""

import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from io import RawIOBase
from pathlib import Path

import pytest

from pipeline.assemble.reports.totals import no_agreement
from pipeline.ledger.history.totals import Wanted
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.database import connect
from pipeline.ledger.store.lease import this_process
from pipeline.report.files.totals_file import TotalsFormat, write_totals
from pipeline.tables.agreement_totals import totals_lines
from tests.moved_clock import MovedClock

GROWTH = 1.5
FEW, MANY = 4_000, 12_000
# A ledger with so many deliveries, 2 for each agreement, and as many open dues.
FILL = """
INSERT INTO accounts VALUES (1, 'zhima', 'merchant', 1, NULL);
INSERT INTO runs (run_no, run_id, job, export, api, account, account_no, options, act, limit_per_s, started_at)
    VALUES (1, 'RUN', 'orders', 'orders', 'alipay.cumulation', 'zhima', 1, '{{}}', 'delivering', 5, '');
CREATE TEMP TABLE numbers AS
    WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {rows}) SELECT n FROM counted;
INSERT INTO deliveries (account_no, api, identity, digest, state, due_no, agreement, biz_day, direction, tasks, amount)
    SELECT 1, 'alipay.cumulation', 'A' || n, x'00', 'succeeded', n, 'agreement ' || (n / 2), 20251120, 1, 0, 1250
    FROM numbers;
INSERT INTO dues (run_no, row_no, part, position, request_key, identity, key_is_derived, digest, body, lane)
    SELECT 1, n, 0, n, 'B' || n, 'B' || n, 0, x'00',
        CAST('{{"agreement_no": "agreement ' || n || '", "biz_time": "2025-11-20 10:00:00"}}' AS BLOB), x'00'
    FROM numbers;
"""


class Counted(RawIOBase):
    """A file that only counts its lines."""

    lines = 0

    def write(self, content: object) -> int:
        self.lines += bytes(content).count(b"\n")  # type: ignore[call-overload]
        return 0


def filled(path: Path, rows: int, trace: Callable[[str], None]) -> Ledger:
    def traced(path: Path, *, durable: bool = True) -> sqlite3.Connection:
        connection = connect(path, durable=durable)
        connection.set_trace_callback(trace)
        return connection

    ledger = Ledger(path, MovedClock(), this_process(), connect=traced)
    with closing(connect(path)) as connection:
        connection.executescript(FILL.format(rows=rows))
    return ledger


def spent(path: Path, rows: int) -> tuple[int, list[str]]:
    """Return the peak memory of Python objects in bytes while the totals are written, and the statements."""
    statements: list[str] = []
    with closing(filled(path, rows, statements.append)) as ledger:
        statements.clear()
        file = Counted()
        tracemalloc.start()
        try:
            totals = ledger.totals(Wanted(20251120, 20251120), no_agreement)
            write_totals(totals_lines(totals), file, TotalsFormat.CSV)  # type: ignore[arg-type]
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert file.lines > rows
    return peak, statements


@pytest.mark.slow
def test_totals_take_one_statement_and_the_same_memory(tmp_path: Path) -> None:
    """3 times the rows take 1 statement and no more memory; the work on rows is done in SQLite."""
    spent(tmp_path / "imports.db", 10)
    (few, _), (many, statements) = (spent(tmp_path / f"{rows}.db", rows) for rows in (FEW, MANY))

    assert many < GROWTH * few
    assert len([statement for statement in statements if statement.lstrip().startswith("SELECT")]) == 1
