"""
Senders: processes that send for runs which another process began or resumed, on any host with the ledger's server.

`send_partition` sends for one run. Any scheduler may call it, twice or at once in two places: what each call may send
is in the ledger. `PartitionWork` finds the runs of a ledger that can be joined.
"""

import logging
import os
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.assemble.parts.ledgers import open_the_ledger
from pipeline.assemble.parts.new_run import job_of
from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.parts.platform import merchant_of
from pipeline.assemble.parts.sender import ThreadedSender, permits_of, threads_of
from pipeline.assemble.parts.shared_sender import deliver_partitions
from pipeline.assemble.parts.system import MakeSystem, System
from pipeline.clock import Clock, SystemClock
from pipeline.errors import LedgerError, SettingsError
from pipeline.language import t
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.settings import Config, load
from pipeline.write.brakes.failure_streaks import FailureStreaks
from pipeline.write.brakes.run_control import Drained, RunControl
from pipeline.write.brakes.shared_control import SharedControl

_log = logging.getLogger("backfill")

# How long a sender stays away from a run that it had to leave, as in an outage that only this host has.
_AWAY_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class SentPartitions:
    """
    What one call of `send_partition` did.

    `has_joined`: a partition was free, and the run could be joined. `attempts` are the requests of this call. `reason`
    says why it left before all partitions were taken; None if it did not. `stopped_alone`: the others went on.
    """

    run_id: str
    has_joined: bool
    attempts: int = 0
    reason: str | None = None
    stopped_alone: bool = False


def send_partition(
    config: str | os.PathLike[str],
    run_id: str,
    partitions: Collection[int] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    make_system: MakeSystem = System.real,
    follow: Callable[[RunControl], None] = lambda _control: None,
    tick: Callable[[], None] = lambda: None,
) -> SentPartitions:
    """
    Send partitions of a run that is being delivered, those with these numbers or all, until none is free.

    `config` is the path of the config, with the run's job and account; `environ` has its secrets. `follow` gets the
    control, with which another thread or a signal handler can end the call; `tick` is called a few times a second.

    Raises SettingsError if the config can't be used for the run, and LedgerError if the ledger can't be used or if this
    process was held up for longer than its lease.
    """
    # A clock of its own: once it is woken, it does not sleep any more.
    system = make_system(SystemClock())
    path, variables = Path(config), os.environ if environ is None else environ
    with closing(_open_ledger(path, variables, system)) as ledger:
        run = ledger.find(run_id)
        opened = _config_for(run, ledger, path, variables, system.clock)
        control = RunControl(system.clock)
        threads = _threads(run, opened, ledger, control, system)
        share = SharedControl(control, threads.services.breaker, threads.services.streaks, leads=False)
        sender = ledger.join(run, share, wanted=partitions)
        if sender is None:
            return SentPartitions(run.run_id, has_joined=False)
        follow(control)

        def beat() -> None:
            with suppress(Drained):
                control.check_running()
            tick()

        deliver_partitions(threads, sender, beat)
        for note in threads.notes():
            _log.warning(note)
        return SentPartitions(run.run_id, True, share.own_attempts, control.reason, share.stopped_alone)


def _open_ledger(path: Path, environ: Mapping[str, str], system: System) -> Ledger:
    config = load(path, environ=environ, at=system.clock.now(), with_keys=False)
    if config.ledger_server is None:
        raise SettingsError([no_server(config)])
    return open_the_ledger(config, system.clock, open_ledger=system.open_ledger)


def no_server(config: Config) -> str:
    """Return why nobody can join the runs of a ledger in a file."""
    return t(
        "ledger {name}: a file has one sender, the run itself; more than one need a ledger on PostgreSQL: "
        "see docs/how-to/two-hosts.md",
        name=config.ledger_path,
    )


def _config_for(run: RunRecord, ledger: Ledger, path: Path, environ: Mapping[str, str], clock: Clock) -> Config:
    """Return the config with the keys of a run's account. Raises SettingsError if it is not that of the run."""
    job_of(load(path, environ=environ, at=clock.now(), with_keys=False), run)
    config = open_config(path, environ, clock, run.job)
    here, there = merchant_of(config.accounts[run.account]), ledger.merchant_of(run)
    if here != there:
        raise SettingsError(
            [
                t(
                    "{path} [accounts.{account}] is {here}, but run {run_id} sends for {there}; use the config of the "
                    "run",
                    path=path,
                    account=run.account,
                    here=here,
                    run_id=run.run_id,
                    there=there,
                )
            ]
        )
    return config


def _threads(run: RunRecord, config: Config, ledger: Ledger, control: RunControl, system: System) -> ThreadedSender:
    job, account = config.jobs[run.job], config.accounts[run.account]
    # The config of this host may be older than the run's.
    limit = min(job.limit_per_s, run.limit_per_s)
    permits = permits_of(job, account, ledger.quotas(), system, limit)
    # The run's first rows have shown that not all of its rows end alike; those of a partition may.
    return threads_of(job, account, permits, control, system, FailureStreaks(equal_endings=sys.maxsize))


@dataclass(frozen=True, slots=True)
class WantedRuns:
    """The runs that a sender joins: those of some jobs, for some merchants, or one run; None: any."""

    jobs: Collection[str] | None = None
    merchants: Collection[str] | None = None
    run_id: str | None = None

    def has(self, run: RunRecord, merchant: str) -> bool:
        """Return whether a run is wanted; `merchant` is as the ledger has it, and contains the merchant's id."""
        return (
            (self.jobs is None or run.job in self.jobs)
            and (self.merchants is None or not set(self.merchants).isdisjoint(merchant.split()))
            and self.run_id in (None, run.run_id)
        )


class PartitionWork:
    """
    Sends for the runs of a ledger that can be joined; see `Work`.

    A run that this process can't send for is logged once. One that it had to leave is left alone for a while.
    """

    def __init__(
        self,
        config: Path,
        environ: Mapping[str, str],
        ledger: Ledger,
        clock: Clock,
        wanted: WantedRuns,
        *,
        make_system: MakeSystem = System.real,
        follow: Callable[[RunControl | None], None] = lambda _control: None,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._config, self._environ, self._ledger, self._clock, self._wanted = config, environ, ledger, clock, wanted
        self._make_system, self._follow, self._tick = make_system, follow, tick
        # When a run may be joined again, in steady seconds.
        self._not_before: dict[str, float] = {}

    def do_next(self) -> bool:
        """Send for the first run that can be joined; return whether there was one."""
        return any(self._send(run) for run in self._ledger.runs_to_join() if self._is_wanted(run))

    def _is_wanted(self, run: RunRecord) -> bool:
        is_free = self._not_before.get(run.run_id, 0.0) <= self._clock.steady()
        return is_free and self._wanted.has(run, self._ledger.merchant_of(run))

    def _send(self, run: RunRecord) -> bool:
        fields = {"run_id": run.run_id, "job": run.job}
        try:
            sent = send_partition(
                self._config,
                run.run_id,
                environ=self._environ,
                make_system=self._make_system,
                follow=self._follow,
                tick=self._tick,
            )
        except SettingsError as exc:
            self._stay_away(run, float("inf"))
            _log.warning(
                t("can't send for run {run_id}: {reason}", run_id=run.run_id, reason=exc),
                extra={"event": "sender_refused", **fields},
            )
            return False
        except LedgerError as exc:
            # If the server can't be used, the next look for runs says so.
            _log.warning("%s", exc, extra={"event": "sender_failed", **fields})
            return False
        finally:
            self._follow(None)
        if sent.stopped_alone:
            self._stay_away(run, _AWAY_SECONDS)
        if sent.has_joined:
            _log.info(_sentence(sent), extra={"event": "sender_left", "attempts": sent.attempts, **fields})
        return sent.has_joined

    def _stay_away(self, run: RunRecord, seconds: float) -> None:
        self._not_before[run.run_id] = self._clock.steady() + seconds


def _sentence(sent: SentPartitions) -> str:
    if sent.reason is None:
        return t("run {run_id}: requests sent here: {attempts}", run_id=sent.run_id, attempts=f"{sent.attempts:,}")
    return t(
        "run {run_id}: requests sent here: {attempts}; then left: {reason}",
        run_id=sent.run_id,
        attempts=f"{sent.attempts:,}",
        reason=sent.reason,
    )
