"""`run`, `resume` and `rerun` of the library: one execution each."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date as Date  # noqa: N812 - the parameter has the option's name
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.assemble.parts.new_run import new_run_id
from pipeline.assemble.parts.run_options import RunOptions
from pipeline.assemble.reports.nothing_done import NothingDone
from pipeline.assemble.runner import OPEN_STATUSES, Runner
from pipeline.assemble.saved_plans import read_plan
from pipeline.assemble.saved_tables import save_table, tables_folder
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.ledger.staging.rerun import Selection
from pipeline.library.arguments import Inputs, check, checked_inputs, refuse_with_plan, run_options
from pipeline.library.interrupts import Interrupts, RunInterrupted
from pipeline.library.progress import ProgressCalls, RunProgress
from pipeline.library.results import RunResult
from pipeline.library.session import Session, log, refuse_processes
from pipeline.model import Status
from pipeline.notify.notices import Notices
from pipeline.report import ReportFiles
from pipeline.run.events import ProgressPhase, RunEvents
from pipeline.write.brakes.run_control import RunControl

if TYPE_CHECKING:
    import pyarrow as pa


def run(
    config: str | os.PathLike[str] | None,
    job: str | None = None,
    inputs: "Inputs | None" = None,
    *,
    plan: str | os.PathLike[str] | None = None,
    date: Date | None = None,
    until: datetime | None = None,
    limit: int | None = None,
    max_failures: int | str | None = None,
    max_invalid: int | str | None = None,
    processes: int | None = None,
    report: str | os.PathLike[str] | None = None,
    metrics_file: str | os.PathLike[str] | None = None,
    format: str = "csv",  # noqa: A002 - the option's name
    resync: bool = False,
    progress: Callable[[RunProgress], object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> RunResult:
    """
    Run a job over its inputs, or over the given ones, or send a saved plan, and wait for the end.

    `plan` is the file that `plan(save=...)` wrote; job, inputs, day and `limit` are its own. `inputs` is a path, glob,
    folder or URI, a list of these, a DataFrame or an Arrow table. A table is saved beside the ledger, so that `resume`
    can read it again. The other parameters are the options of the command; `until` has a time zone. `config` None is
    `$BACKFILL_CONFIG`, or `backfill.toml`.

    Raises TypeError or ValueError for a wrong argument, before the ledger is opened. Raises SettingsError, SourceError,
    LedgerBehind or LedgerError where the command would exit with 2, and RunHeld where it would exit with 6: nothing was
    sent then. Raises RunInterrupted, with the result, after SIGINT.
    """
    if plan is None or job is not None:
        check(job=job)
    check(config=config, plan=plan, date=date, until=until, limit=limit, max_failures=max_failures,
          max_invalid=max_invalid, processes=processes, report=report, metrics_file=metrics_file, format=format,
          resync=resync, progress=progress, environ=environ)  # fmt: skip
    options = run_options(date=date, until=until, limit=limit, max_failures=max_failures, max_invalid=max_invalid,
                          report=report, metrics_file=metrics_file, format=format, resync=resync,
                          processes=processes)  # fmt: skip
    paths, table = checked_inputs(inputs)
    if plan is not None:
        refuse_with_plan(inputs=inputs, date=date, limit=limit, resync=resync)
    saved = None if plan is None else read_plan(Path(plan), job)
    name = str(job) if saved is None else saved.job
    with _execution(Session.open(config, environ, name), progress, options, name) as execution:
        execution.notices.expect(name, execution.ledger)
        if not resync:
            execution.ledger.refuse_if_behind()
        if saved is not None:
            return execution.result(execution.runner.run_plan(saved, options))
        if table is not None:
            return _run_table(execution, name, table, options)
        return execution.result(execution.runner.run(name, paths, options))


def _run_table(execution: "_Execution", job: str, table: "pa.Table", options: RunOptions) -> RunResult:
    """Save the table beside the ledger, and run the job over it."""
    runner, system = execution.runner, execution.runner.system
    file = save_table(table, tables_folder(runner.config), new_run_id(system.clock.now(), system.chance))
    try:
        # Relative to its folder, so that the report shows the file's name only.
        runner = replace(runner, system=replace(system, folder=file.parent))
        return execution.result(runner.run(job, [file.name], options))
    except BaseException:
        if execution.calls.control is None:
            file.unlink(missing_ok=True)
        raise


def resume(
    config: str | os.PathLike[str] | None,
    run: str = "last",
    *,
    until: datetime | None = None,
    limit: int | None = None,
    max_failures: int | str | None = None,
    max_invalid: int | str | None = None,
    processes: int | None = None,
    report: str | os.PathLike[str] | None = None,
    metrics_file: str | os.PathLike[str] | None = None,
    format: str = "csv",  # noqa: A002 - the option's name
    progress: Callable[[RunProgress], object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> RunResult:
    """
    Continue a run that was stopped or killed. A finished run is returned as it is.

    `run` is a run id, a unique prefix of one, or `last`. For parameters and errors see `run`.
    """
    check(run=run, config=config, until=until, limit=limit, max_failures=max_failures, max_invalid=max_invalid,
          processes=processes, report=report, metrics_file=metrics_file, format=format, progress=progress,
          environ=environ)  # fmt: skip
    options = run_options(until=until, limit=limit, max_failures=max_failures, max_invalid=max_invalid,
                          report=report, metrics_file=metrics_file, format=format, processes=processes)  # fmt: skip
    with _execution(Session.open(config, environ), progress, options) as execution:
        return execution.result(execution.runner.resume(execution.known_run(run), options))


def rerun(
    config: str | os.PathLike[str] | None,
    run: str = "last",
    *,
    only: Collection[str] | None = None,
    code: Collection[str] | None = None,
    new_keys: bool = False,
    until: datetime | None = None,
    limit: int | None = None,
    max_failures: int | str | None = None,
    max_invalid: int | str | None = None,
    processes: int | None = None,
    report: str | os.PathLike[str] | None = None,
    metrics_file: str | os.PathLike[str] | None = None,
    format: str = "csv",  # noqa: A002 - the option's name
    progress: Callable[[RunProgress], object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> RunResult:
    """
    Send the unknown, blocked and unsent rows of a run again, under the same keys, as a new run.

    `only` has the statuses to send instead, and `code` limits them to rows with these codes. `new_keys` adds rejected
    rows for which the platform asks for a new key. Without rows to send there is no new run, and the result says why.
    For the other parameters and errors see `run`.
    """
    check(run=run, config=config, only=only, code=code, new_keys=new_keys, until=until, limit=limit,
          max_failures=max_failures, max_invalid=max_invalid, processes=processes, report=report,
          metrics_file=metrics_file, format=format, progress=progress, environ=environ)  # fmt: skip
    options = run_options(until=until, limit=limit, max_failures=max_failures, max_invalid=max_invalid,
                          report=report, metrics_file=metrics_file, format=format, processes=processes)  # fmt: skip
    statuses = OPEN_STATUSES if only is None else frozenset(map(Status, only))
    selection = Selection(statuses, frozenset(code or ()), new_keys, options.limit)
    with _execution(Session.open(config, environ), progress, options) as execution:
        return execution.result(execution.runner.rerun(execution.known_run(run), selection, options))


@dataclass(frozen=True, slots=True)
class _Execution:
    """One run that is being executed: its runner and ledger, and what happened to it."""

    runner: Runner
    ledger: Ledger
    calls: ProgressCalls
    interrupts: Interrupts
    notices: Notices

    def known_run(self, run: str) -> RunRecord:
        """Return a run of the ledger that this execution goes on with."""
        self.ledger.refuse_if_behind()
        record = self.ledger.find(run)
        self.notices.expect(record.job, self.ledger)
        return record

    def result(self, end: ReportFiles | NothingDone) -> RunResult:
        """Return the result of the run. Raises RunInterrupted if SIGINT came."""
        if isinstance(end, ReportFiles):
            for note in end.notes:
                log.warning(note)
            self.notices.ended(end, self.ledger)
        result = RunResult.of(end)
        if self.interrupts.received:
            raise RunInterrupted(result)
        return result


@contextmanager
def _execution(
    session: Session, progress: Callable[[RunProgress], object] | None, options: RunOptions, job: str | None = None
) -> Iterator[_Execution]:
    config, system, calls = session.config, session.system, ProgressCalls(progress)
    refuse_processes(config, options.processes)
    notices = Notices(config, system.clock, log.warning, job=job, metrics_file=options.metrics_file)

    def begun(run: RunRecord, control: RunControl) -> None:
        notices.begun(run)
        calls.begun(run, control)

    def entered(phase: ProgressPhase) -> None:
        notices.entered(phase)
        calls.entered(phase)

    events = RunEvents(begun=begun, phase=entered, staged=calls.staged, tick=calls.tick, log=log.info,
                       ignored=_log_ignored)  # fmt: skip
    with Interrupts(lambda: calls.control) as interrupts, notices, session.ledger() as ledger:
        yield _Execution(Runner(config, ledger, system, events), ledger, calls, interrupts, notices)


def _log_ignored(names: Sequence[str]) -> None:
    for name in names:
        log.warning("ignored: %s", name)
