"""The second act, here in threads or spread over processes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from pipeline.assemble.carrying import permits_of, writer_of
from pipeline.assemble.crew import Brief
from pipeline.assemble.fingerprint import fingerprint
from pipeline.assemble.outside import Outside
from pipeline.engines.one_core import Seat
from pipeline.engines.processes import ProcessEngine
from pipeline.ledger.quotas import QuotaStore, quota_path
from pipeline.ledger.records import Due
from pipeline.ledger.run_ledger import RunLedger
from pipeline.settings import Account, Job
from pipeline.write.bridge import Bridge
from pipeline.write.course import Course
from pipeline.write.gate import Gate
from pipeline.write.suspicion import Monotony, Suspicion
from pipeline.write.watch import Watch


@dataclass(frozen=True, slots=True)
class Parts:
    """What lanes are carried for and with, however many processes carry them."""

    job: Job
    account: Account
    held: RunLedger
    course: Course
    outside: Outside

    def gate(self) -> Gate:
        """Return the one gate of a run."""
        return Gate(self.outside.clock, self.job.outage_limit_s)


class Delivering(Protocol):
    """The second act of a run."""

    def deliver(self, lanes: Iterator[list[Due]], *, tick: Callable[[], None]) -> None:
        """Carry all lanes; call `tick` a few times a second; raise the first exception once all is at rest."""
        ...

    def throttled(self) -> int:
        """Return how many answers were throttled so far."""
        ...


class Here:
    """All lanes are carried in this process, by the threads of its engine."""

    def __init__(self, parts: Parts, quotas: QuotaStore) -> None:
        self._parts = parts
        job, account, outside = parts.job, parts.account, parts.outside
        self._permits = permits_of(job, account, quotas, outside)
        self._writer = writer_of(
            job, account, parts.held, self._permits, outside,
            course=parts.course, gate=parts.gate(), watch=Watch(Suspicion(), Monotony()), workers=job.concurrency,
        )  # fmt: skip

    def deliver(self, lanes: Iterator[list[Due]], *, tick: Callable[[], None]) -> None:
        """Carry all lanes; see `Delivering`."""
        course, workers = self._parts.course, self._parts.job.concurrency
        ahead = self._writer.handed_out(partial(self._writer.next_lanes, lanes, workers))
        self._parts.outside.engine.run(ahead, self._writer.carry, workers=workers, tick=tick, give_up=course.give_up)

    def throttled(self) -> int:
        """Return how many answers were throttled so far."""
        return self._permits.throttled


class Spread:
    """Lanes are carried by crews, as many as there are to be processes, which share the job's concurrency."""

    def __init__(self, parts: Parts, config: Path, processes: int) -> None:
        self._parts = parts
        self._config = config
        self._processes = min(processes, parts.job.concurrency)
        self._bridge: Bridge | None = None

    def deliver(self, lanes: Iterator[list[Due]], *, tick: Callable[[], None]) -> None:
        """Carry all lanes; see `Delivering`."""
        parts = self._parts
        watch = Watch(Suspicion(), Monotony())
        self._bridge = Bridge(parts.held, lanes, course=parts.course, gate=parts.gate(), watch=watch)
        engine = ProcessEngine(parts.outside.start_crew)
        engine.run(self._briefs(), self._bridge, tick=tick, give_up=parts.course.give_up)

    def throttled(self) -> int:
        """Return how many answers were throttled so far."""
        return self._bridge.throttled if self._bridge else 0

    def _briefs(self) -> list[Brief]:
        parts = self._parts
        known, quota = fingerprint(parts.job, parts.account), quota_path(parts.held.path)
        return [
            Brief(self._config, parts.outside.environ, known, quota, parts.job.name, workers, Seat(n, self._processes))
            for n, workers in enumerate(shares(parts.job.concurrency, self._processes))
        ]


def shares(number: int, among: int) -> list[int]:
    """Return a number as the sum of so many shares, as even as can be."""
    return [number // among + (share < number % among) for share in range(among)]
