"""`backfill run`, `rerun` and `resume`."""

import argparse
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType
from zoneinfo import ZoneInfo

from pipeline.assemble.ledgers import config_path, open_the_ledger
from pipeline.assemble.nothing_done import NothingDone
from pipeline.assemble.opening import open_config
from pipeline.assemble.run_options import RunOptions
from pipeline.assemble.runner import OPEN_STATUSES, Runner
from pipeline.assemble.system import System
from pipeline.cli.deadline import deadline
from pipeline.cli.parser import RERUNNABLE
from pipeline.cli.terminal.logs import log, log_at_once, log_run, set_up_logs
from pipeline.cli.terminal.progress import Progress, Screen, screen_of
from pipeline.cli.terminal.streams import write_at_once
from pipeline.cli.terminal.summary import first_of, print_json, print_line, print_summary
from pipeline.clock import Clock, SystemClock
from pipeline.errors import SettingsError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.ledger.staging.rerun import Selection
from pipeline.model import Status
from pipeline.report import OutcomeFormat, ReportFiles, Summary
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
        return "no row was selected: no row of the run has such a code"
    counted = " and ".join(f"{count:,} {'is' if count == 1 else 'are'} {status}" for status, count in found.items())
    rerunnable = [status for status in found if status in RERUNNABLE]
    advice = f"add --only {','.join(rerunnable)}" if rerunnable else "a rerun takes none of these"
    return f"no row was selected: of the rows with such a code {counted}; {advice}"


@contextmanager
def _command(args: argparse.Namespace, make_system: MakeSystem, only_job: str | None = None) -> "Iterator[_Command]":
    """Open config and ledger for one command, and let signals drain its run."""
    clock = SystemClock()
    set_up_logs(args)
    screen = screen_of(args, sys.stderr, os.environ)
    say = log_at_once if screen is None or not screen.redraws else lambda *_: None
    with draining_signals(args.log_format, "continue with `backfill resume`", say) as active:
        config = open_config(config_path(args.config, os.environ), os.environ, clock, only_job)
        if args.processes not in (None, 1):
            raise SettingsError([f"--processes {args.processes}: {ONE_PROCESS}"])
        set_up_logs(args, secrets(config))
        for warning in warnings(config, at=clock.now()):
            log.warning(warning)
        system = make_system(clock)
        ledger = open_the_ledger(config, clock, open_ledger=system.open_ledger)
        command = _Command(args, config, ledger, system, active, screen)
        try:
            yield command
        finally:
            command.progress.end()
            ledger.close()


class _Command:
    """A command that executes one run: its runner and progress, and what it prints at the end."""

    def __init__(
        self,
        args: argparse.Namespace,
        config: Config,
        ledger: Ledger,
        system: System,
        active: list[RunControl],
        screen: Screen | None,
    ) -> None:
        self._args = args
        self._config = config
        self._clock = system.clock
        self._active = active
        self.ledger = ledger
        self.progress = Progress(system.clock, screen)
        events = RunEvents(
            begun=self._begun,
            phase=self.progress.phase,
            staged=self.progress.staged,
            to_send=self.progress.to_send,
            tick=self.progress.tick,
            log=partial(log.info, extra={"event": "note"}),
            ignored=_log_ignored,
        )
        self.runner = Runner(config, ledger, system, events)

    def options_for(self, job: str) -> RunOptions:
        """Return the command line's options for a run of this job."""
        args = self._args
        return RunOptions(
            day=args.date,
            until=args.until and deadline(args.until, self._zone_of(job), self._clock.now()),
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
        if self._args.log_format == "json":
            # For people, the summary on stdout says the same.
            _log_end(files.summary)
        if self._args.json:
            sys.stdout.write(files.summary.as_json().decode())
        else:
            print_summary(files.summary, files.next_steps)
        return files.summary.exit_code

    def _begun(self, run: RunRecord, control: RunControl) -> None:
        self._active.append(control)
        self.progress.follow(run, control, self._zone_of(run.job))
        log_run(run.run_id, run.job)
        log.info("run %s of job %s", run.run_id, run.job, extra={"event": "run_begun"})

    def _zone_of(self, job: str) -> ZoneInfo:
        known = self._config.jobs.get(job)
        return known.timezone if known else ZoneInfo("UTC")


def _log_end(summary: Summary) -> None:
    counts = {str(status): rows for status, rows in summary.counts.items() if rows}
    facts = {
        "event": "run_ended",
        "state": summary.state,
        "exit_code": summary.exit_code,
        "rows": summary.rows,
        **counts,
    }
    log.info("the run ended with exit code %d", summary.exit_code, extra=facts)


def _log_ignored(names: Sequence[str]) -> None:
    for name in first_of(names):
        log.warning("ignored: %s", name)


@contextmanager
def draining_signals(
    log_format: str, advice: str, say: Callable[[str, str], None] = log_at_once
) -> Iterator[list[RunControl]]:
    """
    Yield the list for the active run. SIGINT and SIGTERM drain that run; a second signal ends the process at once.

    `advice` says how to continue after a signal. Ending at once is as safe as a crash. Before a run is active, signals
    interrupt the command. `say` is called in the signal handler with a text and the log format.
    """
    active: list[RunControl] = []
    received: list[str] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if not active:
            raise KeyboardInterrupt
        if received:
            if sys.stderr.isatty():
                # The shell's next line must not continue the progress.
                write_at_once("\n")
            os._exit(5)
        received.append(name)
        active[0].drain(Ending.INTERRUPTED, f"stopped by {name}; {advice}")
        say(f"{name}: waiting for requests in flight; send it again to end at once", log_format)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield active
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
