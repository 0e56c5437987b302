"""`backfill worker`: stage and send for runs that other processes began, until stopped."""

import argparse
import os
import sys
import threading
from contextlib import closing

from pipeline.assemble.parts.ledgers import config_path, open_the_ledger
from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.parts.system import MakeSystem, System
from pipeline.assemble.senders import PartitionWork, WantedRuns, no_server
from pipeline.assemble.slicing import SliceWork
from pipeline.assemble.work_loop import work_until_stopped
from pipeline.cli.run import ActiveRun, draining_signals
from pipeline.cli.terminal.logs import log, set_up_logs
from pipeline.cli.worker.health import WorkerHealth, served
from pipeline.clock import Clock, SystemClock
from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Phase
from pipeline.settings import Config, secrets, warnings
from pipeline.write.brakes.run_control import Ending, RunControl


def worker(args: argparse.Namespace, make_system: MakeSystem = System.real) -> int:
    """Send for runs of the ledger until stopped; return 0."""
    clock = SystemClock()
    set_up_logs(args)
    with draining_signals(args.log_format, t("other processes go on")) as active:
        stopping = _Stopping(active, clock)
        if args.until_input_ends:
            threading.Thread(target=stopping.wait_for_end_of_input, daemon=True).start()
        try:
            _work(args, make_system, clock, stopping)
        except KeyboardInterrupt:
            # A signal that came while nothing was sent.
            log.info(t("stopped; nothing was under way"), extra={"event": "worker_stopped"})
    return 0


def _work(args: argparse.Namespace, make_system: MakeSystem, clock: SystemClock, stopping: "_Stopping") -> None:
    config = open_config(config_path(args.config, os.environ), os.environ, clock)
    if config.ledger_server is None:
        raise SettingsError([no_server(config)])
    _check_jobs(args.jobs, config)
    set_up_logs(args, secrets(config))
    for warning in warnings(config, at=clock.now()):
        log.warning(warning)
    health = WorkerHealth(args.health_file, clock)
    with (
        served(health, args.health_port),
        closing(open_the_ledger(config, clock, open_ledger=make_system(clock).open_ledger)) as ledger,
    ):
        wanted = WantedRuns(args.jobs, args.merchants, args.run and ledger.find(args.run).run_id)
        slices = SliceWork(config, ledger, lambda run: wanted.has(run, ledger.merchant_of(run)), tick=health.tick)
        partitions = PartitionWork(
            config.path,
            os.environ,
            ledger,
            clock,
            wanted,
            make_system=make_system,
            follow=stopping.follow,
            tick=health.tick,
        )
        log.info(t("the worker waits for runs to send"), extra={"event": "worker_begun"})
        work_until_stopped(
            [slices, partitions],
            clock,
            lambda: stopping.is_stopped or _is_over(args.run, ledger),
            tick=health.tick,
            once=args.once,
        )
    log.info(t("the worker ended"), extra={"event": "worker_ended"})


def _check_jobs(jobs: tuple[str, ...] | None, config: Config) -> None:
    faults = [
        t("--jobs {job}: {path} has no such job; it has {jobs}", job=job, path=config.path, jobs=", ".join(config.jobs))
        for job in jobs or ()
        if job not in config.jobs
    ]
    if faults:
        raise SettingsError(faults)


def _is_over(run: str | None, ledger: Ledger) -> bool:
    """Return whether the only run to work for has ended."""
    return run is not None and ledger.find(run).phase is Phase.CONCLUDED


class _Stopping:
    """Whether the worker has to stop: a signal came, or its input ended."""

    def __init__(self, active: ActiveRun, clock: Clock) -> None:
        self._active = active
        self._clock = clock
        self._has_no_input = False

    @property
    def is_stopped(self) -> bool:
        """Whether it has to stop."""
        return self._has_no_input or self._active.signal is not None

    def follow(self, control: RunControl | None) -> None:
        """Drain this run when it is time to stop; None: nothing is sent now."""
        self._active.control = control
        if control is not None and self.is_stopped:
            self._drain(control)

    def wait_for_end_of_input(self) -> None:
        """Stop at the end of the standard input: the process that started this one has ended."""
        # A buffered read could not be cut short, and would abort the process if it ends before its input.
        while os.read(sys.stdin.fileno(), 1024):
            pass
        self._has_no_input = True
        self._clock.wake()
        control = self._active.control
        if control is not None:
            self._drain(control)

    @staticmethod
    def _drain(control: RunControl) -> None:
        control.drain(Ending.INTERRUPTED, t("the process that started this one has ended it"))
