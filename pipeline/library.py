"""
The Python API: run a job, and read the outcomes of its rows as a pandas DataFrame.

    from pipeline.library import read_outcome, run_job

    result = run_job("backfill.toml", "orders", date=date(2025, 11, 20))
    left = result.outcome().query("status not in ('succeeded', 'skipped')")
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 - the parameter has the option's name
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.assemble.ledgers import open_the_ledger
from pipeline.assemble.nothing_done import NothingDone
from pipeline.assemble.opening import open_config
from pipeline.assemble.run_options import RunOptions
from pipeline.assemble.runner import OPEN_STATUSES, Runner
from pipeline.assemble.system import System
from pipeline.clock import SystemClock
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.staging.rerun import Selection
from pipeline.report import ReportFiles, read_outcome
from pipeline.run.events import RunEvents

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RunResult", "read_outcome", "rerun", "resume", "run_job"]


@dataclass(frozen=True, slots=True)
class RunResult:
    """
    The result of a run: `exit_code` and `summary` as for the command, and the report folder.

    If a rerun or resume had nothing to do, this is the given run.
    """

    run_id: str
    exit_code: int
    summary: Mapping[str, Any]
    report: Path

    def outcome(self) -> "pd.DataFrame":
        """Return one line for each row read; see `read_outcome`."""
        return read_outcome(self.report)


def run_job(
    config: str | Path,
    job: str,
    inputs: Sequence[str] = (),
    *,
    date: Date | None = None,
    until: datetime | None = None,
    limit: int | None = None,
    resync: bool = False,
    environ: Mapping[str, str] | None = None,
) -> RunResult:
    """
    Run a job over its inputs, or over the given ones, and wait for its end.

    `until` (with a time zone) stops the run cleanly; the other parameters are the options of the command. Raises
    SettingsError, SourceError or LedgerError if the command would exit with 2 or 6; nothing was sent then. Signals are
    not handled.
    """
    with _runner(config, environ, job) as (runner, _):
        options = RunOptions(day=date, until=until, limit=limit, resync=resync)
        return _result(runner.run(job, inputs, options))


def rerun(config: str | Path, run: str = "last", *, environ: Mapping[str, str] | None = None) -> RunResult:
    """Send the unknown, blocked and unsent rows of a run again, with the same keys. Raises the errors of `run_job`."""
    with _runner(config, environ) as (runner, ledger):
        ledger.refuse_if_behind()
        return _result(runner.rerun(ledger.find(run), Selection(OPEN_STATUSES), RunOptions()))


def resume(config: str | Path, run: str = "last", *, environ: Mapping[str, str] | None = None) -> RunResult:
    """Continue a run that was stopped or killed. Raises the errors of `run_job`."""
    with _runner(config, environ) as (runner, ledger):
        ledger.refuse_if_behind()
        return _result(runner.resume(ledger.find(run), RunOptions()))


@contextmanager
def _runner(
    config: str | Path, environ: Mapping[str, str] | None, job: str | None = None
) -> Iterator[tuple[Runner, Ledger]]:
    system = System.real(SystemClock())
    opened = open_config(Path(config), os.environ if environ is None else environ, system.clock, job)
    ledger = open_the_ledger(opened, system.clock)
    try:
        yield Runner(opened, ledger, system, RunEvents()), ledger
    finally:
        ledger.close()


def _result(files: ReportFiles | NothingDone) -> RunResult:
    if isinstance(files, NothingDone):
        return RunResult(files.run.run_id, files.exit_code, files.facts, files.report)
    summary = files.summary
    return RunResult(summary.run_id, summary.exit_code, summary.as_dict(), files.folder)
