"""The threads that send for a run, built from its job and account."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pipeline.assemble.parts.platform import brand_of, merchant_of
from pipeline.assemble.parts.system import System
from pipeline.ledger.records import Due
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.store.port import Quotas
from pipeline.limits.permits import Permits
from pipeline.model import LaneOrder, Wait
from pipeline.run.ports import Engine
from pipeline.settings import Account, Job
from pipeline.write.brakes.circuit_breaker import CircuitBreaker
from pipeline.write.brakes.failure_streaks import FailureStreaks
from pipeline.write.brakes.run_control import RunControl
from pipeline.write.delivery import Services
from pipeline.write.keys import Keys
from pipeline.write.retry import RetryPolicy
from pipeline.write.writer import Deliveries, Writer


@dataclass(frozen=True, slots=True)
class ThreadedSender:
    """Delivers lanes on the threads of its engine."""

    permits: Permits
    services: Services
    engine: Engine
    workers: int

    @property
    def control(self) -> RunControl:
        """Whether the run continues or drains."""
        return self.services.control

    def deliver(self, ledger: Deliveries, lanes: Iterator[Iterable[Due]], *, tick: Callable[[], None]) -> None:
        """Deliver all lanes; call `tick` a few times per second; raise the first error once all workers are idle."""
        queue = Writer(self.services, ledger, self.workers).lane_queue(lanes, dues=self.workers)
        self.engine.run(queue, queue.deliver, workers=self.workers, tick=tick, give_up=self.control.give_up)

    def notes(self) -> list[str]:
        """Return what a person should do about the platform's keys."""
        return self.services.keys.notes()

    def waiting(self) -> list[Wait]:
        """Return the waits that hold up all workers now."""
        return self.permits.waiting() or self.services.breaker.waiting()


@dataclass(frozen=True, slots=True)
class SingleSender:
    """The only sender of a run: it has the lease of the job."""

    threads: ThreadedSender
    ledger: RunLedger

    def deliver(self, order: LaneOrder, rows: int | None, *, tick: Callable[[], None]) -> None:
        """Deliver the open dues of the run."""
        self.threads.deliver(self.ledger, self.ledger.lanes(order, rows), tick=tick)

    def throttled(self) -> int:
        """Return the number of throttled answers."""
        return self.threads.permits.throttled

    def notes(self) -> list[str]:
        """Return what a person should do about the platform's keys."""
        return self.threads.notes()

    def waiting(self) -> list[Wait]:
        """Return the waits that hold up all workers now."""
        return self.threads.waiting()


def threads_of(
    job: Job, account: Account, permits: Permits, control: RunControl, system: System, streaks: FailureStreaks
) -> ThreadedSender:
    """Return the threads that send for a job."""
    return ThreadedSender(
        permits=permits,
        services=services_of(job, account, permits, control, system, streaks),
        engine=system.engine,
        workers=job.concurrency,
    )


def permits_of(job: Job, account: Account, quotas: Quotas, system: System, limit_per_s: float | None = None) -> Permits:
    """Return the permits of the quota that all requests of an account share; the default limit is that of the job."""
    name = f"{job.api} {merchant_of(account)}"
    limit, process = limit_per_s or job.limit_per_s, system.chance.getrandbits(32)
    return Permits(quotas, name, limit, system.clock, system.boot, process)


def services_of(
    job: Job,
    account: Account,
    permits: Permits,
    control: RunControl,
    system: System,
    streaks: FailureStreaks | None = None,
) -> Services:
    """Return the services that all requests of a run share."""
    clock, chance = system.clock, system.chance
    signer, transport = system.signer_of(account, job.api), system.transport_of(account, job)
    return Services(
        api=job.api,
        signer=signer,
        transport=transport,
        quota=permits,
        control=control,
        breaker=CircuitBreaker(clock, job.outage_limit_s),
        streaks=streaks or FailureStreaks(),
        keys=Keys(signer, transport, clock, chance),
        policy=RetryPolicy(job.max_attempts),
        clock=clock,
        chance=chance,
        brand_id=brand_of(account),
    )
