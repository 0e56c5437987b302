"""Where the parts of a run are put together: config and ledger in, an execution out."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.assemble.delivery import delivering
from pipeline.assemble.nothing_done import NothingDone, already_finished, nothing_to_send
from pipeline.assemble.opening import mapping_rules
from pipeline.assemble.platform import merchant_of
from pipeline.assemble.protected_files import ProtectedFiles
from pipeline.assemble.reporting import report_folder, report_on
from pipeline.assemble.row_limits import RowLimits
from pipeline.assemble.run_options import RunEvents, RunOptions
from pipeline.assemble.system import System
from pipeline.errors import SettingsError, SourceError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import NewRun, Phase, RunRecord
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.staging.rerun import Rewrites, Selection
from pipeline.map import MappingRules, rekey, retarget
from pipeline.model import Api, Status
from pipeline.read import SourceFile, find, find_inputs, sha256_of
from pipeline.report import ReportFiles, make_folder, report_names
from pipeline.run.execution import Cast, execute
from pipeline.run.stage import Stager
from pipeline.settings import Account, AlipayAccount, Config, Job
from pipeline.write.brakes.run_control import RunControl
from pipeline.write.delivery import timestamp

# A run's first act; returns how many rows there are that the job wants.
Stage = Callable[[Stager], int]


class Runner:
    """Puts runs together."""

    def __init__(self, config: Config, ledger: Ledger, system: System, events: RunEvents) -> None:
        self._config = config
        self._ledger = ledger
        self._system = system
        self._clock = system.clock
        self._chance = system.chance
        self._events = events

    def run(self, name: str, inputs: Sequence[str], run_options: RunOptions) -> ReportFiles:
        """Run a job over its inputs, or over those named."""
        job = self._config.jobs[name]
        day = run_options.day or yesterday(job, self._clock.now())
        patterns, base = inputs_of(self._config, job, inputs, self._system.folder)
        found = find(patterns, base=base, date=day, ready=None if inputs else job.ready)
        self._events.ignored(found.ignored)
        self._spare(run_options, [file.path for file in found.files])
        options = {"inputs": list(patterns), "base": str(base), "date": day.isoformat(), "limit": run_options.limit}
        options |= run_options.kept
        held = self._ledger.begin(self._new_run(job, options), self._merchant(job), resync=run_options.resync)
        return self._execute(held, job, run_options, lambda stager: stager.stage(found.files))

    def resume(self, run: RunRecord, run_options: RunOptions) -> ReportFiles | NothingDone:
        """Go on with a run that was stopped or killed, or has rows left that are unsent or blocked."""
        job = self._job_of(run)
        self._spare(run_options)
        if self._ledger.is_finished(run):
            return already_finished(self._ledger, run, report_folder(self._config, run))
        stage = self._first_act_again(run)
        held = self._ledger.take_up(run, self._merchant(job), run_options.kept)
        return self._execute(held, job, run_options, stage(held), most_rows=run_options.limit)

    def _first_act_again(self, run: RunRecord) -> Callable[[RunLedger], Stage]:
        """
        Return how the run's first act is done again; of one that was done, what has to be done anew.

        Raises SourceError when an input is not what the run read. A rerun reads none.
        """
        if not run.is_rerun:
            files = self._files_of(run)
            self._verify_inputs(run, files)
        if run.act is not Phase.STAGING:
            return self._going_on
        if not run.is_rerun:
            return lambda _held: lambda stager: stager.stage(files)
        parent, selection = self._ledger.find(str(run.parent)), Selection.from_options(run.options)
        return lambda held: self._copying(held, parent, selection)

    def _going_on(self, held: RunLedger) -> Stage:
        def check_running(_stager: Stager) -> int:
            # Another run may have given payments new keys meanwhile.
            held.follow_new_keys(retarget)
            return sum(source.rows for source in self._ledger.inputs(held.run)) - held.filtered_rows()

        return check_running

    def rerun(self, parent: RunRecord, selection: Selection, run_options: RunOptions) -> ReportFiles | NothingDone:
        """Send again what a run left open, as a new run; without a row to send there is none."""
        job = self._job_of(parent)
        if parent.act is Phase.STAGING:
            raise SettingsError(
                [f"run {parent.run_id} ended before its first request; `backfill resume {parent.run_id}` goes on"]
            )
        self._spare(run_options)
        if not self._ledger.takes_any(parent, selection):
            return nothing_to_send(self._ledger, parent)
        # How many rows may fail is said anew for each run.
        kept = {name: option for name, option in parent.options.items() if name not in RowLimits.names()}
        options = {**kept, **selection.as_options(), **run_options.kept}
        new = self._new_run(job, options, parent=parent.run_id)
        held = self._ledger.begin(new, self._merchant(job), copied=parent)
        return self._execute(held, job, run_options, self._copying(held, parent, selection))

    def _copying(self, held: RunLedger, parent: RunRecord, selection: Selection) -> Stage:
        rewrites = Rewrites(lambda body, key: rekey(body, parent.api, key), retarget)
        return lambda _stager: held.copy_from(parent, selection, rewrites)

    def _spare(self, run_options: RunOptions, inputs: Sequence[str] = ()) -> None:
        """Raise SettingsError where the report that was asked for would take the place of a file of the user."""
        if run_options.report is not None:
            targets = [run_options.report / name for name in report_names(run_options.outcome_format)]
            ProtectedFiles(self._config, self._ledger, inputs).check(targets, f"--report {run_options.report}")

    def _job_of(self, run: RunRecord) -> Job:
        job = self._config.jobs.get(run.job)
        if job is None:
            raise SettingsError([f"{self._config.path} has no job {run.job!r} any more, which run {run.run_id} was of"])
        if (job.api, job.account) != (run.api, run.account):
            raise SettingsError(
                [f"{self._config.path} [jobs.{run.job}] now sends to {job.api} with account {job.account}; run "
                 f"{run.run_id} was for {run.api} with account {run.account}: put that back to go on with it"]
            )  # fmt: skip
        return job

    def _account(self, job: Job) -> Account:
        return self._config.accounts[job.account]

    def _merchant(self, job: Job) -> str:
        return merchant_of(self._account(job))

    def _new_run(self, job: Job, options: Mapping[str, Any], parent: str | None = None) -> NewRun:
        now = self._clock.now()
        return NewRun(
            run_id=new_run_id(now, self._chance),
            job=job.name,
            export=job.export,
            api=job.api,
            account=job.account,
            limit_per_s=job.rate,
            started_at=timestamp(now),
            parent=parent,
            options=options,
        )

    def _files_of(self, run: RunRecord) -> list[SourceFile]:
        options = run.options
        return find_inputs(options["inputs"], base=Path(options["base"]), date=date.fromisoformat(options["date"]))

    def _verify_inputs(self, run: RunRecord, files: Sequence[SourceFile]) -> None:
        """Raise SourceError when an input is not what it was when the run was staged."""
        found = {file.path: file for file in files}
        for source in self._ledger.inputs(run):
            file = found.get(source.location)
            # Without a hash the run has not come to this file's end, and nobody was told of its rows.
            if source.sha256 and (file is None or sha256_of(file) != source.sha256):
                raise SourceError(
                    f"{source.name} {'is gone' if file is None else 'changed'} since run {run.run_id} read it; nothing "
                    f"was sent: put the old file back and resume, or run the new one with `backfill run {run.job}`"
                )

    def _execute(
        self, held: RunLedger, job: Job, run_options: RunOptions, stage: Stage, *, most_rows: int | None = None
    ) -> ReportFiles:
        control = RunControl(self._clock, until=run_options.until)
        limits = RowLimits.of(held.run.options, job)
        if limits.max_failures is not None and not limits.max_failures.in_percent:
            control.allow_failures(limits.max_failures.of(0))
        try:
            second_act = delivering(
                job, self._account(job), held=held, quotas=self._ledger.quotas(), control=control, system=self._system
            )
        except BaseException:
            held.leave()
            raise
        limit = held.run.options.get("limit")
        stager = Stager(
            held,
            rules_of(job, self._account(job), self._clock.now(), held.salt),
            job.csv,
            control,
            sheet=job.sheet,
            int96=job.int96,
            max_invalid=limits.max_invalid,
            limit=limit,
            tick=self._events.staged,
        )

        folder = run_options.report or report_folder(self._config, held.run)

        def act() -> None:
            rows = stage(stager)
            # Asked before the first request: a night must not end without a place for its report.
            make_folder(folder)
            held.reports_to(folder)
            if limits.max_failures is not None:
                control.allow_failures(limits.max_failures.of(rows))

        self._events.begun(held.run, control)
        reported: list[ReportFiles] = []

        def report(run: RunRecord) -> int:
            targets = [folder / name for name in report_names(run_options.outcome_format)]
            kept = ProtectedFiles(self._config, self._ledger).given_back(targets)
            reported.append(
                report_on(self._ledger, run, folder, run_options.outcome_format, kept=kept, tick=held.keep_up)
            )
            return reported[0].summary.exit_code

        cast = Cast(
            run=held,
            deliver=second_act.deliver,
            control=control,
            throttled=second_act.throttled,
            waiting=second_act.waiting,
            said=self._events.said,
            clock=self._clock,
            tick=self._events.tick,
            report=report,
            order=job.order,
            most_rows=most_rows,
        )
        execute(cast, act)
        return reported[0]


def rules_of(job: Job, account: Account, now: datetime, salt: str) -> MappingRules:
    """Return how a job's rows become payloads, from now on; `salt` is that of the ledger's generation."""
    charset = account.charset if isinstance(account, AlipayAccount) and job.api is Api.STATE else "utf-8"
    return replace(mapping_rules(job), charset=charset, now=now, salt=salt)


def inputs_of(config: Config, job: Job, named: Sequence[str], folder: Path) -> tuple[Sequence[str], Path]:
    """Return where the rows come from: what the command line names, relative to `folder`, or the job's own inputs."""
    if named:
        return named, folder
    if not job.inputs:
        raise SettingsError([f"{config.path} [jobs.{job.name}] input: missing; name it there or on the command line"])
    return job.inputs, config.folder


def yesterday(job: Job, now: datetime) -> date:
    """Return the day that a nightly run is about, where the job is."""
    return now.astimezone(job.timezone).date() - timedelta(days=1)


def new_run_id(now: datetime, chance: random.Random) -> str:
    """Return an id that sorts by time: a ULID."""
    from ulid import ULID  # noqa: PLC0415 - imports pydantic where that is installed: not for `--help`

    return str(ULID(int(now.timestamp() * 1000).to_bytes(6, "big") + chance.randbytes(10)))


OPEN_STATUSES = frozenset({Status.UNKNOWN, Status.BLOCKED, Status.UNSENT})
