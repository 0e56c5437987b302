"""`run`, `resume` and `rerun` of the library: one execution each."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date as Date  # noqa: N812 - the parameter has the option's name
from datetime import datetime

from pipeline.assemble.new_run import new_run_id
from pipeline.assemble.nothing_done import NothingDone
from pipeline.assemble.runner import OPEN_STATUSES, Runner
from pipeline.assemble.saved_tables import save_table, tables_folder
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.staging.rerun import Selection
from pipeline.library.arguments import Inputs, check, checked_inputs, run_options
from pipeline.library.interrupts import Interrupts, RunInterrupted
from pipeline.library.progress import ProgressCalls, RunProgress
from pipeline.library.results import RunResult
from pipeline.library.session import Session, log, refuse_processes
from pipeline.model import Status
from pipeline.report import ReportFiles
from pipeline.run.events import RunEvents


def run(
    config: str | os.PathLike[str] | None,
    job: str,
    inputs: "Inputs | None" = None,
    *,
    date: Date | None = None,
    until: datetime | None = None,
    limit: int | None = None,
    max_failures: int | str | None = None,
    max_invalid: int | str | None = None,
    processes: int | None = None,
    report: str | os.PathLike[str] | None = None,
    format: str = "csv",  # noqa: A002 - the option's name
    resync: bool = False,
    progress: Callable[[RunProgress], object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> RunResult:
    """
    Run a job over its inputs, or over the given ones, and wait for its end.

    `inputs` is a path, glob, folder or URI, a list of these, a DataFrame or an Arrow table. A table is saved beside the
    ledger, so that `resume` can read it again. The other parameters are the options of the command; `until` has a time
    zone. `config` None is `$BACKFILL_CONFIG`, or `backfill.toml`.

    Raises TypeError or ValueError for a wrong argument, before the ledger is opened. Raises SettingsError, SourceError,
    LedgerBehind or LedgerError where the command would exit with 2, and RunHeld where it would exit with 6: nothing was
    sent then. Raises RunInterrupted, with the result, after SIGINT.
    """
    check(job=job, config=config, date=date, until=until, limit=limit, max_failures=max_failures,
          max_invalid=max_invalid, processes=processes, report=report, format=format, resync=resync,
          progress=progress, environ=environ)  # fmt: skip
    options = run_options(date=date, until=until, limit=limit, max_failures=max_failures, max_invalid=max_invalid,
                          report=report, format=format, resync=resync)  # fmt: skip
    paths, table = checked_inputs(inputs)
    refuse_processes(processes)
    session = Session.open(config, environ, job)
    with _execution(session, progress) as execution:
        if not resync:
            execution.ledger.refuse_if_behind()
        if table is None:
            return execution.result(execution.runner.run(job, paths, options))
        system = session.system
        file = save_table(table, tables_folder(session.config), new_run_id(system.clock.now(), system.chance))
        try:
            # Relative to its folder, so that the report shows the file's name only.
            runner = replace(execution.runner, system=replace(system, folder=file.parent))
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
    format: str = "csv",  # noqa: A002 - the option's name
    progress: Callable[[RunProgress], object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> RunResult:
    """
    Continue a run that was stopped or killed. A finished run is returned as it is.

    `run` is a run id, a unique prefix of one, or `last`. For parameters and errors see `run`.
    """
    check(run=run, config=config, until=until, limit=limit, max_failures=max_failures, max_invalid=max_invalid,
          processes=processes, report=report, format=format, progress=progress, environ=environ)  # fmt: skip
    options = run_options(until=until, limit=limit, max_failures=max_failures, max_invalid=max_invalid,
                          report=report, format=format)  # fmt: skip
    refuse_processes(processes)
    with _execution(Session.open(config, environ), progress) as execution:
        execution.ledger.refuse_if_behind()
        return execution.result(execution.runner.resume(execution.ledger.find(run), options))


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
          max_failures=max_failures, max_invalid=max_invalid, processes=processes, report=report, format=format,
          progress=progress, environ=environ)  # fmt: skip
    options = run_options(until=until, limit=limit, max_failures=max_failures, max_invalid=max_invalid,
                          report=report, format=format)  # fmt: skip
    statuses = OPEN_STATUSES if only is None else frozenset(map(Status, only))
    selection = Selection(statuses, frozenset(code or ()), new_keys, options.limit)
    refuse_processes(processes)
    with _execution(Session.open(config, environ), progress) as execution:
        execution.ledger.refuse_if_behind()
        return execution.result(execution.runner.rerun(execution.ledger.find(run), selection, options))


@dataclass(frozen=True, slots=True)
class _Execution:
    """One run that is being executed: its runner and ledger, and what happened to it."""

    runner: Runner
    ledger: Ledger
    calls: ProgressCalls
    interrupts: Interrupts

    def result(self, end: ReportFiles | NothingDone) -> RunResult:
        """Return the result of the run. Raises RunInterrupted if SIGINT came."""
        if isinstance(end, ReportFiles):
            for note in end.notes:
                log.warning(note)
        result = RunResult.of(end)
        if self.interrupts.received:
            raise RunInterrupted(result)
        return result


@contextmanager
def _execution(session: Session, progress: Callable[[RunProgress], object] | None) -> Iterator[_Execution]:
    calls = ProgressCalls(progress)
    events = RunEvents(
        begun=calls.begun, phase=calls.entered, staged=calls.staged, tick=calls.tick, log=log.info, ignored=_log_ignored
    )
    with Interrupts(lambda: calls.control) as interrupts, session.ledger() as ledger:
        yield _Execution(Runner(session.config, ledger, session.system, events), ledger, calls, interrupts)


def _log_ignored(names: Sequence[str]) -> None:
    for name in names:
        log.warning("ignored: %s", name)
