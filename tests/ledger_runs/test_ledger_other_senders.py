"""Balances that others send too: which are sent again, and under which keys."""

from datetime import timedelta

import pytest

from pipeline.ledger.dry_run import DryRun
from pipeline.ledger.ledger import Ledger
from pipeline.model import Export, Status
from pipeline.write.answers.verdict import Verdict
from tests.ledger_runs.job_runs import (
    DONE,
    LOST,
    REFUSED,
    SENT,
    SUPERSEDED,
    THROTTLED,
    UNCHANGED,
    JobRuns,
    NewJobRuns,
    Opens,
)
from tests.ledger_runs.staged_rows import balance
from tests.moved_clock import MovedClock

HOUR = 3600
NEVER = timedelta()
HALF_A_DAY = timedelta(hours=12)


@pytest.fixture
def points(new_job: NewJobRuns) -> JobRuns:
    """Return a job of balances that others send too; nothing stays unchanged."""
    job = new_job(Export.POINTS)
    job.unchanged_for = NEVER
    return job


def test_an_equal_balance_is_sent_each_night_under_a_key_of_its_own(points: JobRuns) -> None:
    """The platform would answer a used key from memory, and keep what others sent meanwhile."""
    for _night in range(6):
        points.run(balance("X", 5))

    assert points.keys_sent() == ["X=5@", "X=5@-2", "X=5@-3", "X=5@-4", "X=5@-5", "X=5@-6"]


@pytest.mark.parametrize(
    ("seconds", "row"),
    [
        pytest.param(0, ("X=5@", *UNCHANGED), id="at-once"),
        pytest.param(12 * HOUR - 1, ("X=5@", *UNCHANGED), id="just-before"),
        pytest.param(12 * HOUR, ("X=5@-2", *SENT), id="no-longer-less"),
        pytest.param(-HOUR, ("X=5@-2", *SENT), id="the-clock-was-set-back"),
    ],
)
def test_a_balance_is_unchanged_for_a_time(
    points: JobRuns, clock: MovedClock, seconds: int, row: tuple[str, Status, str]
) -> None:
    """A balance is unchanged if it was confirmed less than `unchanged_for` ago, by the clock."""
    points.unchanged_for = HALF_A_DAY
    points.run(balance("X", 5))
    clock.move(seconds)

    assert points.reported_rows(points.run(balance("X", 5))) == [row]


def test_a_skipped_balance_is_not_confirmed_anew(points: JobRuns, clock: MovedClock) -> None:
    """The time counts from the last request: a skip in between proves nothing."""
    points.unchanged_for = HALF_A_DAY
    points.run(balance("X", 5))
    for _time in range(2):
        clock.move(8 * HOUR)
        points.run(balance("X", 5))

    assert points.keys_sent() == ["X=5@", "X=5@-2"]


def test_a_balance_in_doubt_counts_from_its_first_request(points: JobRuns, clock: MovedClock) -> None:
    """The platform may have applied the first request, and answers the rerun from memory."""
    points.unchanged_for = HALF_A_DAY
    first = points.run(balance("X", 5), answers={"X=5@": LOST})
    clock.move(8 * HOUR)
    assert points.reported_rows(points.rerun(first)) == [("X=5@", *SENT)]

    clock.move(5 * HOUR)
    assert points.reported_rows(points.run(balance("X", 5))) == [("X=5@-2", *SENT)]


@pytest.mark.parametrize("first", [LOST, DONE, REFUSED, THROTTLED], ids=["in-doubt", "sent", "refused", "unsent"])
def test_a_key_that_was_sent_serves_no_later_export(points: JobRuns, first: Verdict) -> None:
    """Whatever the first answer was, the next export sends its balance under a new key."""
    points.run(balance("X", 5), answers={"X=5@": first})
    points.run(balance("X", 5))

    assert points.keys_sent() == ["X=5@", "X=5@-2"]


def test_a_key_that_an_earlier_run_may_still_send_serves_no_later_export(points: JobRuns) -> None:
    """A run that was cut off keeps its keys: a later run sends after it, in either order."""
    cut_off = points.run(balance("X", 5), most=0)
    later = points.run(balance("X", 5), most=0)
    points.resume(cut_off)

    assert points.reported_rows(points.resume(later)) == [("X=5@-2", *SENT)]
    assert points.keys_sent() == ["X=5@", "X=5@-2"]


def test_an_older_balance_is_still_superseded(points: JobRuns) -> None:
    """Others change nothing for the balances that this program sent: an older one stays behind."""
    points.run(balance("X", 5, version="2"))

    assert points.reported_rows(points.run(balance("X", 7, version="1"))) == [("X=7@1", *SUPERSEDED)]


def test_a_refusal_leaves_no_time_of_the_balance_before(points: JobRuns) -> None:
    """After a refused balance the one before counts as confirmed, but nobody knows since when."""
    points.unchanged_for = HALF_A_DAY
    points.run(balance("X", 5))
    points.run(balance("X", 7), answers={"X=7@": REFUSED})

    assert points.reported_rows(points.run(balance("X", 5))) == [("X=5@-2", *SENT)]


def test_a_job_without_other_senders_trusts_what_was_confirmed(points: JobRuns, clock: MovedClock) -> None:
    """The setting counts for the run that stages: without it an old confirmation holds."""
    points.run(balance("X", 5))
    points.unchanged_for = None
    clock.move(1000 * HOUR)

    assert points.reported_rows(points.run(balance("X", 5))) == [("X=5@", *UNCHANGED)]


def test_a_confirmation_of_an_older_ledger_is_not_trusted(points: JobRuns, opens: Opens) -> None:
    """A ledger of an earlier version has no times, and an unknown time proves nothing."""
    points.unchanged_for = HALF_A_DAY
    points.run(balance("X", 5))
    ledger = opens()
    ledger._file.writer.execute("UPDATE cards SET sent_at = NULL")

    assert points.reported_rows(points.run(balance("X", 5))) == [("X=5@-2", *SENT)]


@pytest.mark.parametrize(("hours", "to_send"), [(11, 0), (12, 1)])
def test_a_plan_decides_as_a_run_does(
    points: JobRuns, clock: MovedClock, opens: Opens, hours: int, to_send: int
) -> None:
    """A plan trusts a confirmed balance as long as a run would."""
    points.unchanged_for = HALF_A_DAY
    points.run(balance("X", 5))
    clock.move(hours * HOUR)
    ledger: Ledger = opens()
    with DryRun(ledger.place, points.new(), points.owner, ledger._file.scratch, clock=clock) as dry_run:
        points.stage(dry_run, [balance("X", 5)])

        assert dry_run.result.to_send == to_send
