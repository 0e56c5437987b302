"""What lanes are carried with: the writer of one process, put together."""

from pipeline.assemble.outside import Outside
from pipeline.assemble.platform import holder_of
from pipeline.ledger.quotas import QuotaStore
from pipeline.limits.permits import Permits
from pipeline.settings import Account, Job
from pipeline.write.course import Course
from pipeline.write.delivery import Lookout, Means, Passage
from pipeline.write.keys import Keys
from pipeline.write.retry import RetryPolicy
from pipeline.write.writer import Deliveries, Writer


def permits_of(job: Job, account: Account, quotas: QuotaStore, outside: Outside) -> Permits:
    """Return the quota of a job's API and account, shared by all who draw on it through this ledger."""
    return Permits(quotas, f"{job.api} {holder_of(account)}", job.rate, outside.clock, outside.boot)


def writer_of(
    job: Job,
    account: Account,
    ledger: Deliveries,
    permits: Permits,
    outside: Outside,
    *,
    course: Course,
    gate: Passage,
    watch: Lookout,
    workers: int,
) -> Writer:
    """Return what so many workers carry a job's lanes with."""
    signer = outside.signer_of(account, job.api)
    transport = outside.transport_of(account, job)
    means = Means(
        api=job.api,
        signer=signer,
        transport=transport,
        quota=permits,
        course=course,
        gate=gate,
        watch=watch,
        keys=Keys(signer, transport, outside.clock, outside.chance),
        policy=RetryPolicy(job.max_attempts),
        clock=outside.clock,
        chance=outside.chance,
    )
    return Writer(means, ledger, workers)
