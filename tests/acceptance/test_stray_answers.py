"""Stray answers: a second answer of a server or proxy on a kept connection."""

from dataclasses import replace

import pytest

from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import Workspace, order, state

AGAIN = InjectedFault(FaultKind.STRAY_ANSWER)
REFUSED = InjectedFault(FaultKind.STRAY_ANSWER, status=400, code="INVALID_PARAMETER")
STRAYS = [
    pytest.param(AGAIN, id="the same again"),
    pytest.param(REFUSED, id="400"),
    pytest.param(InjectedFault(FaultKind.STRAY_ANSWER, status=403), id="403"),
    pytest.param(InjectedFault(FaultKind.STRAY_ANSWER, status=408), id="408"),
    pytest.param(InjectedFault(FaultKind.STRAY_ANSWER, status=429), id="429"),
    pytest.param(InjectedFault(FaultKind.STRAY_ANSWER, status=503, body="<html>"), id="503"),
]
both = pytest.mark.parametrize("transport", ["requests", "curl"])


@both
@pytest.mark.parametrize("seconds", [0.0, 0.01])
@pytest.mark.parametrize("stray", STRAYS)
def test_a_stray_answer_does_not_count_for_the_next_request(
    stray: InjectedFault, seconds: float, transport: str, workspace: Workspace
) -> None:
    """With a stray answer at once or during the next request, each order still gets its own outcome."""
    workspace.configure({"jobs.orders": {"concurrency": 2, "max_attempts": 4, "transport": transport}})
    workspace.export("orders.csv", [order(number) for number in range(8)])
    workspace.simulator.set_faults([replace(stray, seconds=seconds)])

    ended = workspace.backfill("run", "orders")

    assert (ended.exit_code, workspace.results()) == (0, ["succeeded SUCCESS"] * 8)
    assert len(workspace.simulator.journal.applied_keys()) == 8


def test_stray_answers_do_not_stop_the_run(workspace: Workspace) -> None:
    """Unsigned successes that many requests meet at once say nothing about the caller or the platform's key."""
    workspace.configure({"jobs.orders": {"concurrency": 16, "max_attempts": 4}})
    workspace.export("orders.csv", [order(number) for number in range(40)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.STRAY_ANSWER, status=200, body="{}", seconds=0.03)])

    assert (workspace.backfill("run", "orders").exit_code, workspace.results()) == (0, ["succeeded SUCCESS"] * 40)


@both
@pytest.mark.parametrize("stray", [AGAIN, REFUSED])
def test_a_state_never_meets_a_stray_answer(stray: InjectedFault, transport: str, workspace: Workspace) -> None:
    """Each state is sent once, on its own connection, where no other answer can arrive."""
    workspace.configure({"jobs.states": {"concurrency": 2, "transport": transport}})
    workspace.export("states.csv", [state(number) for number in range(8)])
    workspace.simulator.set_faults([replace(stray, seconds=0.01)])

    ended = workspace.backfill("run", "states")

    assert (ended.exit_code, workspace.results()) == (0, ["succeeded 10000"] * 8)
    assert len(workspace.requests()) == 8


def test_a_refusal_on_a_kept_connection_is_confirmed(workspace: Workspace) -> None:
    """A refusal on a kept connection counts after a fresh connection repeats it: 2 requests."""
    workspace.configure({"jobs.orders": {"concurrency": 1}})
    workspace.export("orders.csv", [order(number) for number in range(3)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, key="A[12]", code="ORDER_AMOUNT_ILLEGAL")])

    ended = workspace.backfill("run", "orders")

    assert (ended.exit_code, workspace.results()) == (3, ["succeeded SUCCESS", *["rejected ORDER_AMOUNT_ILLEGAL"] * 2])
    assert workspace.requests() == ["A0", "A1", "A1", "A2"]


def test_a_refusal_over_a_fresh_connection_counts_at_once(workspace: Workspace) -> None:
    """If no second attempt could confirm a refusal, each row gets a new connection."""
    workspace.configure({"jobs.orders": {"concurrency": 1, "max_attempts": 1}})
    workspace.export("orders.csv", [order(number) for number in range(3)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, key="A1", code="ORDER_AMOUNT_ILLEGAL")])

    ended = workspace.backfill("run", "orders")

    assert (ended.exit_code, workspace.results()[1], workspace.requests()) == (
        3,
        "rejected ORDER_AMOUNT_ILLEGAL",
        ["A0", "A1", "A2"],
    )


def test_a_caller_that_is_refused_midway_leaves_its_row_unsent(workspace: Workspace) -> None:
    """A refusal of the caller on a kept connection stops the run after a fresh one repeats it."""
    workspace.configure({"jobs.orders": {"concurrency": 1}})
    workspace.export("orders.csv", [order(number) for number in range(4)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.STATUS, key="A[123]", status=403)])

    ended = workspace.backfill("run", "orders")

    assert (ended.exit_code, workspace.results()) == (4, ["succeeded SUCCESS", *["unsent stopped"] * 3])
    assert workspace.requests() == ["A0", "A1", "A1"]


def test_a_throttled_row_on_a_kept_connection_is_unsent(workspace: Workspace) -> None:
    """A row throttled on a kept connection and on each fresh one was certainly not applied."""
    workspace.configure({"jobs.orders": {"concurrency": 1}})
    workspace.export("orders.csv", [order(0), order(1)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.THROTTLE, key="A1")])

    assert (workspace.backfill("run", "orders").exit_code, workspace.results()) == (
        3,
        ["succeeded SUCCESS", "unsent throttled"],
    )
