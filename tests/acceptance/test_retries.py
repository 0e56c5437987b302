"""Retries: the same bytes, at the platform's time, within its quota."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from pipeline.simulator import Api, Decision, FaultKind, InjectedFault
from pipeline.simulator.state.quota import peak
from tests.acceptance.workspace import JOBS, Workspace, balance, end_of, order, state, wait_until

APPLIED, REPEATED, THROTTLED = Decision.APPLIED, Decision.REPEATED, Decision.THROTTLED


def most_in_a_second(workspace: Workspace) -> int:
    """Return the most points requests in any second, as counted by the platform."""
    return peak([entry.steady for entry in workspace.simulator.journal.entries if entry.api is Api.POINTS])


@pytest.mark.parametrize("job", ["orders", "states", "points"])
def test_a_lost_answer_is_retried_with_the_same_key_and_body(job: str, workspace: Workspace) -> None:
    """The second attempt repeats the first with a new nonce, and is counted once."""
    workspace.export(f"{job}.csv", [{"orders": order(1), "states": state(1), "points": balance(1, 5)}[job]])
    workspace.simulator.set_faults([InjectedFault(FaultKind.LOSE_AFTER_APPLYING, times=1)])

    ended = workspace.backfill("run", job)

    first, second = workspace.simulator.journal.entries
    (outcome,) = workspace.outcomes()
    assert (ended.exit_code, outcome["status"], outcome["attempts"]) == (0, "succeeded", "2")
    assert (first.key, first.body_digest) == (second.key, second.body_digest)
    # A nonce used twice would be refused as a replay.
    assert [first.decision, second.decision] == [APPLIED, REPEATED]


def test_a_rerun_sends_the_same_bytes_also_after_the_mapping_changed(workspace: Workspace) -> None:
    """A rerun sends the original bytes: a changed constant or file has no effect."""
    workspace.export("orders.csv", [order(1)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.LOSE_AFTER_APPLYING)])
    workspace.backfill("run", "orders")
    workspace.simulator.set_faults([])
    workspace.configure({"jobs.orders.constants": {"amount_name": "另一个"}})
    workspace.export("orders.csv", [order(1, trade_amount="99.00")])

    anew = (workspace.backfill("run", "orders").exit_code, workspace.results())
    rerun = (workspace.backfill("rerun", workspace.reports()[0].name).exit_code, workspace.results())

    assert (anew, rerun) == ((3, ["invalid key_conflict"]), (0, ["succeeded SUCCESS"]))
    assert len({entry.body_digest for entry in workspace.simulator.journal.entries}) == 1
    assert [entry.decision for entry in workspace.simulator.journal.entries] == [APPLIED, REPEATED, REPEATED]


@pytest.mark.parametrize("job", ["orders", "states", "points"])
def test_retry_after_is_obeyed_in_seconds(job: str, workspace: Workspace) -> None:
    """After a throttled answer nothing is sent before the time in `Retry-After`."""
    rows = {"orders": order, "states": state}
    workspace.export(f"{job}.csv", [rows[job](n) if job in rows else balance(n, 5) for n in range(3)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.THROTTLE, retry_after=1, first=1)])

    ended = workspace.backfill("run", job)

    first, *others = workspace.simulator.journal.entries
    assert (ended.exit_code, first.decision, workspace.summary()["quota"]["throttled"]) == (0, THROTTLED, 1)
    assert min(entry.steady for entry in others) - first.steady >= 1.0


def test_retry_after_is_obeyed_as_a_date(workspace: Workspace) -> None:
    """`Retry-After` as a date, in whole seconds, is obeyed."""
    workspace.export("orders.csv", [order(1), order(2)])
    until = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    workspace.simulator.set_faults(
        [InjectedFault(FaultKind.THROTTLE, retry_after=format_datetime(until, usegmt=True), first=1)]
    )

    ended = workspace.backfill("run", "orders")

    arrived = [entry.arrived_at for entry in workspace.simulator.journal.entries]
    assert (ended.exit_code, len(arrived)) == (0, 3)
    assert min(arrived[1:]) >= until - timedelta(milliseconds=50)


def test_a_throttled_answer_slows_the_whole_quota(workspace: Workspace) -> None:
    """After it, the requests of all cards come at half the rate, not only the throttled one."""
    workspace.export("points.csv", [balance(card, 5) for card in range(7)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.THROTTLE, key="*", first=1)])

    ended = workspace.backfill("run", "points")

    arrived = [entry.steady for entry in workspace.simulator.journal.entries][1:]
    assert (ended.exit_code, len(arrived)) == (0, 7)
    assert arrived[-1] - arrived[0] >= 2.0


def test_points_never_exceed_five_in_a_second_and_come_close_to_it(workspace: Workspace) -> None:
    """The platform counts up to 5 per second and throttles nothing; 20 rows take about 4 s."""
    workspace.export("points.csv", [balance(card, 5) for card in range(20)])

    ended = workspace.backfill("run", "points")

    arrived = [entry.steady for entry in workspace.simulator.journal.entries]
    assert (ended.exit_code, len(arrived), workspace.summary()["quota"]["throttled"]) == (0, 20, 0)
    assert most_in_a_second(workspace) <= 5
    # 19 gaps of 0.2 s are 3.8 s.
    assert arrived[-1] - arrived[0] <= 6.0


def test_two_processes_on_one_ledger_share_the_quota(workspace: Workspace) -> None:
    """2 jobs of one merchant in 2 processes together stay within 5 per second."""
    points, constants = JOBS["jobs.points"], JOBS["jobs.points.constants"]
    workspace.configure({"jobs.more": {**points, "input": ["more.csv"]}, "jobs.more.constants": constants})
    workspace.export("points.csv", [balance(card, 5) for card in range(10)])
    workspace.export("more.csv", [balance(card, 5) for card in range(10, 20)])

    ended = [end_of(one) for one in [workspace.start("run", job, "--report", job) for job in ("points", "more")]]

    assert [one.exit_code for one in ended] == [0, 0]
    assert (len(workspace.requests()), most_in_a_second(workspace) <= 5) == (20, True)
    assert workspace.simulator.journal.decided(THROTTLED) == ()


def test_a_crash_and_restart_do_not_break_the_quota(workspace: Workspace) -> None:
    """A run killed and resumed at once stays within 5 per second, and each balance is applied once."""
    workspace.export("points.csv", [balance(card, 5) for card in range(12)])

    process = workspace.start("run", "points")
    wait_until(lambda: len(workspace.requests()) >= 5)
    process.kill()
    end_of(process)
    resumed = workspace.backfill("resume", "last")

    journal = workspace.simulator.journal
    assert (resumed.exit_code, workspace.results()) == (0, ["succeeded SUCCESS"] * 12)
    assert (most_in_a_second(workspace) <= 5, journal.decided(THROTTLED), len(journal.applied_keys())) == (True, (), 12)


def test_requests_of_a_job_come_no_faster_than_its_rate(workspace: Workspace) -> None:
    """The configured rate limits Alipay too."""
    workspace.configure({"jobs.orders": {"rate": 10}})
    workspace.export("orders.csv", [order(number) for number in range(16)])

    workspace.backfill("run", "orders")

    assert peak([entry.steady for entry in workspace.simulator.journal.entries]) <= 10
