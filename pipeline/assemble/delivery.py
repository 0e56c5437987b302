"""The second act: a run's lanes, carried by the threads of its engine."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.assemble.platform import holder_of
from pipeline.assemble.system import Outside
from pipeline.ledger.records import Due
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.store.quotas import QuotaStore
from pipeline.limits.permits import Permits
from pipeline.model import Wait
from pipeline.settings import Account, Job
from pipeline.write.brakes.circuit_breaker import CircuitBreaker
from pipeline.write.brakes.failure_streaks import Monotony, Suspicion
from pipeline.write.brakes.run_control import Course
from pipeline.write.brakes.verdict_watch import Watch
from pipeline.write.delivery import Means
from pipeline.write.keys import Keys
from pipeline.write.retry import RetryPolicy
from pipeline.write.writer import Writer


@dataclass(frozen=True, slots=True)
class Delivering:
    """The second act of a run: its writer, and the permits that this writer draws on."""

    permits: Permits
    breaker: CircuitBreaker
    writer: Writer
    outside: Outside
    course: Course
    workers: int

    def deliver(self, lanes: Iterator[list[Due]], *, tick: Callable[[], None]) -> None:
        """Carry all lanes; call `tick` a few times a second; raise the first exception once all is at rest."""
        queue = self.writer.handed_out(lanes, dues=self.workers)
        self.outside.engine.run(
            queue,
            queue.carry,
            workers=self.workers,
            tick=tick,
            give_up=self.course.give_up,
        )

    def throttled(self) -> int:
        """Return how many answers were throttled so far."""
        return self.permits.throttled

    def waiting(self) -> list[Wait]:
        """Return what all workers wait for now."""
        return self.permits.waiting() or self.breaker.waiting()


def delivering(
    job: Job, account: Account, *, held: RunLedger, quotas: QuotaStore, course: Course, outside: Outside
) -> Delivering:
    """Put together what carries the lanes of a run."""
    clock, chance = outside.clock, outside.chance
    permits = Permits(quotas, f"{job.api} {holder_of(account)}", limit=job.rate, clock=clock, boot=outside.boot)
    signer, transport = outside.signer_of(account, job.api), outside.transport_of(account, job)
    breaker = CircuitBreaker(clock, job.outage_limit_s)
    means = Means(
        api=job.api,
        signer=signer,
        transport=transport,
        quota=permits,
        course=course,
        breaker=breaker,
        watch=Watch(Suspicion(), Monotony()),
        keys=Keys(signer, transport, clock, chance),
        policy=RetryPolicy(job.max_attempts),
        clock=clock,
        chance=chance,
    )
    return Delivering(permits, breaker, Writer(means, held, job.concurrency), outside, course, job.concurrency)
