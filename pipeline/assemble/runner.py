"""Runs of a config's jobs: `run`, `resume` and `rerun`, each as stage, deliver, conclude."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pipeline.assemble.parts.ledgers import open_the_ledger
from pipeline.assemble.parts.new_run import RunInputs, inputs_of, job_of, new_run, opener_of, others_of, rules_of
from pipeline.assemble.parts.platform import merchant_of
from pipeline.assemble.parts.run_options import RowLimits, RunOptions
from pipeline.assemble.parts.sender import SingleSender, permits_of, threads_of
from pipeline.assemble.parts.shared_sender import SharedSender
from pipeline.assemble.parts.system import System
from pipeline.assemble.reports.nothing_done import NothingDone, already_finished, nothing_to_send
from pipeline.assemble.reports.protected_files import ProtectedFiles
from pipeline.assemble.reports.reporting import RunReport, report_folder
from pipeline.assemble.reports.shared_outcomes import ReportProcesses
from pipeline.assemble.reports.totals import row_reader
from pipeline.assemble.saved_plans import check_settings, inputs_of_plan, options_of
from pipeline.assemble.slicing import LocalWorkers, slice_driver
from pipeline.errors import SettingsError, SourceError
from pipeline.language import later, t
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Phase, RunRecord
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.staging.rerun import Selection
from pipeline.map import MappingRules
from pipeline.model import Status
from pipeline.read import CHUNK_ROWS, DEFAULT_CUT_SIZES, CutSizes, SourceFile, sha256_of
from pipeline.report import ReportFiles, report_names
from pipeline.run.events import RunEvents
from pipeline.run.ports import SliceWorkers
from pipeline.run.run import Run
from pipeline.run.saved_plan import PlannedRequests, SavedPlan
from pipeline.run.slices import SliceDriver
from pipeline.run.stage import Stager
from pipeline.settings import Config, Job
from pipeline.write.brakes.failure_streaks import FailureStreaks
from pipeline.write.brakes.run_control import RunControl

OPEN_STATUSES = frozenset({Status.UNKNOWN, Status.BLOCKED, Status.UNSENT})
"""Statuses of rows that a rerun sends by default."""

# The option of a run that counts how often it was resumed.
_RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class Runner:
    """
    Runs the jobs of a config over one ledger.

    Each method may raise SettingsError, SourceError or LedgerError before the first request, and RunHeld if another run
    of the job is active. Inputs are read in chunks of `chunk_rows` rows. Where several processes stage the inputs,
    `workers_of` returns those of this machine, and `cut_sizes` says how large slices are. `report_processes` returns
    the processes that write the report, where a run has so many.
    """

    config: Config
    ledger: Ledger
    system: System
    events: RunEvents
    chunk_rows: int = CHUNK_ROWS
    workers_of: Callable[[Config, int], SliceWorkers] = LocalWorkers
    cut_sizes: CutSizes = DEFAULT_CUT_SIZES
    report_processes: Callable[[int], ReportProcesses] = ReportProcesses.of

    def run(self, name: str, inputs: Sequence[str], options: RunOptions) -> ReportFiles:
        """Run a job over its inputs, or over the given ones."""
        job = self.config.jobs[name]
        return self._run(job, inputs_of(self.config, job, inputs, options, self.system), options)

    def run_plan(self, plan: SavedPlan, options: RunOptions) -> ReportFiles:
        """Send the requests of a saved plan. Raises SettingsError if it would send others; then nothing is sent."""
        job = self.config.jobs[plan.job]
        check_settings(plan, self.config)
        options = options_of(plan, options)
        return self._run(job, inputs_of_plan(plan, self.config), options, plan.requests)

    def _run(
        self, job: Job, source: RunInputs, options: RunOptions, planned: PlannedRequests | None = None
    ) -> ReportFiles:
        found = source.find()
        if planned is not None:
            planned.check_found(found.files)
        self.events.ignored(found.ignored)
        self._protect_files(options, [file.path for file in found.files])
        with self._begin(job, source, options, planned) as run:
            run.stage(found.files)
            run.deliver()
            return run.conclude()

    def rerun(self, parent: RunRecord, selection: Selection, options: RunOptions) -> ReportFiles | NothingDone:
        """Send the selected rows of a run again, as a new run; without such rows there is no run."""
        job = job_of(self.config, parent)
        if parent.phase is Phase.STAGING:
            raise SettingsError(
                [t("run {run_id} sent nothing yet; continue it with `backfill resume {run_id}`", run_id=parent.run_id)]
            )
        self._protect_files(options)
        if not self.ledger.takes_any(parent, selection):
            return nothing_to_send(self.ledger, parent, report_folder(self.config, parent))
        with self._begin_rerun(job, parent, selection, options) as run:
            run.stage_rerun(parent, selection)
            run.deliver()
            return run.conclude()

    def resume(self, record: RunRecord, options: RunOptions) -> ReportFiles | NothingDone:
        """Continue a run that was stopped or killed, or has unsent or blocked rows."""
        job = job_of(self.config, record)
        self._protect_files(options)
        if self.ledger.is_finished(record):
            return already_finished(self.ledger, record, report_folder(self.config, record))
        files = self._unchanged_inputs(record)
        with self._take_up(job, record, options) as run:
            self._stage_again(run, record, files)
            run.deliver()
            return run.conclude()

    def _stage_again(self, run: Run, record: RunRecord, files: Sequence[SourceFile]) -> None:
        if record.phase is not Phase.STAGING:
            run.continue_staged()
        elif record.is_rerun:
            run.stage_rerun(self.ledger.find(str(record.parent)), Selection.from_options(record.options))
        else:
            run.stage(files)

    def _begin(self, job: Job, source: RunInputs, options: RunOptions, planned: PlannedRequests | None) -> Run:
        kept = {**source.as_options(), "limit": options.limit, **options.kept}
        if planned is not None:
            # Kept with the run, so that a resume after a crash is bound to the plan too.
            kept |= planned.as_options()
        new = new_run(job, self.system.clock.now(), self.system.chance, kept)
        return self._open(self.ledger.begin(new, self._merchant(job), resync=options.resync), job, options)

    def _begin_rerun(self, job: Job, parent: RunRecord, selection: Selection, options: RunOptions) -> Run:
        # What holds for the parent alone.
        own = {*RowLimits.names(), PlannedRequests.option(), _RESUMED}
        kept = {name: option for name, option in parent.options.items() if name not in own}
        kept |= {**selection.as_options(), **options.kept}
        new = new_run(job, self.system.clock.now(), self.system.chance, kept, parent.run_id)
        return self._open(self.ledger.begin(new, self._merchant(job), copied=parent), job, options)

    def _take_up(self, job: Job, record: RunRecord, options: RunOptions) -> Run:
        kept = {**options.kept, _RESUMED: record.options.get(_RESUMED, 0) + 1}
        ledger = self.ledger.resume(record, self._merchant(job), kept)
        return self._open(ledger, job, options, most_rows=options.limit)

    def _open(self, ledger: RunLedger, job: Job, options: RunOptions, *, most_rows: int | None = None) -> Run:
        """Build the parts of a run that has its job's lease."""
        clock, account = self.system.clock, self.config.accounts[job.account]
        now = clock.now()
        control = RunControl(clock, until=options.until)
        folder = options.report or report_folder(self.config, ledger.run)
        processes = options.processes or job.processes
        try:
            limits, rules = RowLimits.of(ledger.run.options, job), rules_of(job, account, now, ledger.salt)
            return Run(
                ledger=ledger,
                stager=Stager(
                    ledger=ledger,
                    rules=rules,
                    open_input=opener_of(job, rules, self.chunk_rows),
                    control=control,
                    max_invalid=limits.max_invalid,
                    limit=ledger.run.options.get("limit"),
                    others=others_of(job, now),
                    events=self.events,
                    planned=PlannedRequests.from_options(ledger.run.options),
                    slices=self._slices(ledger, rules, processes),
                ),
                sender=self._sender(ledger, job, control, processes),
                control=control,
                report=RunReport(
                    self.ledger,
                    folder,
                    options.outcome_format,
                    row_reader(self.config),
                    job,
                    processes=self.report_processes(processes),
                ),
                clock=clock,
                events=self.events,
                max_failures=limits.max_failures,
                order=job.order,
                most_rows=most_rows,
            )
        except BaseException:
            ledger.leave()
            raise

    def _sender(self, ledger: RunLedger, job: Job, control: RunControl, processes: int) -> SingleSender | SharedSender:
        """Return what sends for a run: this process, or with a ledger on a server this one and others."""
        account, system = self.config.accounts[job.account], self.system
        permits = permits_of(job, account, self.ledger.quotas(), system)
        threads = threads_of(job, account, permits, control, system, FailureStreaks())
        if not self.ledger.has_senders:
            return SingleSender(threads, ledger)
        return SharedSender(
            threads=threads,
            ledger=self.ledger,
            run=ledger,
            clock=system.clock,
            helpers=partial(system.helpers, self.config.path.absolute(), ledger.run.run_id, processes - 1),
        )

    def _slices(self, ledger: RunLedger, rules: MappingRules, processes: int) -> SliceDriver | None:
        """Return the driver of slices, if several processes stage the inputs; a ledger in a file has one writer."""
        if processes == 1 or self.config.ledger_server is None:
            return None
        return slice_driver(
            self.config,
            lambda: open_the_ledger(self.config, self.system.clock, open_ledger=self.system.open_ledger),
            ledger,
            rules,
            clock=self.system.clock,
            workers=self.workers_of(self.config, processes - 1),
            chunk_rows=self.chunk_rows,
            sizes=self.cut_sizes,
        )

    def _unchanged_inputs(self, record: RunRecord) -> Sequence[SourceFile]:
        """Return the inputs of a run; empty for a rerun. Raises SourceError if one changed since the run read it."""
        if record.is_rerun:
            return ()
        files = RunInputs.from_options(record.options).find().files
        found = {file.path: file for file in files}
        for read in self.ledger.inputs(record):
            file = found.get(read.location)
            # Without a hash, the run did not read the whole file and reported none of its rows.
            if read.sha256 and (file is None or sha256_of(file) != read.sha256):
                removed = later(
                    "{file} was removed since run {run_id} read it; nothing was sent. Restore the old file and resume, "
                    "or send the new one with `backfill run {job}`"
                )
                changed = later(
                    "{file} changed since run {run_id} read it; nothing was sent. Restore the old file and resume, "
                    "or send the new one with `backfill run {job}`"
                )
                text = removed if file is None else changed
                raise SourceError(t(text, file=read.name, run_id=record.run_id, job=record.job))
        return files

    def _protect_files(self, options: RunOptions, inputs: Sequence[str] = ()) -> None:
        """Raise SettingsError if report or metrics would overwrite a file of the user."""
        if options.report is None and options.metrics_file is None:
            return
        protected = ProtectedFiles(self.config, self.ledger, inputs)
        if options.report is not None:
            targets = [options.report / name for name in report_names(options.outcome_format)]
            protected.check(targets, f"--report {options.report}")
        if options.metrics_file is not None:
            protected.check([options.metrics_file], f"--metrics-file {options.metrics_file}", is_file=True)

    def _merchant(self, job: Job) -> str:
        return merchant_of(self.config.accounts[job.account])
