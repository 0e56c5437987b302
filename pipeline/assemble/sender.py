"""The sender of a run, built from its job and account."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pipeline.assemble.platform import merchant_of
from pipeline.assemble.system import System
from pipeline.ledger.records import Due
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.store.quotas import QuotaStore
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

    def waiting(self) -> list[Wait]:
        """Return the waits that hold up all workers now."""
        return self.permits.waiting() or self.breaker.waiting()


def sender_of(
    job: Job, account: Account, ledger: RunLedger, quotas: QuotaStore, control: RunControl, system: System
) -> ThreadedSender:
    """Return the sender of a run."""
    clock, chance = system.clock, system.chance
    permits = Permits(quotas, f"{job.api} {merchant_of(account)}", limit=job.limit_per_s, clock=clock, boot=system.boot)
    signer, transport = system.signer_of(account, job.api), system.transport_of(account, job)
    breaker = CircuitBreaker(clock, job.outage_limit_s)
    services = Services(
        api=job.api,
        signer=signer,
        transport=transport,
        quota=permits,
        control=control,
        breaker=breaker,
        streaks=FailureStreaks(),
        keys=Keys(signer, transport, clock, chance),
        policy=RetryPolicy(job.max_attempts),
        clock=clock,
        chance=chance,
    )
    return ThreadedSender(
        permits=permits,
        breaker=breaker,
        writer=Writer(services, ledger, job.concurrency),
        engine=system.engine,
        control=control,
        workers=job.concurrency,
    )
