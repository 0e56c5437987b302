"""Who holds a job: one run at a time, a dead holder does not block, and a late one writes nothing."""

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
from tests.contract.nights import ALIVE, GONE, ME, OPEN, MakeNights, NewLedger, Nights, Opens, conclude
from tests.contract.staged_rows import order
from tests.moved_clock import MovedClock

NO_PROGRESS = {"throttled": 0.0, "elapsed_s": 0.0, "sending_s": 0.0}


def test_a_job_is_held_by_one_run(nights: MakeNights, opens: Opens) -> None:
    """A second run of a job is refused while the first one lives, and is told who holds the job."""
    orders = nights()
    held = orders.begin(opens(ALIVE))

    with pytest.raises(RunHeld) as refused:
        orders.begin(opens(ALIVE))

    assert str(refused.value) == (
        f"job orders is held by run {held.run.run_id} (process {os.getpid()} on {ALIVE.host}); nothing was done: "
        "wait for it, or end that process"
    )
    assert opens(ALIVE).is_live(held.run)
    assert nights(job="other").begin(opens(ALIVE)).run.job == "other"


def test_a_held_run_is_not_resumed(nights: MakeNights, opens: Opens) -> None:
    """A run that is under way is not taken up by another process."""
    orders = nights()
    held = orders.begin(opens(ALIVE))

    with pytest.raises(RunHeld):
        opens(ALIVE).take_up(held.run, ME)


def test_a_refused_run_leaves_no_trace(nights: MakeNights, opens: Opens) -> None:
    """A run that did not get its job is not in the ledger."""
    orders = nights()
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
def test_a_dead_holder_does_not_block(nights: MakeNights, opens: Opens, owner: LeaseOwner) -> None:
    """A job whose holder on this machine surely runs no more is free at once."""
    orders = nights()
    dead = orders.begin(opens(owner))

    assert not opens(ALIVE).is_live(dead.run)
    assert orders.begin(opens(ALIVE)).run.run_no == 2


@pytest.mark.parametrize(
    "unseen",
    [
        pytest.param({"host": "far"}, id="of-another-machine"),
        pytest.param({"boot": "another"}, id="of-another-machine-with-this-name"),
        pytest.param({"namespace": "another"}, id="in-another-container-with-this-name"),
    ],
)
def test_a_holder_that_can_not_be_seen_blocks_until_its_lease_ends(
    nights: MakeNights, opens: Opens, clock: MovedClock, unseen: Mapping[str, str]
) -> None:
    """That a process can't be seen from here is no proof of its death: the refusal says when the job is free."""
    orders = nights()
    far = orders.begin(opens(replace(ALIVE, pid=GONE, **unseen)))
    clock.move(LEASE_SECONDS - 1)
    with pytest.raises(RunHeld, match=r"if it is dead, the job is free at 12:00:30 UTC$"):
        orders.begin(opens(ALIVE))
    assert opens(ALIVE).is_live(far.run)

    clock.move(2)

    assert not opens(ALIVE).is_live(far.run)
    assert orders.begin(opens(ALIVE)).run.run_no == 2


def test_a_run_that_keeps_up_keeps_its_job(nights: MakeNights, opens: Opens, clock: MovedClock) -> None:
    """A run that goes on holds its job for as long as it takes."""
    orders = nights()
    held = orders.begin(opens(replace(ALIVE, host="far")))
    for _ in range(5):
        clock.move(LEASE_SECONDS - 1)
        held.keep_up()

    with pytest.raises(RunHeld):
        orders.begin(opens(ALIVE))


class HeldUp(MovedClock):
    """The clock of a process that is held up right after it has looked at it."""

    seconds = 0.0

    def now(self) -> datetime:
        seen = super().now()
        self.move(self.seconds)
        return seen


def test_a_lease_is_good_from_before_it_was_renewed(new_ledger: NewLedger) -> None:
    """A run that was held up while it renewed its lease looks again before it sends: another may have the job."""
    clock = HeldUp()
    with new_ledger(clock) as opens:
        nights = Nights(opens, clock=clock)
        held = nights.begin(opens(replace(ALIVE, host="far")))
        clock.move(LEASE_SECONDS / 2)
        clock.seconds = 2 * LEASE_SECONDS
        held.keep_up()
        clock.seconds = 0.0
        nights.begin(opens(ALIVE))

        with pytest.raises(LedgerError):
            held.keep_job()


def test_a_lease_that_ran_out_is_renewed_where_nobody_took_the_job(
    nights: MakeNights, opens: Opens, clock: MovedClock
) -> None:
    """A run that was held up for longer than its lease goes on if it finds the job as it left it."""
    orders = nights()
    held = orders.begin(opens(replace(ALIVE, host="far")))
    clock.move(LEASE_SECONDS + 1)
    held.keep_up()

    with pytest.raises(RunHeld):
        orders.begin(opens(ALIVE))


def _conclude(held: RunLedger) -> None:
    held.conclude(state=RunState.COMPLETED, reason=None, finished_at="", open_as=("", ""), progress=NO_PROGRESS)


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda held, _parent: held.unstage(), id="forgetting-what-was-staged"),
        pytest.param(lambda held, _parent: held.start_delivering(lambda body, _key: body), id="sifting"),
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
    nights: MakeNights, opens: Opens, clock: MovedClock, work: Callable[[RunLedger, RunRecord], object]
) -> None:
    """While a run is at work on all its rows at once nobody can take its job, and then its lease is fresh."""
    orders = nights()
    parent = orders.night(order("A"), most=0)
    held = orders.begin(opens(replace(ALIVE, host="far")))
    clock.move(LEASE_SECONDS + 1)
    work(held, parent)

    clock.move(LEASE_SECONDS - 1)
    with pytest.raises(RunHeld):
        orders.begin(opens(ALIVE))


def test_a_run_that_ends_gives_its_job_back(nights: MakeNights, opens: Opens) -> None:
    """A released job is free, also while the process that held it lives on."""
    orders = nights()
    held = orders.begin(opens(ALIVE))
    held.release()

    assert not opens(ALIVE).is_live(held.run)
    assert orders.begin(opens(ALIVE)).run.run_no == 2


def test_a_late_run_writes_nothing(nights: MakeNights, opens: Opens, clock: MovedClock) -> None:
    """A run that was held up until another took its job can neither intend nor settle nor conclude."""
    orders = nights()
    late = orders.begin(opens(replace(ALIVE, host="far")))
    orders.stage(late, [order("A")])
    ((due,),) = late.lanes()
    clock.move(LEASE_SECONDS + 1)
    now = orders.begin(opens(ALIVE))

    for write in (
        lambda: late.intend([due]),
        late.keep_up,
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


def test_an_account_name_does_not_change_its_owner(nights: MakeNights, opens: Opens) -> None:
    """What was delivered for one account says nothing of another that the config calls by the same name."""
    nights().night(order("A"))

    with pytest.raises(
        LedgerError, match="the ledger keeps account zhima as Alipay app 2021000000000001, the config"
    ) as e:
        nights(owner="Alipay app 9").night(order("A"))

    assert e.value.users_fault
    assert len(opens().recent(9)) == 1
    assert nights().begin().run.run_no == 2


def test_a_resync_waits_for_the_runs_of_other_jobs(nights: MakeNights, opens: Opens) -> None:
    """A run that is alive sends what was decided before: while there is one the ledger is not resynced."""
    orders, points = nights(), nights(Export.POINTS, job="points")
    held = orders.begin(opens(ALIVE))

    with pytest.raises(RunHeld, match=rf"^job orders is held by run {held.run.run_id} \(process {os.getpid()} on "):
        opens(ALIVE).begin(points.new(), ME, resync=True)
    assert opens().recent(9) == [held.run]


def test_a_run_that_wakes_after_a_resync_writes_nothing(nights: MakeNights, opens: Opens, clock: MovedClock) -> None:
    """A run of another job that was held up for longer than its lease does not go on in the new generation."""
    orders, points = nights(), nights(Export.POINTS, job="points")
    late = orders.begin(opens(replace(ALIVE, host="far")))
    clock.move(LEASE_SECONDS + 1)
    opens(ALIVE).begin(points.new(), ME, resync=True)

    with pytest.raises(LedgerError, match="job orders was taken over by another run"):
        late.keep_up()


@pytest.mark.parametrize("export", [Export.POINTS, Export.STATES])
def test_a_run_of_before_a_resync_is_not_gone_on_with(nights: MakeNights, opens: Opens, export: Export) -> None:
    """What it left may be older than what the platform holds; a run of orders is gone on with."""
    job, orders = nights(export, job="job"), nights()
    left, order_left = job.begin().run, orders.begin().run
    opens().begin(job.new(), ME, resync=True).release()

    with pytest.raises(SettingsError, match=rf"^RUN {left.run_id} began before a `--resync`"):
        opens().take_up(left, ME)
    with pytest.raises(SettingsError, match=rf"^RUN {left.run_id} began before a `--resync`"):
        opens().begin(job.new(left.run_id), ME, copied=left)
    assert opens().take_up(order_left, ME).run == order_left
