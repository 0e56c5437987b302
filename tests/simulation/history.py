"""Plays a scenario: the real reader, mapping, ledger and writer, with simulated time, disk and network."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from pipeline.assemble.parts.ledgers import traces_of
from pipeline.assemble.parts.run_options import RunOptions
from pipeline.assemble.parts.system import System
from pipeline.assemble.reconcile import Reconciled, reconcile
from pipeline.assemble.reports.nothing_done import NothingDone
from pipeline.assemble.reports.totals import Totals
from pipeline.assemble.runner import OPEN_STATUSES, Runner
from pipeline.errors import LedgerBehind, PipelineError, RunHeld, SettingsError, SourceError
from pipeline.ledger.batch_sizes import DEFAULT_SIZES, BatchSizes
from pipeline.ledger.history.totals import Wanted
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.ledger.staging.rerun import Selection
from pipeline.ledger.store.lease import LeaseOwner, is_dead, this_process
from pipeline.model import Api, RowLimit, SignedRequest
from pipeline.read import CHUNK_ROWS
from pipeline.report import ReportFiles
from pipeline.report.files.totals_file import TotalsFormat, write_totals
from pipeline.run.events import RunEvents
from pipeline.settings import Config
from pipeline.tables.agreement_totals import totals_lines
from pipeline.write.brakes.run_control import Ending, RunControl
from pipeline.write.ports import Transport, at_once
from tests.simulation.engine import SimulatedEngine
from tests.simulation.fixing import write_fixed_rows
from tests.simulation.online import OnlineSystem
from tests.simulation.platform import Exchange, Journal, Platform, SimulatedSigner, SimulatedTransport
from tests.simulation.rows import cards_in
from tests.simulation.scenario import Scenario, Step
from tests.simulation.settings import config_of
from tests.simulation.state_folder import State
from tests.simulation.strays import Strays
from tests.simulation.wire import Wire, WiredTransport
from tests.simulation.world import Killed, Process, ProcessClock, World

TOTALS_NAME, FIRST_TOTALS_NAME = "totals.csv", "first_totals.csv"
_FINAL_RERUNS = 4
_FILE_STEPS = ("back_up", "restore", "lose")
_ALL = RowLimit(100, in_percent=True)
# A row with several deliveries may fail more than once.
_UNBOUNDED = RowLimit(1_000_000)


@dataclass(slots=True)
class CommandResult:
    """
    The result of one command: report folder and exit code, or that it was killed or refused.

    The command has its job from `has_job_since` to `ended_at`. A prune deleted the runs `pruned`.
    """

    step: Step
    began_at: float
    has_job_since: float = float("inf")
    run_id: str | None = None
    exit_code: int | None = None
    error: str | None = None
    report: Path | None = None
    was_killed: bool = False
    requests_before: int = 0
    requests_after: int = 0
    ended_at: float = float("inf")
    is_behind: bool = False
    pruned: tuple[str, ...] = ()


@dataclass(slots=True)
class LedgerLoss:
    """The ledger, or the file of its quotas, was lost at `at`: requests `since` are not known to it."""

    at: float
    since: float


@dataclass(slots=True)
class Evidence:
    """
    All that the checker may read: inputs, reports, losses, and the platform's journal.

    `first_applied` are the reports that the platform had before the last reruns; None if no totals were written then.
    """

    scenario: Scenario
    folder: Path
    journal: Journal
    first_applied: dict[str, str] | None = None
    results: list[CommandResult] = field(default_factory=list)
    losses: list[LedgerLoss] = field(default_factory=list)
    sent: int = 0
    faults_ended_at: float = float("inf")


@dataclass(frozen=True, slots=True)
class Pieces:
    """How many rows a run reads, stages and writes at once."""

    chunk_rows: int = CHUNK_ROWS
    ledger: BatchSizes = DEFAULT_SIZES


ALL_AT_ONCE = Pieces()
# A few rows pass through many pieces, as millions do, and a crash may come between any two.
SMALL_PIECES = Pieces(8, BatchSizes(range_rows=5, copied_rows=4, pruned_lines=5, page_dues=3))


class History:
    """One scenario, played once. With a wire its requests leave over that."""

    def __init__(
        self,
        scenario: Scenario,
        folder: Path,
        state: State,
        wire: Wire | None = None,
        pieces: Pieces = ALL_AT_ONCE,
    ) -> None:
        self.folder = folder
        self.pieces = pieces
        self._wire = wire
        self.scenario = scenario
        self.world = World(scenario.seed)
        self.platform = Platform(
            self.world,
            scenario.api,
            limit=scenario.limit,
            fault_periods=list(scenario.fault_periods),
            refusals=scenario.refusals,
            refuses_until=scenario.refuses_until,
            lists_after=scenario.lists_after,
            strays=Strays(scenario.api, scenario.strays, scenario.seed),
        )
        self.evidence = Evidence(self.scenario, folder, self.platform.journal)
        self._online: OnlineSystem | None = None
        if scenario.trusted_for is not None:
            self._online = OnlineSystem(
                self.world, self.platform, cards_in(sorted(folder.glob("*.csv"))), scenario.seed
            )
        self.state = state
        self._backed_up_at: float | None = None
        self._latest_offset = 0.0
        self._pids = 0
        self._fixes = 0

    def play(self) -> Evidence:
        """Play all steps, then end all faults and run until nothing is left to do; return the evidence."""
        self.play_steps(self.scenario.steps)
        self._write_first_totals()
        self.platform.end_faults()
        self.world.now += 120.0
        if self.scenario.trusted_for is not None:
            # The online system has ended. What was confirmed before may no longer be what the platform has.
            self._online = None
            self.world.now += self.scenario.trusted_for.total_seconds()
        # A lease from before the clock was set back ends later: wait for it.
        self.world.wall_offset = self._latest_offset
        self.evidence.faults_ended_at = self.world.now
        for job in self.scenario.jobs:
            self._finish_job(job)
        self._write_totals()
        return self.evidence

    def _write_first_totals(self) -> None:
        """Write the totals while rows may be unknown or unsent. A lost ledger would be made anew by that."""
        if self.scenario.api is Api.CUMULATION and not self.evidence.losses:
            self._write_totals()
            (self.folder / TOTALS_NAME).replace(self.folder / FIRST_TOTALS_NAME)
            self.evidence.first_applied = dict(self.platform.journal.applied)

    def _write_totals(self) -> None:
        """Write the totals of agreements, as `backfill totals --output` does."""
        clock = ProcessClock(Process(self.world, self._pids + 1))
        configs = [self.config_of(Step("totals", job)) for job in self.scenario.jobs]
        config = replace(
            configs[0], jobs={job: one.jobs[job] for job, one in zip(self.scenario.jobs, configs, strict=True)}
        )
        with closing(Ledger(config.ledger, clock, this_process())) as ledger:
            totals = Totals(config, ledger, Wanted(0, 99991231))
            with (self.folder / TOTALS_NAME).open("wb") as file:
                write_totals(totals_lines(totals), file, TotalsFormat.CSV)

    def play_steps(self, steps: Sequence[Step]) -> None:
        """Play steps one after another; those marked `alongside` run at the same time."""
        left = list(steps)
        while left:
            together = [left.pop(0)]
            while left and left[0].alongside:
                together.append(left.pop(0))
            self._play(together)

    def _finish_job(self, job: str) -> None:
        """Do an operator's work of the next morning: resume and rerun each run, then run the file again."""
        own = [result for result in self.evidence.results if result.step.job == job]
        for run_id in [result.run_id for result in own if result.step.verb != "reconcile"]:
            if run_id is not None:
                self._play([Step("resume", job, run_id=run_id, most_failures=_UNBOUNDED, max_invalid=_ALL)])
                self._play([self._rerun(job, run_id)])
        if self.scenario.fixes:
            self._play([Step("fix", job, max_invalid=_ALL)])
            self._play([self._rerun(job)])
        self._play([Step("run", job, day=self.scenario.days, max_invalid=_ALL)])
        for _ in range(_FINAL_RERUNS):
            if self.evidence.results[-1].exit_code in (0, None):
                break
            self._play([self._rerun(job)])
        self._play([Step("run", job, day=self.scenario.days, max_invalid=_ALL)])

    def _rerun(self, job: str, run_id: str | None = None) -> Step:
        return Step("rerun", job, run_id=run_id, new_keys=self.scenario.new_keys)

    def _play(self, together: list[Step]) -> None:
        before = len(self.evidence.results)
        if self._online is not None:
            self._online.send_some()
        for step in together:
            self.world.now += step.pause_before
            self.world.wall_offset += step.clock_step
            self._latest_offset = max(self._latest_offset, self.world.wall_offset)
            self._start(step)
        self.world.run()
        refused = [result.step for result in self.evidence.results[before:] if result.is_behind]
        if refused:
            self._resync(refused[0])

    def _resync(self, refused: Step) -> None:
        """
        Run the newest export with `--resync`, as the refusal says; again if the first one was killed.

        It allows as many invalid rows as the refused command: with fewer it may send nothing, and leave all rows.
        """
        job = refused.job
        days = [
            result.step.day for result in self.evidence.results if result.step.verb == "run" and result.step.job == job
        ]
        day, dies_after = max(days, default=1), self.scenario.resync_dies_after
        for doomed in (dies_after, None) if dies_after is not None else (None,):
            self._start(Step("run", job, day=day, resync=True, dies_after=doomed, max_invalid=refused.max_invalid))
            self.world.run()

    def _start(self, step: Step) -> None:
        if step.verb in _FILE_STEPS:
            self.world.at(self.world.now, lambda: self._handle_files(step))
            return
        self._pids += 1
        process = Process(self.world, self._pids, step.dies_after, step.namespace)
        result = CommandResult(step, self.world.now, requests_before=len(self.platform.journal.entries))
        self.evidence.results.append(result)
        if step.frozen_after is not None:
            frozen_for = step.frozen_for
            self.world.at(self.world.now + step.frozen_after, lambda: _freeze(process, frozen_for))
        process.spawn(lambda: _Command(self, process, result).carry_out())

    def _handle_files(self, step: Step) -> None:
        now = self.world.now
        match step.verb:
            case "back_up":
                self._backed_up_at = now if self.state.back_up() else None
            case "restore" if self._backed_up_at is not None and self.state.restore(step.what):
                self.evidence.losses.append(LedgerLoss(now, self._backed_up_at))
            case "lose" if self.state.lose(step.what):
                # Without the quotas nobody knows what was sent before.
                self.evidence.losses.append(LedgerLoss(now, float("-inf")))

    def fixed_rows(self, job: str) -> str | None:
        """Write the newest rows to fix of a job, fixed; return the file's name."""
        reports = [
            result.report for result in self.evidence.results if result.step.job == job and result.report is not None
        ]
        self._fixes += 1
        name = f"{job}-fixed-{self._fixes}.csv"
        for report in reversed(reports):
            if write_fixed_rows(report, self.folder / name, self._fixes, self.scenario.seed):
                return name
        return None

    def config_of(self, step: Step) -> Config:
        """Return the config at one step."""
        return config_of(self.scenario, self.folder, step, self.state.place)

    def transport(self, process: Process) -> Transport:
        """Return a process's transport to the platform."""
        simulated = _CountingTransport(process, self.platform, 10.0, self.evidence)
        return simulated if self._wire is None else WiredTransport(simulated, self._wire)

    def is_dead(self, owner: str, here: LeaseOwner) -> bool:
        """Return whether the process that owns a job is dead, as far as `here` can see."""
        return is_dead(owner, here, began=lambda pid: self._began(pid, here.namespace))

    def _began(self, pid: int, namespace: str) -> str | None:
        seen = [p for p in self.world.processes if (p.pid, p.namespace, p.is_dead) == (pid, namespace, False)]
        return seen[0].owner.began if seen else None


def _freeze(process: Process, seconds: float) -> None:
    process.frozen_until = process.world.now + seconds


def _copied(report: Path, world: World) -> Path:
    """Copy a report: a resume of the run will overwrite it."""
    # Several commands may end at the same time.
    copies = len(list(report.parent.glob(f"{report.name} at *")))
    return Path(shutil.copytree(report, report.with_name(f"{report.name} at {world.now}, {copies}")))


class _CountingTransport(SimulatedTransport):
    """Counts the requests that leave, whether they arrive or not."""

    def __init__(self, process: Process, platform: Platform, timeout: float, evidence: Evidence) -> None:
        super().__init__(process, platform, timeout)
        self._evidence = evidence

    def exchange(self, request: SignedRequest, depart: Callable[[], None], *, fresh: bool) -> Exchange:
        """Send once."""
        depart()
        self._evidence.sent += 1
        return super().exchange(request, at_once, fresh=fresh)


class _Command:
    def __init__(self, history: History, process: Process, result: CommandResult) -> None:
        self._history = history
        self._process = process
        self._result = result
        self._clock = ProcessClock(process)

    def carry_out(self) -> None:
        result, process = self._result, self._process
        try:
            files = self._act()
            if files is None:
                result.exit_code = 0
            elif isinstance(files, NothingDone):
                result.exit_code = files.exit_code
            elif isinstance(files, Reconciled):
                result.exit_code = files.exit_code
                result.report = _copied(files.report.folder, process.world) if files.report else None
            else:
                result.exit_code = files.summary.exit_code
                result.report = _copied(files.folder, process.world)
        except Killed:
            result.was_killed = True
        except (RunHeld, LedgerBehind, SettingsError, SourceError) as exc:
            result.error, result.exit_code = str(exc), 2
            result.is_behind = isinstance(exc, LedgerBehind)
        except PipelineError as exc:
            result.error, result.exit_code = str(exc), 1
        # The process ends with its command.
        result.ended_at = self._process.world.now
        result.requests_after = len(self._history.platform.journal.entries)
        process.end()

    def _act(self) -> ReportFiles | NothingDone | Reconciled | None:
        history, step = self._history, self._result.step
        config = history.config_of(step)
        ledger = Ledger(
            config.ledger,
            self._clock,
            self._process.owner,
            traces=traces_of(config),
            is_dead=history.is_dead,
            sizes=history.pieces.ledger,
            **history.state.opens(self._process),
        )
        if step.verb == "prune":
            pruned = ledger.prune(runs_before=self._clock.now() + timedelta(days=1))
            self._result.pruned = tuple(run.run_id for run in pruned.runs)
            return None
        system = System(
            clock=self._clock,
            chance=history.world.chance,
            engine=SimulatedEngine(self._process),
            signer_of=lambda *_: SimulatedSigner(),
            transport_of=lambda *_: history.transport(self._process),
            boot="boot",
            folder=history.folder,
        )
        if step.verb == "reconcile" and (last := self._last(ledger)) is not None:
            return reconcile(config, ledger, system, last, begun=self._begun)
        events = RunEvents(begun=self._begun)
        runner = Runner(config, ledger, system, events, chunk_rows=history.pieces.chunk_rows)
        return self._run(runner, ledger)

    def _run(self, runner: Runner, ledger: Ledger) -> ReportFiles | NothingDone:
        step = self._result.step
        until = None if step.until_after is None else self._clock.now() + timedelta(seconds=step.until_after)
        options = RunOptions(
            until=until,
            limit=step.limit,
            max_failures=step.most_failures,
            max_invalid=step.max_invalid,
            resync=step.resync,
        )
        last = self._last(ledger)
        if step.verb == "fix" and (fixed := self._history.fixed_rows(step.job)):
            return runner.run(step.job, (fixed,), options)
        if step.verb in ("run", "fix") or last is None:
            return runner.run(step.job, (), options)
        if step.verb == "resume":
            return runner.resume(last, options)
        selection = Selection(OPEN_STATUSES, new_keys=step.new_keys, limit=step.limit)
        return runner.rerun(last, selection, options)

    def _last(self, ledger: Ledger) -> RunRecord | None:
        step = self._result.step
        if step.run_id is not None:
            return ledger.find(step.run_id)
        return next((run for run in ledger.recent(100) if run.job == step.job), None)

    def _begun(self, run: RunRecord, control: RunControl) -> None:
        self._result.run_id, self._result.has_job_since = run.run_id, self._process.world.now
        if self._result.step.signal_after is not None:
            self._process.world.at(
                self._process.world.now + self._result.step.signal_after,
                lambda: None if self._process.is_dead else control.drain(Ending.INTERRUPTED, "signal"),
                self._process,
            )


def memory_folder() -> Path:
    """Return a new folder in memory if the system has one: a sync then costs nothing."""
    shared_memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="backfill-sim-", dir=shared_memory if shared_memory.is_dir() else None))


def remove(folder: Path) -> None:
    """Remove a history's folder."""
    shutil.rmtree(folder, ignore_errors=True)
