"""A second answer over a kept connection, which nobody asked for, from a server or a proxy."""

from dataclasses import replace

import pytest

from pipeline.simulator import InjectedFault, Kind
from tests.acceptance.night import Night, order, state

AGAIN = InjectedFault(Kind.STRAY_ANSWER)
REFUSED = InjectedFault(Kind.STRAY_ANSWER, status=400, code="INVALID_PARAMETER")
STRAYS = [
    pytest.param(AGAIN, id="the same again"),
    pytest.param(REFUSED, id="400"),
    pytest.param(InjectedFault(Kind.STRAY_ANSWER, status=403), id="403"),
    pytest.param(InjectedFault(Kind.STRAY_ANSWER, status=408), id="408"),
    pytest.param(InjectedFault(Kind.STRAY_ANSWER, status=429), id="429"),
    pytest.param(InjectedFault(Kind.STRAY_ANSWER, status=503, body="<html>"), id="503"),
]
both = pytest.mark.parametrize("transport", ["requests", "curl"])


@both
@pytest.mark.parametrize("seconds", [0.0, 0.01])
@pytest.mark.parametrize("stray", STRAYS)
def test_a_stray_answer_is_not_taken_for_that_to_the_next_request(
    stray: InjectedFault, seconds: float, transport: str, night: Night
) -> None:
    """Whatever follows an answer, at once or while the next request is under way, each order ends as it was taken."""
    night.configure({"jobs.orders": {"concurrency": 2, "max_attempts": 4, "transport": transport}})
    night.export("orders.csv", [order(number) for number in range(8)])
    night.simulator.set_faults([replace(stray, seconds=seconds)])

    ended = night.backfill("run", "orders")

    assert (ended.exit_code, night.fates()) == (0, ["succeeded SUCCESS"] * 8)
    assert len(night.simulator.journal.applied_keys()) == 8


@both
@pytest.mark.parametrize("stray", [AGAIN, REFUSED])
def test_a_state_never_meets_a_stray_answer(stray: InjectedFault, transport: str, night: Night) -> None:
    """Each state goes out once, over a connection of its own, so that no other answer can be heard there."""
    night.configure({"jobs.states": {"concurrency": 2, "transport": transport}})
    night.export("states.csv", [state(number) for number in range(8)])
    night.simulator.set_faults([replace(stray, seconds=0.01)])

    ended = night.backfill("run", "states")

    assert (ended.exit_code, night.fates()) == (0, ["succeeded 10000"] * 8)
    assert len(night.requests()) == 8


def test_a_refusal_after_a_success_is_asked_for_twice(night: Night) -> None:
    """A refusal over a kept connection counts once a fresh one brings it again: that takes two requests."""
    night.configure({"jobs.orders": {"concurrency": 1}})
    night.export("orders.csv", [order(number) for number in range(3)])
    night.simulator.set_faults([InjectedFault(Kind.REFUSE, key="A[12]", code="ORDER_AMOUNT_ILLEGAL")])

    ended = night.backfill("run", "orders")

    assert (ended.exit_code, night.fates()) == (3, ["succeeded SUCCESS", *["rejected ORDER_AMOUNT_ILLEGAL"] * 2])
    assert night.requests() == ["A0", "A1", "A1", "A2"]


def test_a_refusal_over_a_fresh_connection_counts_at_once(night: Night) -> None:
    """Where no second attempt could confirm a refusal, each row goes over a new connection."""
    night.configure({"jobs.orders": {"concurrency": 1, "max_attempts": 1}})
    night.export("orders.csv", [order(number) for number in range(3)])
    night.simulator.set_faults([InjectedFault(Kind.REFUSE, key="A1", code="ORDER_AMOUNT_ILLEGAL")])

    ended = night.backfill("run", "orders")

    assert (ended.exit_code, night.fates()[1], night.requests()) == (
        3,
        "rejected ORDER_AMOUNT_ILLEGAL",
        ["A0", "A1", "A2"],
    )


def test_a_caller_that_is_refused_midway_leaves_its_row_unsent(night: Night) -> None:
    """A refusal of the caller over a kept connection stops the run once a fresh one brings it again."""
    night.configure({"jobs.orders": {"concurrency": 1}})
    night.export("orders.csv", [order(number) for number in range(4)])
    night.simulator.set_faults([InjectedFault(Kind.STATUS, key="A[123]", status=403)])

    ended = night.backfill("run", "orders")

    assert (ended.exit_code, night.fates()) == (4, ["succeeded SUCCESS", *["unsent stopped"] * 3])
    assert night.requests() == ["A0", "A1", "A1"]


def test_a_throttled_row_is_unsent_although_its_connection_was_kept(night: Night) -> None:
    """Throttled over a kept connection, and by each fresh one after it: surely not applied."""
    night.configure({"jobs.orders": {"concurrency": 1}})
    night.export("orders.csv", [order(0), order(1)])
    night.simulator.set_faults([InjectedFault(Kind.THROTTLE, key="A1")])

    assert (night.backfill("run", "orders").exit_code, night.fates()) == (3, ["succeeded SUCCESS", "unsent throttled"])
