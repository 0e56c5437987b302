"""A real run in one thread, with a platform that confirms at once and a clock that only waiting moves."""

import gc
import random
import sqlite3
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from benchmarks.exports import ORDER_COLUMNS, Cells, orders, write
from benchmarks.instant_platform import InstantPlatform
from benchmarks.scene import JOBS
from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.parts.run_options import RunOptions
from pipeline.assemble.parts.system import System
from pipeline.assemble.runner import Runner
from pipeline.ledger.batch_sizes import DEFAULT_SIZES, BatchSizes
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Phase
from pipeline.ledger.store.database import connect
from pipeline.ledger.store.lease import this_process
from pipeline.model import Status
from pipeline.run.events import RunEvents
from pipeline.simulator import client_config, write_client_keys
from pipeline.write.ports import Signer, Transport
from tests.moved_clock import MovedClock

T = TypeVar("T")

# Memory is measured with a quarter of the dues in each page: then a quarter of the rows is enough for delivering.
_SMALL_PAGES = replace(DEFAULT_SIZES, page_dues=DEFAULT_SIZES.page_dues // 4)

# Runs this many rows in a new folder; returns a count for each phase.
Count = Callable[[Path, int], Counter[Phase]]


@dataclass
class Spending:
    """Counts for each phase of a run."""

    phase: Phase = Phase.STAGING
    counted: Counter[Phase] = field(default_factory=Counter)

    def note(self, _what: object = None) -> None:
        """Count one, in the present phase."""
        self.counted[self.phase] += 1


class SequentialEngine:
    """
    An engine that works off tasks in the calling thread, and reports the phase.

    Without `carries` it runs no task.
    """

    def __init__(self, enter: Callable[[Phase], None], *, carries: bool) -> None:
        self._enter = enter
        self._carries = carries

    def run(
        self,
        tasks: Iterator[T],
        work: Callable[[T], None],
        *,
        workers: int,
        tick: Callable[[], None],
        give_up: Callable[[], None],
    ) -> None:
        self._enter(Phase.DELIVERING)
        for task in tasks if self._carries else ():
            work(task)
        self._enter(Phase.CONCLUDED)


@dataclass
class CountedRun:
    """
    A run of `rows` orders in a folder; `signer` and `transport` are a platform that confirms.

    With `one_lane` all orders have one agreement and one user.
    """

    folder: Path
    rows: int
    one_lane: bool = False
    trace: Callable[[str], None] | None = None
    enter: Callable[[Phase], None] = lambda _phase: None
    delivers: bool = True
    sizes: BatchSizes = DEFAULT_SIZES
    signer: Signer = field(default_factory=InstantPlatform)
    transport: Transport = field(default_factory=InstantPlatform)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        write_client_keys(self.folder / "keys")
        config = client_config("http://127.0.0.1:9") + JOBS.format(settings="")
        (self.folder / "backfill.toml").write_text(config, encoding="utf-8")
        rows = orders(self.rows)
        write(self.folder / "orders.csv", ORDER_COLUMNS, _of_one_agreement(rows) if self.one_lane else rows)

    def run(self) -> None:
        """Run the job to its report; assert that each row ends as expected."""
        clock = MovedClock()
        config = open_config(self.folder / "backfill.toml", {}, clock, "orders")
        system = replace(
            System.real(clock),
            chance=random.Random(1),
            engine=SequentialEngine(self.enter, carries=self.delivers),
            signer_of=lambda _account, _api: self.signer,
            transport_of=lambda _account, _job: self.transport,
            boot="this",
            folder=self.folder,
        )
        ledger = Ledger(self.folder / "ledger.db", clock, this_process(), connect=self._connect, sizes=self.sizes)
        try:
            files = Runner(config, ledger, system, RunEvents()).run("orders", ["orders.csv"], RunOptions())
        finally:
            ledger.close()
        assert files.summary.counts[Status.SUCCEEDED if self.delivers else Status.UNSENT] == self.rows

    def _connect(self, path: Path, *, durable: bool = True) -> sqlite3.Connection:
        connection = connect(path, durable=durable)
        # The counts do not depend on the disk, so do not wait for it.
        connection.execute("PRAGMA synchronous = OFF")
        connection.set_trace_callback(self.trace)
        return connection


def _of_one_agreement(rows: Iterator[Cells]) -> Iterator[Cells]:
    first = dict(zip(ORDER_COLUMNS, next(rows), strict=True))
    its = {name: first[name] for name in ("agreement_no", "user_id", "open_id")}
    yield tuple(first.values())
    for row in rows:
        yield tuple((dict(zip(ORDER_COLUMNS, row, strict=True)) | its).values())


def spent_a_row(folder: Path, rows: int, spend: Count) -> dict[Phase, float]:
    """Return the cost of one row for each phase: the difference of 2n and n rows, divided by n."""
    once, twice = spend(folder / "once", rows), spend(folder / "twice", 2 * rows)
    return {phase: (twice[phase] - once[phase]) / rows for phase in Phase}


def statements(folder: Path, rows: int, *, only: str = "") -> Counter[Phase]:
    """Return the statements that the ledger executes in each phase; with `only`, those that begin with it."""
    spending = Spending()

    def trace(statement: str) -> None:
        if statement.startswith(only):
            spending.note()

    CountedRun(folder, rows, trace=trace, enter=lambda phase: setattr(spending, "phase", phase)).run()
    return spending.counted


def peaks(folder: Path, rows: int, *, delivers: bool, one_lane: bool = False) -> dict[Phase, int]:
    """Return the peak memory of Python objects in each phase, in bytes."""
    spending, peak = Spending(), dict.fromkeys(Phase, 0)

    def enter(phase: Phase) -> None:
        peak[spending.phase] = tracemalloc.get_traced_memory()[1]
        spending.phase = phase
        # Collect now, so that the garbage of one phase does not count in the next.
        gc.collect()
        tracemalloc.reset_peak()

    counted_run = CountedRun(folder, rows, one_lane, enter=enter, delivers=delivers, sizes=_SMALL_PAGES)
    tracemalloc.start()
    try:
        counted_run.run()
        enter(Phase.CONCLUDED)
    finally:
        tracemalloc.stop()
    return peak
