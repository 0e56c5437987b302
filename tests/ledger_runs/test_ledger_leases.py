"""Who holds a job: one run at a time. A dead process does not block, and a late one writes nothing."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

import pytest

from pipeline.errors import LedgerError, RunHeld, SettingsError
from pipeline.ledger.records import RunRecord, RunState
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.staging.rerun import Rewrites, Selection
from pipeline.ledger.store.lease import LEASE_SECONDS, LeaseOwner
from pipeline.model import Export
from tests.ledger_runs.job_runs import ALIVE, GONE, ME, OPEN, JobRuns, NewJobRuns, NewLedger, Opens, conclude, in_a_file
from tests.ledger_runs.staged_rows import order
from tests.moved_clock import MovedClock

NO_PROGRESS = {"throttled": 0.0, "elapsed_s": 0.0, "sending_s": 0.0}


def test_a_job_is_held_by_one_run(new_job: NewJobRuns, opens: Opens) -> None:
    """A second run of a job is refused while the first one lives. The error names the first one."""
    orders = new_job()
    held = orders.begin(opens(ALIVE))

    with pytest.raises(RunHeld) as refused:
        orders.begin(opens(ALIVE))

    assert str(refused.value) == (
        f"job orders is held by run {held.run.run_id} (process {os.getpid()} on {ALIVE.host}); nothing was done: "
        "wait for it, or end that process"
    )
    assert opens(ALIVE).is_live(held.run)
    assert new_job(job="other").begin(opens(ALIVE)).run.job == "other"


def test_a_held_run_is_not_resumed(new_job: NewJobRuns, opens: Opens) -> None:
    """A run that is under way is not resumed by another process."""
    orders = new_job()
    held = orders.begin(opens(ALIVE))

    with pytest.raises(RunHeld):
        opens(ALIVE).resume(held.run, ME)


def test_a_refused_run_leaves_no_trace(new_job: NewJobRuns, opens: Opens) -> None:
    """A run that did not get its job is not in the ledger."""
    orders = new_job()
    held = orders.begin(opens(ALIVE))
    with pytest.raises(RunHeld):
        orders.begin(opens(ALIVE))

    assert opens().recent(9) == [held.run]


@pytest.mark.parametrize(
    "owner",
    [
        pytest.param(replace(ALIVE, pid=GONE), id="its-process-is-gone"),
        pytest.param(replace(ALIVE, began="0"), id="its-number-is-another-process-now"),
    ],
)
def test_a_dead_process_does_not_block_its_job(new_job: NewJobRuns, opens: Opens, owner: LeaseOwner) -> None:
    """A job is free at once if its process on this machine is dead."""
    orders = new_job()
    dead = orders.begin(opens(owner))

    assert not opens(ALIVE).is_live(dead.run)
    assert orders.begin(opens(ALIVE)).run.run_no == 2


@in_a_file
@pytest.mark.parametrize(
    "unseen",
    [
        pytest.param({"host": "far"}, id="of-another-machine"),
        pytest.param({"boot": "another"}, id="of-another-machine-with-this-name"),
        pytest.param({"namespace": "another"}, id="in-another-container-with-this-name"),
    ],
)
def test_a_process_that_cannot_be_seen_blocks_until_its_lease_ends(
    new_job: NewJobRuns, opens: Opens, clock: MovedClock, unseen: Mapping[str, str]
) -> None:
    """A process of another host or namespace counts as alive. The refusal says when its lease ends."""
    orders = new_job()
    far = orders.begin(opens(replace(ALIVE, pid=GONE, **unseen)))
    clock.move(LEASE_SECONDS - 1)
    with pytest.raises(RunHeld, match=r"if it is dead, the job is free at 12:00:30 UTC$"):
        orders.begin(opens(ALIVE))
    assert opens(ALIVE).is_live(far.run)

    clock.move(2)

    assert not opens(ALIVE).is_live(far.run)
    assert orders.begin(opens(ALIVE)).run.run_no == 2


def test_a_run_that_renews_its_lease_keeps_its_job(new_job: NewJobRuns, opens: Opens, clock: MovedClock) -> None:
    """A run holds its job for as long as it takes."""
    orders = new_job()
    held = orders.begin(opens(replace(ALIVE, host="far")))
    for _ in range(5):
        clock.move(LEASE_SECONDS - 1)
        held.heartbeat()

    with pytest.raises(RunHeld):
        orders.begin(opens(ALIVE))


class HeldUp(MovedClock):
    """A clock whose process is held up right after reading it."""

    seconds = 0.0

    def now(self) -> datetime:
        seen = super().now()
        self.move(self.seconds)
        return seen


@in_a_file
def test_a_lease_starts_when_its_renewal_began(new_ledger: NewLedger) -> None:
    """A run that was held up while renewing its lease checks again before it sends."""
    clock = HeldUp()
    with new_ledger(clock) as opens:
        jobs = JobRuns(opens, clock=clock)
        held = jobs.begin(opens(replace(ALIVE, host="far")))
        clock.move(LEASE_SECONDS / 2)
        clock.seconds = 2 * LEASE_SECONDS
        held.heartbeat()
        clock.seconds = 0.0
        jobs.begin(opens(ALIVE))

        with pytest.raises(LedgerError):
            held.keep_job()


def test_an_expired_lease_is_renewed_if_nobody_took_the_job(
    new_job: NewJobRuns, opens: Opens, clock: MovedClock
) -> None:
    """A run that was held up longer than its lease goes on if it still has its job."""
    orders = new_job()
    held = orders.begin(opens(replace(ALIVE, host="far")))
    clock.move(LEASE_SECONDS + 1)
    held.heartbeat()

    with pytest.raises(RunHeld):
        orders.begin(opens(ALIVE))


def _conclude(held: RunLedger) -> None:
    held.conclude(state=RunState.COMPLETED, reason=None, finished_at="", open_as=("", ""), progress=NO_PROGRESS)


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda held, _parent: held.unstage(), id="forgetting-what-was-staged"),
        pytest.param(lambda held, _parent: held.start_delivering(lambda body, _key: body), id="deciding"),
        pytest.param(
            lambda held, parent: held.copy_from(
                parent, Selection(OPEN), Rewrites(lambda body, _key: body, lambda body, _key: body)
            ),
            id="copying",
        ),
        pytest.param(lambda held, _parent: _conclude(held), id="concluding"),
    ],
)
def test_work_that_outlasts_the_lease_keeps_the_job(
    new_job: NewJobRuns, opens: Opens, clock: MovedClock, work: Callable[[RunLedger, RunRecord], object]
) -> None:
    """Nobody can take the job during a long transaction, and the lease is fresh after it."""
    orders = new_job()
    parent = orders.run(order("A"), most=0)
    held = orders.begin(opens(replace(ALIVE, host="far")))
    clock.move(LEASE_SECONDS + 1)
    work(held, parent)

    clock.move(LEASE_SECONDS - 1)
    with pytest.raises(RunHeld):
        orders.begin(opens(ALIVE))


def test_a_run_that_ends_releases_its_job(new_job: NewJobRuns, opens: Opens) -> None:
    """A released job is free, also while its process lives."""
    orders = new_job()
    held = orders.begin(opens(ALIVE))
    held.release()

    assert not opens(ALIVE).is_live(held.run)
    assert orders.begin(opens(ALIVE)).run.run_no == 2


@in_a_file
def test_a_late_run_writes_nothing(new_job: NewJobRuns, opens: Opens, clock: MovedClock) -> None:
    """A run that was held up until another took its job cannot write at all."""
    orders = new_job()
    late = orders.begin(opens(replace(ALIVE, host="far")))
    orders.stage(late, [order("A")])
    ((due,),) = late.lanes()
    clock.move(LEASE_SECONDS + 1)
    now = orders.begin(opens(ALIVE))

    for write in (
        lambda: late.intend([due]),
        late.heartbeat,
        late.keep_job,
        lambda: late.conclude(state=RunState.COMPLETED, reason=None, finished_at="", open_as=("", ""), progress={}),
        lambda: late.finish(0),
        late.release,
    ):
        with pytest.raises(LedgerError, match="job orders was taken over by another run"):
            write()
    with pytest.raises(RunHeld):
        orders.begin(opens(ALIVE))
    assert conclude(now, RunState.COMPLETED).state is RunState.COMPLETED


def test_an_account_name_does_not_change_its_merchant(new_job: NewJobRuns, opens: Opens) -> None:
    """An account of the config that names another merchant than before is refused."""
    new_job().run(order("A"))

    with pytest.raises(
        LedgerError, match="the ledger keeps account zhima as Alipay app 2021000000000001, the config"
    ) as e:
        new_job(owner="Alipay app 9").run(order("A"))

    assert e.value.users_fault
    assert len(opens().recent(9)) == 1
    assert new_job().begin().run.run_no == 2


def test_a_resync_is_refused_while_another_job_runs(new_job: NewJobRuns, opens: Opens) -> None:
    """A run that is alive relies on decisions of before, so the ledger is not resynced."""
    orders, points = new_job(), new_job(Export.POINTS, job="points")
    held = orders.begin(opens(ALIVE))

    with pytest.raises(RunHeld, match=rf"^job orders is held by run {held.run.run_id} \(process {os.getpid()} on "):
        opens(ALIVE).begin(points.new(), ME, resync=True)
    assert opens().recent(9) == [held.run]


@in_a_file
def test_a_run_that_wakes_after_a_resync_writes_nothing(new_job: NewJobRuns, opens: Opens, clock: MovedClock) -> None:
    """A run of another job that was held up longer than its lease does not go on in the new generation."""
    orders, points = new_job(), new_job(Export.POINTS, job="points")
    late = orders.begin(opens(replace(ALIVE, host="far")))
    clock.move(LEASE_SECONDS + 1)
    opens(ALIVE).begin(points.new(), ME, resync=True)

    with pytest.raises(LedgerError, match="job orders was taken over by another run"):
        late.heartbeat()


@pytest.mark.parametrize("export", [Export.POINTS, Export.STATES])
def test_a_run_from_before_a_resync_is_not_continued(new_job: NewJobRuns, opens: Opens, export: Export) -> None:
    """Its balances or states may be older than those of the platform. A run of orders is continued."""
    job, orders = new_job(export, job="job"), new_job()
    left, order_left = job.begin().run, orders.begin().run
    opens().begin(job.new(), ME, resync=True).release()

    with pytest.raises(SettingsError, match=rf"^RUN {left.run_id} began before a `--resync`"):
        opens().resume(left, ME)
    with pytest.raises(SettingsError, match=rf"^RUN {left.run_id} began before a `--resync`"):
        opens().begin(job.new(left.run_id), ME, copied=left)
    assert opens().resume(order_left, ME).run == order_left
