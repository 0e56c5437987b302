"""Trying again: the same bytes, in the platform's own time, within its quota."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from pipeline.simulator import Api, Decision, InjectedFault, Kind
from pipeline.simulator.state.quota import peak
from tests.acceptance.night import JOBS, Night, balance, end_of, order, state, wait_until

APPLIED, REPEATED, THROTTLED = Decision.APPLIED, Decision.REPEATED, Decision.THROTTLED


def most_in_a_second(night: Night) -> int:
    """Return the most points requests in any second, as the platform counts."""
    return peak([entry.steady for entry in night.simulator.journal.entries if entry.api is Api.POINTS])


@pytest.mark.parametrize("job", ["orders", "states", "points"])
def test_a_lost_answer_is_asked_for_again_with_the_same_key_and_body(job: str, night: Night) -> None:
    """The second attempt is the first one again, under a fresh nonce, and is counted once."""
    night.export(f"{job}.csv", [{"orders": order(1), "states": state(1), "points": balance(1, 5)}[job]])
    night.simulator.set_faults([InjectedFault(Kind.LOSE_AFTER_APPLYING, times=1)])

    ended = night.backfill("run", job)

    first, second = night.simulator.journal.entries
    (outcome,) = night.outcomes()
    assert (ended.exit_code, outcome["status"], outcome["attempts"]) == (0, "succeeded", "2")
    assert (first.key, first.body_digest) == (second.key, second.body_digest)
    # A nonce used twice would be refused as a replay.
    assert [first.decision, second.decision] == [APPLIED, REPEATED]


def test_a_rerun_sends_the_same_bytes_also_after_the_mapping_changed(night: Night) -> None:
    """What was sent once stays as it was: neither a changed constant nor a changed file gets into a rerun."""
    night.export("orders.csv", [order(1)])
    night.simulator.set_faults([InjectedFault(Kind.LOSE_AFTER_APPLYING)])
    night.backfill("run", "orders")
    night.simulator.set_faults([])
    night.configure({"jobs.orders.constants": {"amount_name": "另一个"}})
    night.export("orders.csv", [order(1, trade_amount="99.00")])

    anew = (night.backfill("run", "orders").exit_code, night.fates())
    rerun = (night.backfill("rerun", night.reports()[0].name).exit_code, night.fates())

    assert (anew, rerun) == ((3, ["invalid key_conflict"]), (0, ["succeeded SUCCESS"]))
    assert len({entry.body_digest for entry in night.simulator.journal.entries}) == 1
    assert [entry.decision for entry in night.simulator.journal.entries] == [APPLIED, REPEATED, REPEATED]


@pytest.mark.parametrize("job", ["orders", "states", "points"])
def test_retry_after_is_obeyed_in_seconds(job: str, night: Night) -> None:
    """After a throttled answer nothing goes out before the time that the platform named."""
    rows = {"orders": order, "states": state}
    night.export(f"{job}.csv", [rows[job](n) if job in rows else balance(n, 5) for n in range(3)])
    night.simulator.set_faults([InjectedFault(Kind.THROTTLE, retry_after=1, first=1)])

    ended = night.backfill("run", job)

    first, *others = night.simulator.journal.entries
    assert (ended.exit_code, first.decision, night.summary()["quota"]["throttled"]) == (0, THROTTLED, 1)
    assert min(entry.steady for entry in others) - first.steady >= 1.0


def test_retry_after_is_obeyed_as_a_date(night: Night) -> None:
    """A date, which has no fractions of a second, is waited for."""
    night.export("orders.csv", [order(1), order(2)])
    until = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    night.simulator.set_faults([InjectedFault(Kind.THROTTLE, retry_after=format_datetime(until, usegmt=True), first=1)])

    ended = night.backfill("run", "orders")

    arrived = [entry.arrived_at for entry in night.simulator.journal.entries]
    assert (ended.exit_code, len(arrived)) == (0, 3)
    assert min(arrived[1:]) >= until - timedelta(milliseconds=50)


def test_a_throttled_answer_slows_the_whole_quota(night: Night) -> None:
    """After it the other cards' requests come at half the pace, not only the one that was throttled."""
    night.export("points.csv", [balance(card, 5) for card in range(7)])
    night.simulator.set_faults([InjectedFault(Kind.THROTTLE, key="*", first=1)])

    ended = night.backfill("run", "points")

    arrived = [entry.steady for entry in night.simulator.journal.entries][1:]
    assert (ended.exit_code, len(arrived)) == (0, 7)
    assert arrived[-1] - arrived[0] >= 2.0


def test_points_never_exceed_five_in_a_second_and_come_close_to_it(night: Night) -> None:
    """The platform counts five a second at most, throttles nobody, and twenty rows take about four seconds."""
    night.export("points.csv", [balance(card, 5) for card in range(20)])

    ended = night.backfill("run", "points")

    arrived = [entry.steady for entry in night.simulator.journal.entries]
    assert (ended.exit_code, len(arrived), night.summary()["quota"]["throttled"]) == (0, 20, 0)
    assert most_in_a_second(night) <= 5
    # 19 gaps of a fifth of a second are 3.8 s.
    assert arrived[-1] - arrived[0] <= 6.0


def test_two_processes_on_one_ledger_share_the_quota(night: Night) -> None:
    """Two jobs of one merchant, each in a process of its own, stay within five a second together."""
    points, constants = JOBS["jobs.points"], JOBS["jobs.points.constants"]
    night.configure({"jobs.more": {**points, "input": ["more.csv"]}, "jobs.more.constants": constants})
    night.export("points.csv", [balance(card, 5) for card in range(10)])
    night.export("more.csv", [balance(card, 5) for card in range(10, 20)])

    ended = [end_of(one) for one in [night.start("run", job, "--report", job) for job in ("points", "more")]]

    assert [one.exit_code for one in ended] == [0, 0]
    assert (len(night.requests()), most_in_a_second(night) <= 5) == (20, True)
    assert night.simulator.journal.decided(THROTTLED) == ()


def test_a_crash_and_restart_do_not_break_the_quota(night: Night) -> None:
    """A run killed in the middle and resumed at once stays within five a second, and each balance is applied once."""
    night.export("points.csv", [balance(card, 5) for card in range(12)])

    process = night.start("run", "points")
    wait_until(lambda: len(night.requests()) >= 5)
    process.kill()
    end_of(process)
    resumed = night.backfill("resume", "last")

    journal = night.simulator.journal
    assert (resumed.exit_code, night.fates()) == (0, ["succeeded SUCCESS"] * 12)
    assert (most_in_a_second(night) <= 5, journal.decided(THROTTLED), len(journal.applied_keys())) == (True, (), 12)


def test_requests_of_a_job_come_no_faster_than_its_rate(night: Night) -> None:
    """The rate of the config holds for Alipay, too."""
    night.configure({"jobs.orders": {"rate": 10}})
    night.export("orders.csv", [order(number) for number in range(16)])

    night.backfill("run", "orders")

    assert peak([entry.steady for entry in night.simulator.journal.entries]) <= 10
