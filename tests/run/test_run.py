"""A run: stage, deliver, conclude, and its state afterwards."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipeline.assemble.reports.reporting import RunReport
from pipeline.errors import LedgerError, SourceError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Phase, RunRecord, RunState
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.store.lease import LEASE_SECONDS
from pipeline.model import LaneOrder, Lost, Status, Wait
from pipeline.read import SourceFile
from pipeline.report import OutcomeFormat, ReportFiles
from pipeline.run.events import ProgressPhase, RunEvents
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
    """An engine that delivers one lane after another and ticks after each."""

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
class FakeStager:
    """A stager that calls a function."""

    act: Callable[[], object]

    def stage(self, files: Sequence[SourceFile]) -> int:
        self.act()
        return len(files)


@dataclass
class Sender:
    """A sender that delivers one lane after another."""

    of: "Scene"

    def deliver(self, order: LaneOrder, rows: int | None, *, tick: Callable[[], None]) -> None:
        lanes = self.of.run.lanes(order, rows)
        queue = Writer(self.of.harness.services, self.of.run, workers=1).lane_queue(lanes, dues=1)
        self.of.engine.run(queue, queue.deliver, workers=1, tick=tick, give_up=self.of.control.give_up)

    def throttled(self) -> int:
        return self.of.throttled

    def notes(self) -> Sequence[str]:
        return self.of.notes

    def waiting(self) -> Sequence[Wait]:
        return ()


@dataclass
class Report:
    """A report that records the runs it was written for."""

    of: "Scene"

    def prepare(self) -> Path:
        return self.of.ledger.path.parent

    def write(self, run: RunRecord, tick: Callable[[], None]) -> ReportFiles:
        self.of.reported.append(run)
        return RunReport(self.of.ledger, self.prepare(), OutcomeFormat.CSV).write(run, tick)


@dataclass
class Scene:
    """A run with all its parts, and its own ledger."""

    ledger: Ledger
    harness: WriterHarness = field(default_factory=WriterHarness)
    engine: OneByOne = field(default_factory=OneByOne)
    reported: list[RunRecord] = field(default_factory=list)
    throttled: int = 3
    notes: Sequence[str] = ()
    logged: list[str] = field(default_factory=list)
    entered: list[ProgressPhase] = field(default_factory=list)
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
        """Execute the run: continue the staged rows, or call `act` as its staging."""
        run = Run(
            ledger=self.run,
            stager=FakeStager(act or (lambda: None)),
            sender=Sender(self),
            control=self.control,
            report=Report(self),
            clock=self.harness.clock,
            events=RunEvents(phase=self.entered.append, tick=self.tick, log=self.logged.append),
        )
        with run:
            if act is None:
                run.continue_staged()
            else:
                run.stage(())
            run.deliver()
            return run.conclude().summary.exit_code

    def lease_ends_at(self) -> datetime:
        """Return the end of the run's lease."""
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
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Return a run that has begun, with a platform that accepts everything."""
    harness = WriterHarness(max_attempts=2)
    ledger = Ledger(tmp_path / "backfill.db", harness.clock, DEAD)
    yield Scene(ledger, harness)
    ledger.close()


def test_notes_are_logged_once_sending_is_over(scene: Scene) -> None:
    """What a person should do about the platform's keys is in the log."""
    scene.notes = ("open the switch",)
    scene.execute(lambda: scene.stage("A"))

    assert scene.logged == ["open the switch"]


def test_a_run_says_which_phase_it_enters(scene: Scene) -> None:
    """It decides on all rows, sends, then writes its report."""
    scene.execute(lambda: scene.stage("A"))

    assert scene.entered == [ProgressPhase.READING, ProgressPhase.SENDING, ProgressPhase.WRITING]


def test_a_run_that_completes(scene: Scene) -> None:
    """A run is staged, delivered, concluded and reported; its exit code is recorded and its job is free."""
    exit_code = scene.execute(lambda: scene.stage("A", "B"))
    record = scene.record

    assert exit_code == 0
    assert scene.reported_rows == [("A", *SENT), ("B", *SENT)]
    assert (record.phase, record.state, record.reason, record.exit_code) == (
        Phase.CONCLUDED,
        RunState.COMPLETED,
        None,
        0,
    )
    assert (record.throttled, record.finished_at) == (3, "2026-03-01T12:00:00.100Z")
    assert (record.elapsed_s, record.sending_s) == pytest.approx((0.1, 0.1))
    assert [run.state for run in scene.reported] == [RunState.COMPLETED]
    assert not scene.ledger.is_live(record)


def test_a_staged_run_is_only_delivered(scene: Scene) -> None:
    """Without staging, the run continues with its due rows."""
    scene.stage("A")

    assert (scene.execute(), scene.reported_rows) == (0, [("A", *SENT)])


def test_the_lease_is_renewed_before_progress_is_shown(scene: Scene) -> None:
    """A heartbeat shows progress last, because a terminal may block: while sending, after it, and for the report."""
    scene.stage("A")
    clock = scene.harness.clock
    scene.engine.before_tick = lambda: clock.move(LEASE_SECONDS / 2)
    shown: list[bool] = []
    scene.tick = lambda: shown.append(scene.lease_ends_at() == clock.now() + timedelta(seconds=LEASE_SECONDS))

    assert (scene.execute(), shown) == (0, [True] * 3)


def test_rows_that_fail_do_not_stop_a_run(scene: Scene) -> None:
    """A run with rejected, unknown and invalid rows completes with exit code 3."""
    scene.nights.stage(scene.run, [order("A"), order("B", user="v"), invalid("C")])
    scene.answers({"A": REFUSED, "B": TIMEOUT})

    assert scene.execute() == 3
    assert [status for _, status, _ in scene.reported_rows] == [Status.REJECTED, Status.UNKNOWN, Status.INVALID]
    assert scene.record.state is RunState.COMPLETED


def test_a_refused_caller_stops_the_run(scene: Scene) -> None:
    """If the platform refuses the caller, the run is stopped with the reason, and the rest is unsent."""
    scene.stage("A", "B")
    scene.answers({"A": BAD_SIGNATURE})

    assert scene.execute() == 4
    assert scene.reported_rows == [("A", Status.UNSENT, "stopped"), ("B", Status.UNSENT, "stopped")]
    assert scene.record.state is RunState.STOPPED
    assert "refuses our signature" in str(scene.record.reason)


def test_a_run_that_is_drained_can_be_resumed(scene: Scene) -> None:
    """A run drained by a signal is interrupted; its remaining rows are unsent until it is resumed."""
    scene.stage("A", "B")

    def drain() -> Lost:
        scene.control.drain(Ending.INTERRUPTED, "the run was stopped by SIGTERM")
        return TIMEOUT

    scene.answers({"A": drain})

    assert scene.execute() == 5
    assert scene.reported_rows == [("A", Status.UNKNOWN, "timeout"), ("B", Status.UNSENT, "interrupted")]
    assert (scene.record.state, scene.record.reason) == (RunState.INTERRUPTED, "the run was stopped by SIGTERM")

    assert scene.nights.reported_rows(scene.nights.resume(scene.record)) == [("A", *SENT), ("B", *SENT)]


def test_a_drain_after_the_last_row_changes_nothing(scene: Scene) -> None:
    """A run drained after its last outcome is complete."""
    scene.stage("A")
    scene.engine.before_tick = lambda: scene.control.drain(Ending.DEADLINE, "the deadline was reached")

    assert scene.execute() == 0
    assert (scene.record.state, scene.record.reason) == (RunState.COMPLETED, None)


def test_a_deadline_reaches_a_run_whose_workers_all_wait(tmp_path: Path) -> None:
    """The main thread observes the deadline, even if all workers wait for long."""
    harness = WriterHarness(until_seconds=60.0)
    ledger = Ledger(tmp_path / "backfill.db", harness.clock, DEAD)
    scene = Scene(ledger, harness)
    scene.stage("A")
    scene.engine.before_tick = lambda: scene.harness.clock.move(61.0)
    scene.execute()
    ledger.close()

    assert scene.control.ending is Ending.DEADLINE
    assert scene.harness.clock.is_woken


@pytest.mark.parametrize(
    ("row", "reported_rows"),
    [
        pytest.param(order("A"), ("A", Status.UNSENT, "deadline"), id="a-row-to-send"),
        pytest.param(invalid("A"), ("A", Status.INVALID, "field_missing"), id="nothing-to-send-so-far"),
    ],
)
def test_a_deadline_while_inputs_are_read(tmp_path: Path, row: StagedRow, reported_rows: ReportedRow) -> None:
    """A run that ends while staging has outcomes for the rows read, and is staged again by a resume."""
    harness = WriterHarness(until_seconds=0.0)
    ledger = Ledger(tmp_path / "backfill.db", harness.clock, DEAD)
    scene = Scene(ledger, harness)

    def read() -> None:
        scene.nights.stage(scene.run, [row], decide=False)
        scene.control.check_running()

    exit_code, found, record = scene.execute(read), scene.reported_rows, scene.record
    ledger.close()

    assert (exit_code, found) == (5, [reported_rows])
    assert (record.phase, record.state) == (Phase.STAGING, RunState.INTERRUPTED)
    assert harness.network.sent == []


def test_a_damaged_input_ends_the_run(scene: Scene) -> None:
    """A damaged input concludes the run with exit code 2 and raises; no report is written."""

    def read() -> None:
        scene.nights.stage(scene.run, [order("A")], decide=False)
        raise SourceError("orders.csv.gz is cut short")

    with pytest.raises(SourceError):
        scene.execute(read)

    record = scene.record
    assert (record.phase, record.state, record.exit_code) == (Phase.STAGING, RunState.STOPPED, 2)
    assert record.reason == "orders.csv.gz is cut short"
    assert scene.reported_rows == [("A", Status.UNSENT, "stopped")]
    assert scene.reported == []
    assert not scene.ledger.is_live(record)


def test_any_other_error_leaves_the_run_like_a_crash(scene: Scene) -> None:
    """After an internal or ledger error the run is not concluded, rows in flight are in doubt, and the job is free."""
    scene.stage("A", "B")

    def full() -> Lost:
        raise LedgerError("the disk is full", users_fault=False)

    scene.answers({"A": full})
    with pytest.raises(LedgerError):
        scene.execute()

    record = scene.record
    assert (record.phase, record.state, record.exit_code) == (Phase.DELIVERING, None, None)
    assert scene.reported_rows == [("A", Status.UNKNOWN, "interrupted"), ("B", Status.UNSENT, "interrupted")]
    assert scene.control.ending is Ending.INTERRUPTED
    assert not scene.ledger.is_live(record)


def test_a_run_that_lost_its_lease_raises(scene: Scene) -> None:
    """The error of a lost lease is not hidden by the failed release."""
    scene.stage("A")
    scene.harness.clock.move(3600)
    scene.nights.begin()

    with pytest.raises(LedgerError, match="was taken over by another run"):
        scene.execute()


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
    """The exit code is 0 only if every row succeeded or was skipped."""
    assert exit_code_of(state, Counter(counts)) == exit_code
