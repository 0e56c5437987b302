"""A change of all rows of a run is written in ranges, each a transaction of its own."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pipeline.ledger.batch_sizes import DEFAULT_SIZES, BatchSizes
from pipeline.ledger.records import RunRecord, RunState, StagedCounts
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.staging.rerun import Selection
from pipeline.ledger.store.database import Connect
from pipeline.model import Status
from tests.ledger_runs.job_runs import OPEN, JobRuns, NewJobRuns, OpensWith, conclude, in_a_file
from tests.ledger_runs.staged_rows import invalid, order

ROWS = 11
THE_ROWS = [*(order(f"A{n}") for n in range(ROWS)), invalid("?")]
RANGES_OF_3 = BatchSizes(range_rows=3, copied_rows=3)


class Crash(Exception):
    """The process is gone."""


class Refused(Exception):
    """The staged rows are not to be sent."""


class Connection(sqlite3.Connection):
    """Calls `before_begin` before each transaction."""

    before_begin: ClassVar[Callable[[], None]]

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql.startswith("BEGIN"):
            type(self).before_begin()
        return super().execute(sql, parameters)


def connecting(before_begin: Callable[[], None]) -> Connect:
    """Return a function that opens connections which call `before_begin` before each transaction."""
    kind = type("Connection", (Connection,), {"before_begin": staticmethod(before_begin)})

    def connect(path: Path, *, durable: bool = True) -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite3.connect(
            path.as_uri(), uri=True, isolation_level=None, check_same_thread=False, factory=kind
        )
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    return connect


def begun(orders: JobRuns) -> RunLedger:
    run = orders.begin()
    orders.stage(run, THE_ROWS)
    return run


def stopped(orders: JobRuns) -> RunRecord:
    """Return a run that sent 2 rows and was then stopped."""
    return orders.deliver(begun(orders), {}, most=2)


def end_early(orders: JobRuns) -> None:
    conclude(begun(orders), RunState.INTERRUPTED)


def resume(orders: JobRuns) -> None:
    orders.resume(stopped(orders))


def rerun(orders: JobRuns) -> None:
    orders.rerun(stopped(orders))


def stage_again(orders: JobRuns) -> None:
    def refuse(_decided: StagedCounts) -> None:
        raise Refused

    run = orders.begin()
    orders.stage(run, THE_ROWS, decide=False)
    with suppress(Refused):
        run.start_delivering(orders.rekey, refuse)
    run.unstage()


WORKS = pytest.mark.parametrize("work", [end_early, resume, rerun, stage_again])


@in_a_file
@WORKS
def test_a_crash_between_two_ranges_loses_nothing(
    new_job: NewJobRuns, opens: OpensWith, work: Callable[[JobRuns], None]
) -> None:
    """After a crash the work is done again; at most the request in flight is repeated."""
    keys = [f"A{n}" for n in range(ROWS)]
    for nth in count(1):
        orders = new_job(job=f"job{nth}", account=f"account{nth}", owner=f"merchant {nth}")
        if not _crashes(orders, opens, work, nth):
            break
        _finish(orders, opens)

        # A crash before the run began leaves nothing to finish.
        orders.run(*(order(key) for key in keys))
        sent = orders.keys_sent()
        assert set(sent) == set(keys)
        assert len(sent) <= ROWS + 1
        last = orders.run(*(order(key) for key in keys))
        assert [status for _, status, _ in orders.reported_rows(last)] == [Status.SKIPPED] * ROWS
    assert nth > ROWS / 3


def _crashes(orders: JobRuns, opens: OpensWith, work: Callable[[JobRuns], None], nth: int) -> bool:
    """Do the work in a process that dies before its nth transaction; return whether it came to that."""
    transactions = count(1)

    def die() -> None:
        if next(transactions) >= nth:
            raise Crash

    try:
        work(replace(orders, opens=partial(opens, connect=connecting(die), sizes=RANGES_OF_3)))
    except Crash:
        return True
    return False


def _finish(orders: JobRuns, opens: OpensWith) -> None:
    """Do an operator's work: continue each run, or stage it again; then send what is left."""
    ledger = opens()
    for record in reversed([run for run in ledger.recent(1000) if run.job == orders.job]):
        held = ledger.resume(record, orders.owner)
        if record.parent is not None and record.phase == "staging":
            orders.copy(held, ledger.find(record.parent), Selection(OPEN))
        elif record.phase == "staging":
            held.unstage()
            orders.stage(held, THE_ROWS)
        orders.deliver(held, {})


@in_a_file
@WORKS
def test_other_jobs_write_between_ranges(
    new_job: NewJobRuns, opens: OpensWith, work: Callable[[JobRuns], None]
) -> None:
    """A run of another job can write before each range; 11 rows make at least 3 transactions more than one range."""
    other = new_job(job="other").begin(opens())

    def transactions(sizes: BatchSizes) -> int:
        numbers = count()

        def write_as_the_other_job() -> None:
            next(numbers)
            other.finish(0)

        orders = new_job(job=f"ranges of {sizes.range_rows}")
        work(replace(orders, opens=partial(opens, connect=connecting(write_as_the_other_job), sizes=sizes)))
        return next(numbers)

    assert transactions(RANGES_OF_3) - transactions(DEFAULT_SIZES) >= ROWS // 3
