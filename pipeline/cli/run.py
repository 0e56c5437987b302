"""`backfill run`, `rerun` and `resume`."""

import argparse
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from zoneinfo import ZoneInfo

from pipeline.assemble.ledgers import config_path, open_the_ledger
from pipeline.assemble.nothing_done import NothingDone
from pipeline.assemble.opening import open_config
from pipeline.assemble.run_options import RunOptions
from pipeline.assemble.runner import OPEN_STATUSES, Runner
from pipeline.assemble.system import System
from pipeline.cli.deadline import deadline
from pipeline.cli.logs import log, log_at_once, set_up_logs
from pipeline.cli.parser import RERUNNABLE
from pipeline.cli.progress import Progress
from pipeline.cli.summary import first_of, print_json, print_line, print_summary
from pipeline.clock import Clock, SystemClock
from pipeline.errors import SettingsError
from pipeline.language import counted, t
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.ledger.staging.rerun import Selection
from pipeline.model import Status
from pipeline.report import OutcomeFormat, ReportFiles
from pipeline.run.events import RunEvents
from pipeline.settings import ONE_PROCESS, Config, secrets, warnings
from pipeline.write.brakes.run_control import Ending, RunControl

MakeSystem = Callable[[Clock], System]


def run(args: argparse.Namespace, make_system: MakeSystem = System.real) -> int:
    """Run a job."""
    with _command(args, make_system, args.job) as command:
        if not args.resync:
            command.ledger.refuse_if_behind()
        files = command.runner.run(args.job, args.inputs, command.options_for(args.job))
        return command.print_report(files)


def resume(args: argparse.Namespace, make_system: MakeSystem = System.real) -> int:
    """Continue a run."""
    with _command(args, make_system) as command:
        command.ledger.refuse_if_behind()
        record = command.ledger.find(args.run)
        return command.print_report(command.runner.resume(record, command.options_for(record.job)))


def rerun(args: argparse.Namespace, make_system: MakeSystem = System.real) -> int:
    """Send the open rows of a run again."""
    with _command(args, make_system) as command:
        command.ledger.refuse_if_behind()
        parent = command.ledger.find(args.run)
        chosen = frozenset(map(Status, args.only)) if args.only else OPEN_STATUSES
        selection = Selection(chosen, frozenset(args.code), args.new_keys, args.limit)
        files = command.runner.rerun(parent, selection, command.options_for(parent.job))
        if args.code and isinstance(files, NothingDone):
            _log_statuses_of_codes(command.ledger, parent, selection)
        return command.print_report(files)


def _log_statuses_of_codes(ledger: Ledger, parent: RunRecord, selection: Selection) -> None:
    """Log which statuses the rows with the selected codes have, if none of them was selected."""
    found: Counter[Status] = Counter()
    for page in ledger.outcome_pages(parent):
        pairs = zip(page.status, page.code, strict=True)
        found.update(status for status, code in pairs if code in selection.codes)
    if selection.statuses.isdisjoint(found):
        log.warning(nothing_selected(found))


def nothing_selected(found: Mapping[Status, int]) -> str:
    """Return why a selection is empty; `found` are the rows with the selected codes, by status."""
    if not found:
        return t("no row was selected: no row of the run has such a code")
    rows = t(" and ").join(_rows_of(status, count) for status, count in found.items())
    rerunnable = [status for status in found if status in RERUNNABLE]
    advice = (
        t("add --only {rerunnable}", rerunnable=",".join(rerunnable))
        if rerunnable
        else t("a rerun takes none of these")
    )
    return t("no row was selected: of the rows with such a code {rows}; {advice}", rows=rows, advice=advice)


def _rows_of(status: Status, count: int) -> str:
    return counted(count, "1 is {status}", "{count:,} are {status}", status=status)


@contextmanager
def _command(args: argparse.Namespace, make_system: MakeSystem, only_job: str | None = None) -> "Iterator[_Command]":
    """Open config and ledger for one command, and let signals drain its run."""
    clock = SystemClock()
    set_up_logs(args.log_format)
    with draining_signals(args.log_format, t("continue with `backfill resume`")) as active:
        config = open_config(config_path(args.config, os.environ), os.environ, clock, only_job)
        if args.processes not in (None, 1):
            raise SettingsError(
                [t("--processes {processes}: {one_process}", processes=args.processes, one_process=t(ONE_PROCESS))]
            )
        set_up_logs(args.log_format, secrets(config))
        for warning in warnings(config, at=clock.now()):
            log.warning(warning)
        system = make_system(clock)
        ledger = open_the_ledger(config, clock, open_ledger=system.open_ledger)
        command = _Command(args, config, ledger, system, active)
        try:
            yield command
        finally:
            command.progress.end()
            ledger.close()


class _Command:
    """A command that executes one run: its runner and progress, and what it prints at the end."""

    def __init__(
        self, args: argparse.Namespace, config: Config, ledger: Ledger, system: System, active: list[RunControl]
    ) -> None:
        self._args = args
        self._config = config
        self._clock = system.clock
        self._active = active
        self.ledger = ledger
        self.progress = Progress(system.clock, shown=not args.no_progress)
        events = RunEvents(
            begun=self._begun,
            staged=self.progress.staged,
            tick=self.progress.tick,
            log=log.info,
            ignored=_log_ignored,
        )
        self.runner = Runner(config, ledger, system, events)

    def options_for(self, job: str) -> RunOptions:
        """Return the command line's options for a run of this job."""
        args = self._args
        known = self._config.jobs.get(job)
        zone = known.timezone if known else ZoneInfo("UTC")
        return RunOptions(
            day=args.date,
            until=args.until and deadline(args.until, zone, self._clock.now()),
            limit=args.limit,
            max_failures=args.max_failures,
            max_invalid=args.max_invalid,
            report=args.report and args.report.absolute(),
            outcome_format=OutcomeFormat(args.format),
            resync=vars(args).get("resync", False),
        )

    def print_report(self, files: ReportFiles | NothingDone) -> int:
        """Print the summary of the run, or why there was none; return the exit code."""
        self.progress.end()
        if isinstance(files, NothingDone):
            print_json(files.facts) if self._args.json else print_line(files.reason)
            return files.exit_code
        for note in files.notes:
            log.warning(note)
        if self._args.json:
            sys.stdout.write(files.summary.as_json().decode())
        else:
            print_summary(files.summary, files.next_steps)
        return files.summary.exit_code

    def _begun(self, run: RunRecord, control: RunControl) -> None:
        self._active.append(control)
        self.progress.follow(control)
        log.info(t("run {run_id} of job {job}", run_id=run.run_id, job=run.job))


def _log_ignored(names: Sequence[str]) -> None:
    for name in first_of(names):
        log.warning(t("ignored: {name}", name=name))


@contextmanager
def draining_signals(log_format: str, advice: str) -> Iterator[list[RunControl]]:
    """
    Yield the list for the active run. SIGINT and SIGTERM drain that run; a second signal ends the process at once.

    `advice` says how to continue after a signal. Ending at once is as safe as a crash. Before a run is active, signals
    interrupt the command.
    """
    active: list[RunControl] = []
    received: list[str] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if not active:
            raise KeyboardInterrupt
        if received:
            os._exit(5)
        received.append(name)
        active[0].drain(Ending.INTERRUPTED, t("stopped by {name}; {advice}", name=name, advice=advice))
        log_at_once(t("{name}: waiting for requests in flight; send it again to end at once", name=name), log_format)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield active
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
