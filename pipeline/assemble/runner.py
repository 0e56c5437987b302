"""Runs of a config's jobs: `run`, `resume` and `rerun`, each as stage, deliver, conclude."""

from collections.abc import Sequence

from pipeline.assemble.new_run import RunInputs, inputs_of, new_run, rules_of, stager_of, yesterday
from pipeline.assemble.nothing_done import NothingDone, already_finished, nothing_to_send
from pipeline.assemble.platform import merchant_of
from pipeline.assemble.protected_files import ProtectedFiles
from pipeline.assemble.reporting import RunReport, report_folder
from pipeline.assemble.row_limits import RowLimits
from pipeline.assemble.run_options import RunOptions
from pipeline.assemble.sender import sender_of
from pipeline.assemble.system import System
from pipeline.errors import SettingsError, SourceError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Phase, RunRecord
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.staging.rerun import Selection
from pipeline.model import Status
from pipeline.read import CHUNK_ROWS, SourceFile, find, find_inputs, sha256_of
from pipeline.report import ReportFiles, report_names
from pipeline.run.events import RunEvents
from pipeline.run.run import Run
from pipeline.settings import Config, Job
from pipeline.write.brakes.run_control import RunControl

OPEN_STATUSES = frozenset({Status.UNKNOWN, Status.BLOCKED, Status.UNSENT})
"""Statuses of rows that a rerun sends by default."""


class Runner:
    """
    Runs the jobs of a config over one ledger.

    Each method may raise SettingsError, SourceError or LedgerError before the first request, and RunHeld if another run
    of the job is active. Inputs are read in chunks of `chunk_rows` rows.
    """

    def __init__(
        self, config: Config, ledger: Ledger, system: System, events: RunEvents, *, chunk_rows: int = CHUNK_ROWS
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._system = system
        self._events = events
        self._chunk_rows = chunk_rows

    def run(self, name: str, inputs: Sequence[str], options: RunOptions) -> ReportFiles:
        """Run a job over its inputs, or over the given ones."""
        job = self._config.jobs[name]
        day = options.day or yesterday(job, self._system.clock.now())
        source = inputs_of(self._config, job, inputs, day, self._system.folder)
        files = self._find(source, options, ready=None if inputs else job.ready)
        with self._begin(job, source, options) as run:
            run.stage(files)
            run.deliver()
            return run.conclude()

    def rerun(self, parent: RunRecord, selection: Selection, options: RunOptions) -> ReportFiles | NothingDone:
        """Send the selected rows of a run again, as a new run; without such rows there is no run."""
        job = self._job_of(parent)
        if parent.phase is Phase.STAGING:
            raise SettingsError(
                [f"run {parent.run_id} sent nothing yet; continue it with `backfill resume {parent.run_id}`"]
            )
        self._protect_files(options)
        if not self._ledger.takes_any(parent, selection):
            return nothing_to_send(self._ledger, parent, report_folder(self._config, parent))
        with self._begin_rerun(job, parent, selection, options) as run:
            run.stage_rerun(parent, selection)
            run.deliver()
            return run.conclude()

    def resume(self, record: RunRecord, options: RunOptions) -> ReportFiles | NothingDone:
        """Continue a run that was stopped or killed, or has unsent or blocked rows."""
        job = self._job_of(record)
        self._protect_files(options)
        if self._ledger.is_finished(record):
            return already_finished(self._ledger, record, report_folder(self._config, record))
        files = self._unchanged_inputs(record)
        with self._take_up(job, record, options) as run:
            self._stage_again(run, record, files)
            run.deliver()
            return run.conclude()

    def _stage_again(self, run: Run, record: RunRecord, files: Sequence[SourceFile]) -> None:
        if record.phase is not Phase.STAGING:
            run.continue_staged()
        elif record.is_rerun:
            run.stage_rerun(self._ledger.find(str(record.parent)), Selection.from_options(record.options))
        else:
            run.stage(files)

    def _begin(self, job: Job, source: RunInputs, options: RunOptions) -> Run:
        kept = {**source.as_options(), "limit": options.limit, **options.kept}
        new = new_run(job, self._system.clock.now(), self._system.chance, kept)
        return self._open(self._ledger.begin(new, self._merchant(job), resync=options.resync), job, options)

    def _begin_rerun(self, job: Job, parent: RunRecord, selection: Selection, options: RunOptions) -> Run:
        # A rerun does not inherit the row limits.
        kept = {name: option for name, option in parent.options.items() if name not in RowLimits.names()}
        kept |= {**selection.as_options(), **options.kept}
        new = new_run(job, self._system.clock.now(), self._system.chance, kept, parent.run_id)
        return self._open(self._ledger.begin(new, self._merchant(job), copied=parent), job, options)

    def _take_up(self, job: Job, record: RunRecord, options: RunOptions) -> Run:
        ledger = self._ledger.resume(record, self._merchant(job), options.kept)
        return self._open(ledger, job, options, most_rows=options.limit)

    def _open(self, ledger: RunLedger, job: Job, options: RunOptions, *, most_rows: int | None = None) -> Run:
        """Build the parts of a run that has its job's lease."""
        clock, account = self._system.clock, self._config.accounts[job.account]
        control = RunControl(clock, until=options.until)
        try:
            limits = RowLimits.of(ledger.run.options, job)
            return Run(
                ledger=ledger,
                stager=stager_of(
                    job,
                    rules_of(job, account, clock.now(), ledger.salt),
                    ledger,
                    control,
                    max_invalid=limits.max_invalid,
                    limit=ledger.run.options.get("limit"),
                    chunk_rows=self._chunk_rows,
                    tick=self._events.staged,
                ),
                sender=sender_of(job, account, ledger, self._ledger.quotas(), control, self._system),
                control=control,
                report=RunReport(
                    ledger=self._ledger,
                    folder=options.report or report_folder(self._config, ledger.run),
                    outcome_format=options.outcome_format,
                    protected=ProtectedFiles(self._config, self._ledger),
                    job=job,
                    language=self._system.language,
                ),
                clock=clock,
                events=self._events,
                max_failures=limits.max_failures,
                order=job.order,
                most_rows=most_rows,
            )
        except BaseException:
            ledger.leave()
            raise

    def _find(self, source: RunInputs, options: RunOptions, ready: str | None) -> Sequence[SourceFile]:
        found = find(source.patterns, base=source.base, date=source.day, ready=ready)
        self._events.ignored(found.ignored)
        self._protect_files(options, [file.path for file in found.files])
        return found.files

    def _unchanged_inputs(self, record: RunRecord) -> Sequence[SourceFile]:
        """Return the inputs of a run; empty for a rerun. Raises SourceError if one changed since the run read it."""
        if record.is_rerun:
            return ()
        source = RunInputs.from_options(record.options)
        files = find_inputs(source.patterns, base=source.base, date=source.day)
        found = {file.path: file for file in files}
        for read in self._ledger.inputs(record):
            file = found.get(read.location)
            # Without a hash, the run did not read the whole file and reported none of its rows.
            if read.sha256 and (file is None or sha256_of(file) != read.sha256):
                raise SourceError(
                    f"{read.name} {'was removed' if file is None else 'changed'} since run {record.run_id} read it; "
                    "nothing was sent. Restore the old file and resume, or send the new one with "
                    f"`backfill run {record.job}`"
                )
        return files

    def _protect_files(self, options: RunOptions, inputs: Sequence[str] = ()) -> None:
        """Raise SettingsError if the report would overwrite a file of the user."""
        if options.report is not None:
            targets = [options.report / name for name in report_names(options.outcome_format)]
            ProtectedFiles(self._config, self._ledger, inputs).check(targets, f"--report {options.report}")

    def _job_of(self, run: RunRecord) -> Job:
        job = self._config.jobs.get(run.job)
        if job is None:
            raise SettingsError([f"{self._config.path} has no job {run.job!r} of run {run.run_id}; restore it"])
        if (job.api, job.account) != (run.api, run.account):
            raise SettingsError(
                [f"{self._config.path} [jobs.{run.job}] sends to {job.api} with account {job.account}, but run "
                 f"{run.run_id} to {run.api} with account {run.account}; restore these to continue the run"]
            )  # fmt: skip
        return job

    def _merchant(self, job: Job) -> str:
        return merchant_of(self._config.accounts[job.account])
