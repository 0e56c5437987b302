"""A crew: a process of its own that carries lanes of a run, and asks the run's own process for all they share."""

import logging
import traceback
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from os import getpid
from pathlib import Path

from pipeline.assemble.carrying import permits_of, writer_of
from pipeline.assemble.fingerprint import fingerprint
from pipeline.assemble.outside import Outside
from pipeline.clock import SystemClock
from pipeline.engines.one_core import Seat
from pipeline.engines.spawning import end_with_parent
from pipeline.engines.tether import Dismissed, Done, Failed, Tether
from pipeline.errors import CrewLost, LedgerError, PipelineError, SettingsError
from pipeline.garbage import look_seldom
from pipeline.ledger.quotas import QuotaStore
from pipeline.limits.permits import Permits
from pipeline.settings import Config, load
from pipeline.write.afar import FarCourse, FarGate, FarLedger, FarWatch


@dataclass(frozen=True, slots=True)
class Brief:
    """
    What a crew is told at its start; nothing of it is secret but the environment.

    Keys in files are not handed over: the crew reads the config as the run did, and `fingerprint` shows that it read
    the same. `quota` is the file that all processes of the run draw on.
    """

    config: Path
    environ: Mapping[str, str] = field(repr=False)
    fingerprint: bytes = field(repr=False)
    quota: Path
    job: str
    workers: int
    seat: Seat


def main(number: int) -> None:
    """Carry lanes for whoever has the other end of this tether, until there are none."""
    end_with_parent()
    look_seldom()
    # The run's own process speaks for all. What a library here would log may name hosts and paths.
    logging.disable()
    with Connection(number) as connection:
        try:
            brief: Brief = connection.recv()
        except (EOFError, OSError):
            # The run ended, or was killed, while this process began.
            return
        tether = Tether(connection)
        tether.end(_end_of(brief, tether))


def _end_of(brief: Brief, tether: Tether) -> Done | Failed:
    try:
        carry_lanes(brief, tether, Outside.real(SystemClock(), brief.environ, brief.seat))
    except Dismissed:
        # Why is known where the question was asked.
        return Done()
    except LedgerError as exc:
        return Failed(exc)
    except PipelineError as exc:
        return Failed(CrewLost(getpid(), f"could not begin: {exc}"))
    except Exception as exc:  # noqa: BLE001 - told without values, which may be secrets
        frame = traceback.extract_tb(exc.__traceback__)[-1]
        fate = f"met an internal error ({type(exc).__name__} at {frame.filename}:{frame.lineno} in {frame.name})"
        return Failed(CrewLost(getpid(), fate))
    return Done()


def carry_lanes(brief: Brief, tether: Tether, outside: Outside) -> None:
    """Carry lanes until the run has no more for this crew; raise what stops a crew."""
    course = FarCourse(outside.clock, tether.ask)
    tether.listen(course.hear)
    config = _config_as_told(brief, outside)
    job = config.jobs[brief.job]
    account = config.accounts[job.account]
    ledger = FarLedger(tether.ask, brief.workers)
    gate, watch = FarGate(course, tether.ask), FarWatch(course, tether.ask)
    with closing(QuotaStore(brief.quota)) as quotas:
        permits = permits_of(job, account, quotas, outside)
        writer = writer_of(
            job, account, ledger, permits, outside,
            course=course, gate=gate, watch=watch, workers=brief.workers,
        )  # fmt: skip
        log = _Log(ledger, permits, tether)
        # Few at a time, so that no crew is left with many when others have none.
        lanes = writer.handed_out(ledger.next_lanes)
        outside.engine.run(lanes, writer.carry, workers=brief.workers, tick=log.keep_up, give_up=course.give_up)
        log.keep_up()


def _config_as_told(brief: Brief, outside: Outside) -> Config:
    config = load(brief.config, environ=brief.environ, at=outside.clock.now(), only_job=brief.job)
    job = config.jobs[brief.job]
    if fingerprint(job, config.accounts[job.account]) != brief.fingerprint:
        raise SettingsError([f"{config.path} or a key it names changed while the run began"])
    return config


class _Log:
    """What a crew writes down several times a second, and reports."""

    def __init__(self, ledger: FarLedger, permits: Permits, tether: Tether) -> None:
        self._ledger = ledger
        self._permits = permits
        self._tether = tether
        self._throttled = 0

    def keep_up(self) -> None:
        """Put on disk what was settled, and give a sign of life."""
        self._ledger.flush()
        throttled = self._permits.throttled - self._throttled
        self._throttled += throttled
        self._tether.ask("report", throttled)
