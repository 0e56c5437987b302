"""A real run in one thread, to a platform that says yes at once, under a clock that nothing but waiting moves."""

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
from pipeline.assemble.opening import open_config
from pipeline.assemble.run_options import RunOptions
from pipeline.assemble.runner import Runner
from pipeline.assemble.system import System
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

# Runs so many rows in a new folder, and returns what each act took of something.
Count = Callable[[Path, int], Counter[Phase]]


@dataclass
class Spending:
    """What was spent in each act of a run, by whatever a test counts."""

    act: Phase = Phase.STAGING
    counted: Counter[Phase] = field(default_factory=Counter)

    def note(self, _what: object = None) -> None:
        """Count one, in the act that the run is in."""
        self.counted[self.act] += 1


class InLine:
    """
    An engine that carries one lane after another in the calling thread, and says when it begins and ends.

    Without `carries` it leaves all lanes as they are.
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
class Night:
    """
    A night of so many orders in a folder; `signer` and `transport` are a platform that says yes.

    With `one_lane` all of them are of one agreement and its user.
    """

    folder: Path
    rows: int
    one_lane: bool = False
    trace: Callable[[str], None] | None = None
    enter: Callable[[Phase], None] = lambda _act: None
    delivers: bool = True
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
        """Run it from the first row to the report; every row has to end as it should."""
        clock = MovedClock()
        config = open_config(self.folder / "backfill.toml", {}, clock, "orders")
        system = replace(
            System.real(clock),
            chance=random.Random(1),
            engine=InLine(self.enter, carries=self.delivers),
            signer_of=lambda _account, _api: self.signer,
            transport_of=lambda _account, _job: self.transport,
            boot="this",
            folder=self.folder,
        )
        ledger = Ledger(self.folder / "ledger.db", clock, this_process(), connect=self._connect)
        try:
            files = Runner(config, ledger, system, RunEvents()).run("orders", ["orders.csv"], RunOptions())
        finally:
            ledger.close()
        assert files.summary.counts[Status.SUCCEEDED if self.delivers else Status.UNSENT] == self.rows

    def _connect(self, path: Path, *, durable: bool = True) -> sqlite3.Connection:
        connection = connect(path, durable=durable)
        # What is counted does not depend on the disk, and need not wait for it.
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
    """Return what one row more costs in each act: what twice the rows cost more than once the rows, by the row."""
    once, twice = spend(folder / "once", rows), spend(folder / "twice", 2 * rows)
    return {act: (twice[act] - once[act]) / rows for act in Phase}


def statements(folder: Path, rows: int, *, only: str = "") -> Counter[Phase]:
    """Return how many statements the ledger executes in each act; those that begin so, where that is given."""
    spending = Spending()

    def trace(statement: str) -> None:
        if statement.startswith(only):
            spending.note()

    Night(folder, rows, trace=trace, enter=lambda act: setattr(spending, "act", act)).run()
    return spending.counted


def peaks(folder: Path, rows: int, *, delivers: bool, one_lane: bool = False) -> dict[Phase, int]:
    """Return the most memory, in bytes, that Python objects take at once in each act."""
    spending, peak = Spending(), dict.fromkeys(Phase, 0)

    def enter(act: Phase) -> None:
        peak[spending.act] = tracemalloc.get_traced_memory()[1]
        spending.act = act
        # The collector runs at moments that depend on earlier tests; the garbage of one act must not count in the next.
        gc.collect()
        tracemalloc.reset_peak()

    night = Night(folder, rows, one_lane, enter=enter, delivers=delivers)
    tracemalloc.start()
    try:
        night.run()
        enter(Phase.CONCLUDED)
    finally:
        tracemalloc.stop()
    return peak
