"""`backfill run`, `rerun` and `resume`."""

import argparse
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import FrameType
from zoneinfo import ZoneInfo

from pipeline.assemble.parts.cluster_workers import ClusterWorkers, workers_of_cluster
from pipeline.assemble.parts.ledgers import config_path, open_the_ledger
from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.parts.run_options import RunOptions
from pipeline.assemble.parts.system import MakeSystem, System
from pipeline.assemble.reports.nothing_done import NothingDone
from pipeline.assemble.runner import OPEN_STATUSES, Runner
from pipeline.assemble.saved_plans import read_plan
from pipeline.cli.deadline import deadline
from pipeline.cli.interrupts import interrupt
from pipeline.cli.parser import RERUNNABLE
from pipeline.cli.terminal.logs import log, log_at_once, log_run, set_up_logs
from pipeline.cli.terminal.progress import Progress, Screen, screen_of
from pipeline.cli.terminal.streams import write_at_once
from pipeline.cli.terminal.summary import (
    first_of,
    print_json,
    print_json_line,
    print_line,
    print_summary,
    with_short_id,
)
from pipeline.clock import SystemClock
from pipeline.errors import PipelineError, RunHeld, SettingsError, SourceError
from pipeline.language import counted, t
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.ledger.staging.rerun import Selection
from pipeline.model import Status
from pipeline.notify.notices import Notices
from pipeline.report import OutcomeFormat, ReportFiles, Summary
from pipeline.run.events import ProgressPhase, RunEvents
from pipeline.run.exit_code import INTERRUPTED, JOB_IS_ACTIVE, USER_FAULT, worst_of
from pipeline.settings import ONE_PROCESS, Config, secrets, warnings
from pipeline.write.brakes.run_control import Ending, RunControl


def run(args: argparse.Namespace, make_system: MakeSystem = System.real) -> int:
    """Run a job, a saved plan, or every job of the config."""
    set_up_logs(args)
    _check_words(args)
    if args.all:
        return _run_all(args, make_system)
    plan = None if args.plan is None else read_plan(args.plan, args.job)
    job = args.job if plan is None else plan.job
    with _command(args, make_system, job) as command:
        command.notices.expect(job, command.ledger)
        if not args.resync:
            command.ledger.refuse_if_behind()
        options = command.options_for(job)
        files = (
            command.runner.run(job, args.inputs, options) if plan is None else command.runner.run_plan(plan, options)
        )
        return command.print_report(files)


def _check_words(args: argparse.Namespace) -> None:
    """Raise SettingsError for words that do not go together."""
    given = {
        "JOB": args.job, "INPUT": args.inputs, "--date": args.date, "--limit": args.limit is not None,
        "--resync": args.resync, "--report": args.report, "--plan": args.plan,
    }  # fmt: skip
    if args.all:
        _refuse_with("--all", given, ("JOB", "INPUT", "--resync", "--report", "--plan"))
    elif args.plan is not None:
        _refuse_with("--plan", given, ("INPUT", "--date", "--limit", "--resync"))
    elif args.job is None:
        raise SettingsError([t("the following arguments are required: JOB, or --all, or --plan FILE")])


def _refuse_with(option: str, given: Mapping[str, object], excluded: Sequence[str]) -> None:
    faults = [
        t("{option} can't be used with {word}; leave one out", option=option, word=w) for w in excluded if given[w]
    ]
    if faults:
        raise SettingsError(faults)


def _run_all(args: argparse.Namespace, make_system: MakeSystem) -> int:
    """Run every job of the config, one after another. A job that can't begin does not stop the others."""
    with _command(args, make_system) as command:
        command.ledger.refuse_if_behind()
        # Now, because a deadline is the next moment at which clocks show it.
        waiting = {job: command.options_for(job) for job in command.jobs}
        ended: dict[str, int] = {}
        try:
            while waiting and not command.was_interrupted:
                job, options = next(iter(waiting.items()))
                ended[job] = _run_one_of_all(command, job, options)
                del waiting[job]
        except KeyboardInterrupt:
            log.warning(t("interrupted"))
        if waiting:
            log.warning(t("these jobs were not run: {jobs}", jobs=", ".join(waiting)))
        return command.print_end(ended | dict.fromkeys(waiting, INTERRUPTED))


def _run_one_of_all(command: "_Command", job: str, options: RunOptions) -> int:
    command.notices.expect(job, command.ledger)
    try:
        return command.print_report(command.runner.run(job, (), options))
    except (SettingsError, SourceError, RunHeld) as exc:
        command.notices.failed(job, exc)
        return command.print_failure(job, exc)
    finally:
        command.forget_run()


def resume(args: argparse.Namespace, make_system: MakeSystem = System.real) -> int:
    """Continue a run."""
    with _command(args, make_system) as command:
        command.ledger.refuse_if_behind()
        record = command.ledger.find(args.run)
        command.notices.expect(record.job, command.ledger)
        return command.print_report(command.runner.resume(record, command.options_for(record.job)))


def rerun(args: argparse.Namespace, make_system: MakeSystem = System.real) -> int:
    """Send the open rows of a run again."""
    with _command(args, make_system) as command:
        command.ledger.refuse_if_behind()
        parent = command.ledger.find(args.run)
        command.notices.expect(parent.job, command.ledger)
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
    set_up_logs(args)
    screen = screen_of(args, sys.stderr, os.environ)
    say = log_at_once if screen is None or not screen.redraws else lambda *_: None
    with draining_signals(args.log_format, t("continue with `backfill resume`"), say) as active:
        config = open_config(config_path(args.config, os.environ), os.environ, clock, only_job)
        _check_processes(args, config)
        set_up_logs(args, secrets(config))
        for warning in warnings(config, at=clock.now()):
            log.warning(warning)
        system = make_system(clock)
        metrics_file = args.metrics_file and args.metrics_file.absolute()
        with (
            Notices(config, clock, log.warning, job=only_job, metrics_file=metrics_file) as notices,
            _cluster_workers(args, config, system) as workers,
        ):
            ledger = open_the_ledger(config, clock, open_ledger=system.open_ledger)
            command = _Command(args, config, ledger, system, active, screen, notices, workers)
            try:
                yield command
            finally:
                command.progress.end()
                ledger.close()


def _check_processes(args: argparse.Namespace, config: Config) -> None:
    """Raise SettingsError for processes that the ledger does not allow, and for a cluster without its engine."""
    if args.address is not None and args.engine != "ray":
        raise SettingsError([t("--address {address} needs --engine ray", address=args.address)])
    if config.ledger_server is not None:
        return
    one_process = t(ONE_PROCESS)
    if args.engine == "ray":
        raise SettingsError([t("--engine ray: {one_process}", one_process=one_process)])
    if args.processes not in (None, 1):
        raise SettingsError(
            [t("--processes {processes}: {one_process}", processes=args.processes, one_process=one_process)]
        )


@contextmanager
def _cluster_workers(args: argparse.Namespace, config: Config, system: System) -> "Iterator[ClusterWorkers | None]":
    """Connect to a cluster if the command line names one; yield its workers."""
    if args.engine != "ray":
        yield None
        return
    address = args.address or os.environ.get("RAY_ADDRESS") or "local"
    with workers_of_cluster(config.path.absolute(), address, args.processes, system.command) as workers:
        yield workers


class _Command:
    """A command that executes one run: its runner and progress, and what it prints at the end."""

    def __init__(
        self,
        args: argparse.Namespace,
        config: Config,
        ledger: Ledger,
        system: System,
        active: "ActiveRun",
        screen: Screen | None,
        notices: Notices,
        workers: ClusterWorkers | None,
    ) -> None:
        self._args = args
        self._config = config
        self._clock = system.clock
        self._active = active
        self.ledger = ledger
        self.notices = notices
        self.progress = Progress(system.clock, screen)
        events = RunEvents(
            begun=self._begun,
            phase=self._entered,
            staged=self.progress.staged,
            to_send=self.progress.to_send,
            tick=self.progress.tick,
            log=partial(log.info, extra={"event": "note"}),
            ignored=_log_ignored,
        )
        self.runner = Runner(config, ledger, system, events)
        self._processes = args.processes
        if workers is not None:
            self._processes = workers.count + 1
            system = replace(system, helpers=workers.helpers)
            self.runner = replace(self.runner, system=system, workers_of=lambda *_: workers)

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
            metrics_file=args.metrics_file and args.metrics_file.absolute(),
            processes=self._processes,
        )

    @property
    def jobs(self) -> Sequence[str]:
        """The names of the config's jobs, in its order."""
        return list(self._config.jobs)

    @property
    def was_interrupted(self) -> bool:
        """Whether a signal came while a run was active."""
        return self._active.signal is not None

    def forget_run(self) -> None:
        """The run has ended: a signal interrupts the command from now on."""
        self._active.control = None

    def print_failure(self, job: str, error: PipelineError) -> int:
        """Print why a job of several did not begin or was refused; return its exit code."""
        self.progress.end()
        exit_code = JOB_IS_ACTIVE if isinstance(error, RunHeld) else USER_FAULT
        for line in str(error).splitlines():
            log.error(t("job {job}: {fault}", job=job, fault=line))
        if self._args.json:
            print_json_line({"run_id": None, "job": job, "exit_code": exit_code, "reason": str(error)})
        return exit_code

    def print_end(self, ended: Mapping[str, int]) -> int:
        """Print how the jobs ended; return the worst exit code."""
        exit_code = worst_of(ended.values())
        if not self._args.json:
            jobs = ", ".join(f"{job} {code}" for job, code in ended.items())
            print_line(t("all jobs: exit code {exit_code} ({jobs})", exit_code=exit_code, jobs=jobs))
        return exit_code

    def print_report(self, files: ReportFiles | NothingDone) -> int:
        """Print the summary of the run, or why there was none; return the exit code."""
        self.progress.end()
        if isinstance(files, NothingDone):
            short_id = self.ledger.short_id(files.run)
            reason = with_short_id(files.reason, files.run.run_id, short_id)
            print_json(files.facts) if self._args.json else print_line(reason)
            return files.exit_code
        for note in files.notes:
            log.warning(note)
        if self._args.log_format == "json":
            # For people, the summary on stdout says the same.
            _log_end(files.summary)
        if vars(self._args).get("all"):
            self._print_one_of_all(files)
        elif self._args.json:
            sys.stdout.write(files.summary.as_json().decode())
        else:
            self._print_summary(files)
        self.notices.ended(files, self.ledger)
        return files.summary.exit_code

    def _print_one_of_all(self, files: ReportFiles) -> None:
        if self._args.json:
            print_json_line(files.summary.as_dict())
        else:
            self._print_summary(files)

    def _print_summary(self, files: ReportFiles) -> None:
        print_summary(files.summary, files.next_steps, self.ledger.short_id(self.ledger.find(files.summary.run_id)))

    def _begun(self, run: RunRecord, control: RunControl) -> None:
        self._active.follow(control)
        self.notices.begun(run)
        self.progress.follow(run, control, self._zone_of(run.job))
        log_run(run.run_id, run.job)
        text = t("run {run_id} of job {job}", run_id=run.run_id, job=run.job)
        log.info(text, extra={"event": "run_begun"})

    def _entered(self, phase: ProgressPhase) -> None:
        self.progress.phase(phase)
        self.notices.entered(phase)

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
    log.info(t("the run ended with exit code {exit_code}", exit_code=summary.exit_code), extra=facts)


def _log_ignored(names: Sequence[str]) -> None:
    for name in first_of(names):
        log.warning(t("ignored: {name}", name=name))


@dataclass(slots=True)
class ActiveRun:
    """The run that signals drain; None: they interrupt the command. `signal` is the first that drained a run."""

    control: RunControl | None = None
    signal: str | None = None

    def follow(self, control: RunControl) -> None:
        """Drain this run from now on."""
        self.control = control


@contextmanager
def draining_signals(
    log_format: str, advice: str, say: Callable[[str, str], None] = log_at_once
) -> Iterator[ActiveRun]:
    """
    Yield the active run. SIGINT and SIGTERM drain it; a second signal ends the process at once.

    `advice` says how to continue after a signal. Ending at once is as safe as a crash. Before a run is active, signals
    interrupt the command. `say` is called in the signal handler with a text and the log format.
    """
    active = ActiveRun()

    def on_signal(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if active.control is None:
            interrupt(number, frame)
            return
        if active.signal is not None:
            if sys.stderr.isatty():
                # The shell's next line must not continue the progress.
                write_at_once("\n")
            os._exit(5)
        active.signal = name
        active.control.drain(Ending.INTERRUPTED, t("stopped by {name}; {advice}", name=name, advice=advice))
        say(t("{name}: waiting for requests in flight; send it again to end at once", name=name), log_format)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield active
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
