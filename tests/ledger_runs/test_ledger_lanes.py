"""The order of lanes, and which deliveries share one."""

import pytest

from pipeline.model import Export, LaneOrder
from tests.ledger_runs.job_runs import NewJobRuns, named
from tests.ledger_runs.staged_rows import StagedRow, balance, order, state

EARLY, LATE, LATEST = (f"2025-11-20T{hour}:00:00Z" for hour in ("01", "12", "23"))


def changed(card: str, at: str | None) -> StagedRow:
    return balance(card, 1, key=card, version=at)


@pytest.mark.parametrize(
    ("chosen", "keys"),
    [
        pytest.param(LaneOrder.SOURCE, ["a", "b", "c", "d", "e", "f"], id="as-the-source-has-them"),
        pytest.param(LaneOrder.NEWEST, ["c", "b", "e", "a", "d", "f"], id="the-newest-change-first"),
    ],
)
def test_which_lanes_go_first(new_job: NewJobRuns, chosen: LaneOrder, keys: list[str]) -> None:
    """Lanes go in source order, or newest change first. Rows without a time come last."""
    points = new_job(Export.POINTS)
    run = points.begin()
    times = {"a": EARLY, "b": LATE, "c": LATEST, "d": None, "e": LATE, "f": None}
    points.stage(run, [changed(card, at) for card, at in times.items()])

    assert [due.request_key for lane in run.lanes(chosen) for due in lane] == keys


@pytest.mark.parametrize("chosen", LaneOrder)
def test_a_lane_keeps_source_order(new_job: NewJobRuns, chosen: LaneOrder) -> None:
    """No order of lanes splits a lane or reverses it."""
    orders = new_job()
    run = orders.begin()
    orders.stage(run, [order("A", user="u"), order("B", user="v"), order("C", user="u"), order("D", user="v")])

    assert [[due.request_key for due in lane] for lane in run.lanes(chosen)] == [["A", "C"], ["B", "D"]]


def test_refunds_that_name_other_users_share_the_lane_of_their_payment(new_job: NewJobRuns) -> None:
    """All refunds of a payment share its lane, over any number of links."""
    orders = new_job()
    run = orders.begin()
    payments = [order("P", user="u"), order("Q", user="v"), order("S", user="w")]
    refunds = [
        order("R1", user="v", refund_of="P"),
        order("R2", user="x", refund_of="Q"),
        order("R3", user="y", refund_of="P"),
    ]
    orders.stage(run, [*payments, *refunds])

    lanes = [[due.request_key for due in lane] for lane in run.lanes()]

    assert lanes == [["P", "Q", "R1", "R2", "R3"], ["S"]]


def test_states_of_one_number_share_a_lane(new_job: NewJobRuns) -> None:
    """Users and principals may differ: the states of a number go one after another, by the time of change."""
    states = new_job(Export.STATES)
    run = states.begin()
    times = [f"2025-11-20T{hour}:00:00Z" for hour in ("03", "01", "02", "04")]
    rows = [
        state("A", "1", user="u", version=times[0]),
        state("A", "2", user="v", version=times[1]),
        state("A", "3", user="u", principal="book", version=times[2]),
        state("B", "4", user="w", version=times[3]),
        state("B", "5", user="u", version=times[0]),
        state("C", "6", user="x"),
    ]
    states.stage(run, rows)

    assert [[named(due) for due in lane] for lane in run.lanes()] == [["A/2", "A/3", "A/1", "B/5", "B/4"], ["C/6"]]
