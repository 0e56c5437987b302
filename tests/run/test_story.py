"""What one execution of a run does, and how it leaves the run."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipeline.assemble.reporting import report_on
from pipeline.errors import LedgerError, SourceError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Due, Phase, RunRecord, RunState
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.store.lease import LEASE_SECONDS
from pipeline.model import Lost, Status, Wait
from pipeline.read import SourceFile
from pipeline.report import OutcomeFormat, ReportFiles
from pipeline.run.events import RunEvents
from pipeline.run.exit_code import exit_code_of
from pipeline.run.ports import T
from pipeline.run.run import Run
from pipeline.write.brakes.run_control import Ending, RunControl
from pipeline.write.writer import Writer
from tests.ledger_runs.job_runs import DEAD, JobRuns, ReportedRow
from tests.ledger_runs.staged_rows import StagedRow, invalid, order
from tests.write.harness import BAD_SIGNATURE, REFUSED, TIMEOUT, Answer, WriterHarness

SENT = (Status.SUCCEEDED, "SUCCESS")


@dataclass
class OneByOne:
    """An engine that carries one lane after another, and ticks after each."""

    before_tick: Callable[[], None] = lambda: None

    def run(
        self,
        tasks: Iterator[T],
        work: Callable[[T], None],
        *,
        workers: int,
        tick: Callable[[], None],
        give_up: Callable[[], None],
    ) -> None:
        for task in tasks:
            try:
                work(task)
                self.before_tick()
                tick()
            except BaseException:
                give_up()
                raise


@dataclass
class Act:
    """A stager that does this."""

    act: Callable[[], object]

    def stage(self, files: Sequence[SourceFile]) -> int:
        self.act()
        return len(files)


@dataclass
class Sender:
    """A sender that carries one lane after another."""

    of: "Stage"

    def deliver(self, lanes: Iterator[Iterable[Due]], *, tick: Callable[[], None]) -> None:
        queue = Writer(self.of.harness.services, self.of.run, workers=1).lane_queue(lanes, dues=1)
        self.of.engine.run(queue, queue.deliver, workers=1, tick=tick, give_up=self.of.control.give_up)

    def throttled(self) -> int:
        return self.of.throttled

    def waiting(self) -> Sequence[Wait]:
        return ()


@dataclass
class Report:
    """A report that remembers which runs it was written for."""

    of: "Stage"

    def prepare(self) -> Path:
        return self.of.ledger.path.parent

    def write(self, run: RunRecord, tick: Callable[[], None]) -> ReportFiles:
        self.of.reported.append(run)
        return report_on(self.of.ledger, run, self.prepare(), OutcomeFormat.CSV, tick=tick)


@dataclass
class Stage:
    """A run and all that takes part in it, over a ledger of its own."""

    ledger: Ledger
    harness: WriterHarness = field(default_factory=WriterHarness)
    engine: OneByOne = field(default_factory=OneByOne)
    reported: list[RunRecord] = field(default_factory=list)
    throttled: int = 3
    tick: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.nights = JobRuns(lambda owner=DEAD: self.ledger, clock=self.harness.clock)
        self.run: RunLedger = self.nights.begin()

    @property
    def control(self) -> RunControl:
        return self.harness.control

    def answers(self, answers: Mapping[str, Answer | Callable[[], Answer]]) -> None:
        for key, answer in answers.items():
            self.harness.plan_answers(key, [answer] * 9)

    def execute(self, act: Callable[[], object] | None = None) -> int:
        """Execute the run: from where it was staged, or with this as its stage."""
        run = Run(
            ledger=self.run,
            stager=Act(act or (lambda: None)),
            sender=Sender(self),
            control=self.control,
            report=Report(self),
            clock=self.harness.clock,
            events=RunEvents(tick=self.tick),
        )
        with run:
            if act is None:
                run.continue_staged()
            else:
                run.stage(())
            run.deliver()
            return run.conclude().summary.exit_code

    def lease_ends_at(self) -> datetime:
        """Return until when the run holds its job."""
        with closing(sqlite3.connect(self.ledger.path)) as connection:
            return datetime.fromisoformat(connection.execute("SELECT expires_at FROM jobs").fetchone()[0])

    def stage(self, *keys: str) -> None:
        self.nights.stage(self.run, [order(key, user=key) for key in keys])

    @property
    def record(self) -> RunRecord:
        return self.ledger.find("last")

    @property
    def reported_rows(self) -> list[ReportedRow]:
        return self.nights.reported_rows(self.record)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A run that has begun, with a platform that accepts everything."""
    harness = WriterHarness(max_attempts=2)
    ledger = Ledger(tmp_path / "backfill.db", harness.clock, DEAD)
    yield Stage(ledger, harness)
    ledger.close()


def test_a_run_that_comes_to_its_end(stage: Stage) -> None:
    """A run is staged, delivered, concluded and reported; its exit code is kept and its job is free."""
    exit_code = stage.execute(lambda: stage.stage("A", "B"))
    record = stage.record

    assert exit_code == 0
    assert stage.reported_rows == [("A", *SENT), ("B", *SENT)]
    assert (record.phase, record.state, record.reason, record.exit_code) == (
        Phase.CONCLUDED,
        RunState.COMPLETED,
        None,
        0,
    )
    assert (record.throttled, record.finished_at) == (3, "2026-03-01T12:00:00.100Z")
    assert (record.elapsed_s, record.sending_s) == pytest.approx((0.1, 0.1))
    assert [run.state for run in stage.reported] == [RunState.COMPLETED]
    assert not stage.ledger.is_live(record)


def test_a_run_that_is_staged_already_is_only_delivered(stage: Stage) -> None:
    """Without a first act the run goes on with what is due."""
    stage.stage("A")

    assert (stage.execute(), stage.reported_rows) == (0, [("A", *SENT)])


def test_the_job_is_kept_before_anything_is_shown(stage: Stage) -> None:
    """What is shown may have to wait for a terminal: a tick first does all that others wait for."""
    stage.stage("A")
    clock = stage.harness.clock
    stage.engine.before_tick = lambda: clock.move(LEASE_SECONDS / 2)
    shown: list[bool] = []
    stage.tick = lambda: shown.append(stage.lease_ends_at() == clock.now() + timedelta(seconds=LEASE_SECONDS))

    assert (stage.execute(), shown) == (0, [True])


def test_rows_that_fail_do_not_stop_a_run(stage: Stage) -> None:
    """A run with refused, unknown and invalid rows comes to its end, and its exit code says that some are left."""
    stage.nights.stage(stage.run, [order("A"), order("B", user="v"), invalid("C")])
    stage.answers({"A": REFUSED, "B": TIMEOUT})

    assert stage.execute() == 3
    assert [status for _, status, _ in stage.reported_rows] == [Status.REJECTED, Status.UNKNOWN, Status.INVALID]
    assert stage.record.state is RunState.COMPLETED


def test_a_refused_caller_stops_the_run(stage: Stage) -> None:
    """Where the platform refuses the caller the run ends stopped, with the reason, and the rest is unsent."""
    stage.stage("A", "B")
    stage.answers({"A": BAD_SIGNATURE})

    assert stage.execute() == 4
    assert stage.reported_rows == [("A", Status.UNSENT, "stopped"), ("B", Status.UNSENT, "stopped")]
    assert stage.record.state is RunState.STOPPED
    assert "refuses our signature" in str(stage.record.reason)


def test_a_run_that_is_drained_can_be_resumed(stage: Stage) -> None:
    """A run that is drained from outside is interrupted; what it left is unsent until it is resumed."""
    stage.stage("A", "B")

    def drain() -> Lost:
        stage.control.drain(Ending.INTERRUPTED, "the run was stopped by SIGTERM")
        return TIMEOUT

    stage.answers({"A": drain})

    assert stage.execute() == 5
    assert stage.reported_rows == [("A", Status.UNKNOWN, "timeout"), ("B", Status.UNSENT, "interrupted")]
    assert (stage.record.state, stage.record.reason) == (RunState.INTERRUPTED, "the run was stopped by SIGTERM")

    assert stage.nights.reported_rows(stage.nights.resume(stage.record)) == [("A", *SENT), ("B", *SENT)]


def test_a_drain_that_comes_when_all_is_done_takes_nothing_away(stage: Stage) -> None:
    """A run that was told to end after its last row had its outcome is complete."""
    stage.stage("A")
    stage.engine.before_tick = lambda: stage.control.drain(Ending.DEADLINE, "the deadline was reached")

    assert stage.execute() == 0
    assert (stage.record.state, stage.record.reason) == (RunState.COMPLETED, None)


def test_a_deadline_reaches_a_run_whose_workers_all_wait(tmp_path: Path) -> None:
    """The deadline is kept by the thread that watches, however long the workers are about to wait."""
    harness = WriterHarness(until_seconds=60.0)
    ledger = Ledger(tmp_path / "backfill.db", harness.clock, DEAD)
    stage = Stage(ledger, harness)
    stage.stage("A")
    stage.engine.before_tick = lambda: stage.harness.clock.move(61.0)
    stage.execute()
    ledger.close()

    assert stage.control.ending is Ending.DEADLINE
    assert stage.harness.clock.is_woken


@pytest.mark.parametrize(
    ("row", "reported_rows"),
    [
        pytest.param(order("A"), ("A", Status.UNSENT, "deadline"), id="a-row-to-send"),
        pytest.param(invalid("A"), ("A", Status.INVALID, "field_missing"), id="nothing-to-send-so-far"),
    ],
)
def test_a_deadline_while_inputs_are_read(tmp_path: Path, row: StagedRow, reported_rows: ReportedRow) -> None:
    """A run that ends while it is staged has an outcome for what was read, and is staged anew when it is resumed."""
    harness = WriterHarness(until_seconds=0.0)
    ledger = Ledger(tmp_path / "backfill.db", harness.clock, DEAD)
    stage = Stage(ledger, harness)

    def read() -> None:
        stage.nights.stage(stage.run, [row], decide=False)
        stage.control.check_running()

    exit_code, found, record = stage.execute(read), stage.reported_rows, stage.record
    ledger.close()

    assert (exit_code, found) == (5, [reported_rows])
    assert (record.phase, record.state) == (Phase.STAGING, RunState.INTERRUPTED)
    assert harness.network.sent == []


def test_an_input_at_fault_ends_the_run(stage: Stage) -> None:
    """A damaged input concludes the run with exit code 2, and is told to whoever started it; nothing is reported."""

    def read() -> None:
        stage.nights.stage(stage.run, [order("A")], decide=False)
        raise SourceError("orders.csv.gz is cut short")

    with pytest.raises(SourceError):
        stage.execute(read)

    record = stage.record
    assert (record.phase, record.state, record.exit_code) == (Phase.STAGING, RunState.STOPPED, 2)
    assert record.reason == "orders.csv.gz is cut short"
    assert stage.reported_rows == [("A", Status.UNSENT, "stopped")]
    assert stage.reported == []
    assert not stage.ledger.is_live(record)


def test_any_other_error_leaves_the_run_as_a_crash_would(stage: Stage) -> None:
    """A fault of the ledger or the program concludes nothing: what was in the air is in doubt, and the job is free."""
    stage.stage("A", "B")

    def full() -> Lost:
        raise LedgerError("the disk is full", users_fault=False)

    stage.answers({"A": full})
    with pytest.raises(LedgerError):
        stage.execute()

    record = stage.record
    assert (record.phase, record.state, record.exit_code) == (Phase.DELIVERING, None, None)
    assert stage.reported_rows == [("A", Status.UNKNOWN, "interrupted"), ("B", Status.UNSENT, "interrupted")]
    assert stage.control.ending is Ending.INTERRUPTED
    assert not stage.ledger.is_live(record)


def test_a_run_that_lost_its_job_says_so(stage: Stage) -> None:
    """Who finds the job taken over does not hide that behind being unable to give it back."""
    stage.stage("A")
    stage.harness.clock.move(3600)
    stage.nights.begin()

    with pytest.raises(LedgerError, match="was taken over by another run"):
        stage.execute()


@pytest.mark.parametrize(
    ("state", "counts", "exit_code"),
    [
        pytest.param(RunState.COMPLETED, {}, 0, id="nothing-to-do"),
        pytest.param(RunState.COMPLETED, {Status.SUCCEEDED: 2, Status.SKIPPED: 1}, 0, id="all-done"),
        *(
            pytest.param(RunState.COMPLETED, {Status.SUCCEEDED: 2, status: 1}, 3, id=f"one-{status}")
            for status in Status
            if status not in (Status.SUCCEEDED, Status.SKIPPED)
        ),
        pytest.param(RunState.STOPPED, {Status.SUCCEEDED: 2}, 4, id="stopped"),
        pytest.param(RunState.INTERRUPTED, {Status.SUCCEEDED: 2}, 5, id="interrupted"),
    ],
)
def test_the_exit_code_says_how_a_run_ended(state: RunState, counts: Mapping[Status, int], exit_code: int) -> None:
    """0 only where every row succeeded or was skipped with cause."""
    assert exit_code_of(state, Counter(counts)) == exit_code
