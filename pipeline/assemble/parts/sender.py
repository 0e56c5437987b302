"""The sender of a run, built from its job and account."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pipeline.assemble.parts.platform import brand_of, merchant_of
from pipeline.assemble.parts.system import System
from pipeline.ledger.records import Due
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.store.port import Quotas
from pipeline.limits.permits import Permits
from pipeline.model import Wait
from pipeline.run.ports import Engine
from pipeline.settings import Account, Job
from pipeline.write.brakes.circuit_breaker import CircuitBreaker
from pipeline.write.brakes.failure_streaks import FailureStreaks
from pipeline.write.brakes.run_control import RunControl
from pipeline.write.delivery import Services
from pipeline.write.keys import Keys
from pipeline.write.retry import RetryPolicy
from pipeline.write.writer import Writer


@dataclass(frozen=True, slots=True)
class ThreadedSender:
    """Delivers the lanes of a run on the threads of its engine."""

    permits: Permits
    breaker: CircuitBreaker
    keys: Keys
    writer: Writer
    engine: Engine
    control: RunControl
    workers: int

    def deliver(self, lanes: Iterator[Iterable[Due]], *, tick: Callable[[], None]) -> None:
        """Deliver all lanes; call `tick` a few times per second; raise the first error once all workers are idle."""
        queue = self.writer.lane_queue(lanes, dues=self.workers)
        self.engine.run(queue, queue.deliver, workers=self.workers, tick=tick, give_up=self.control.give_up)

    def throttled(self) -> int:
        """Return the number of throttled answers."""
        return self.permits.throttled

    def notes(self) -> list[str]:
        """Return what a person should do about the platform's keys."""
        return self.keys.notes()

    def waiting(self) -> list[Wait]:
        """Return the waits that hold up all workers now."""
        return self.permits.waiting() or self.breaker.waiting()


def sender_of(
    job: Job, account: Account, ledger: RunLedger, quotas: Quotas, control: RunControl, system: System
) -> ThreadedSender:
    """Return the sender of a run."""
    permits = permits_of(job, account, quotas, system)
    services = services_of(job, account, permits, control, system)
    return ThreadedSender(
        permits=permits,
        breaker=services.breaker,
        keys=services.keys,
        writer=Writer(services, ledger, job.concurrency),
        engine=system.engine,
        control=control,
        workers=job.concurrency,
    )


def permits_of(job: Job, account: Account, quotas: Quotas, system: System) -> Permits:
    """Return the permits of the quota that all requests of an account share."""
    name = f"{job.api} {merchant_of(account)}"
    return Permits(quotas, name, limit=job.limit_per_s, clock=system.clock, boot=system.boot)


def services_of(job: Job, account: Account, permits: Permits, control: RunControl, system: System) -> Services:
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
        streaks=FailureStreaks(),
        keys=Keys(signer, transport, clock, chance),
        policy=RetryPolicy(job.max_attempts),
        clock=clock,
        chance=chance,
        brand_id=brand_of(account),
    )
