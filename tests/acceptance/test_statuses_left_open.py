"""Open rows: unknown, blocked and unsent, with their codes."""

from collections.abc import Mapping, Sequence

import pytest

from pipeline.simulator import FaultKind, InjectedFault, Simulator
from tests.acceptance.workspace import Workspace, order, refund, state

LOST = InjectedFault(FaultKind.LOSE_AFTER_APPLYING)
LOST_ONCE = InjectedFault(FaultKind.LOSE_AFTER_APPLYING, times=1)


SYSTEM_ERROR = InjectedFault(FaultKind.STATUS, status=500, code="SYSTEM_ERROR")


@pytest.mark.parametrize(
    ("job", "faults", "code"),
    [
        pytest.param("orders", [LOST], "connection_lost", id="lost"),
        pytest.param("points", [LOST], "connection_lost", id="lost, points"),
        pytest.param("orders", [InjectedFault(FaultKind.SLOW, seconds=0.6)], "timeout", id="slow"),
        pytest.param("orders", [InjectedFault(FaultKind.CUT_BODY)], "cut_short", id="cut short"),
        pytest.param("orders", [InjectedFault(FaultKind.HTML_BODY)], "answer_unreadable", id="html"),
        pytest.param("orders", [InjectedFault(FaultKind.BAD_SIGNATURE)], "signature_invalid", id="v3 bad signature"),
        pytest.param(
            "states", [InjectedFault(FaultKind.BAD_SIGNATURE)], "signature_invalid", id="gateway bad signature"
        ),
        pytest.param(
            "points", [InjectedFault(FaultKind.BAD_SIGNATURE)], "signature_invalid", id="wechat bad signature"
        ),
        pytest.param("orders", [InjectedFault(FaultKind.MISSING_SIGNATURE)], "signature_invalid", id="v3 no signature"),
        pytest.param(
            "states", [InjectedFault(FaultKind.MISSING_SIGNATURE)], "signature_invalid", id="gateway no signature"
        ),
        pytest.param(
            "points", [InjectedFault(FaultKind.MISSING_SIGNATURE)], "signature_invalid", id="wechat no signature"
        ),
        pytest.param("orders", [SYSTEM_ERROR], "SYSTEM_ERROR", id="v3 system error"),
        pytest.param("states", [SYSTEM_ERROR], "SYSTEM_ERROR", id="gateway system error"),
        pytest.param("points", [SYSTEM_ERROR], "SYSTEM_ERROR", id="wechat system error"),
        pytest.param("orders", [InjectedFault(FaultKind.WRONG_ECHO)], "echo_differs", id="v3 echo"),
        pytest.param("points", [InjectedFault(FaultKind.WRONG_ECHO)], "echo_differs", id="wechat echo"),
        pytest.param("states", [InjectedFault(FaultKind.WRONG_ECHO)], "biz_result_unknown", id="gateway result"),
        pytest.param("orders", [InjectedFault(FaultKind.STATUS, status=202)], "http_202", id="accepted, not done"),
        pytest.param("orders", [InjectedFault(FaultKind.STATUS, status=204)], "http_204", id="no body"),
        pytest.param("orders", [InjectedFault(FaultKind.STATUS, status=504)], "http_504", id="gateway timeout"),
        pytest.param(
            "orders", [LOST_ONCE, InjectedFault(FaultKind.THROTTLE)], "connection_lost", id="lost, then throttled"
        ),
        pytest.param(
            "orders",
            [LOST_ONCE, InjectedFault(FaultKind.REFUSE, code="IDEMPOTENT_ERROR")],
            "IDEMPOTENT_ERROR",
            id="lost, then key used",
        ),
    ],
)
def test_unknown_keeps_the_doubt(job: str, faults: Sequence[InjectedFault], code: str, workspace: Workspace) -> None:
    """A row that may have been applied is unknown, never rejected and never succeeded."""
    workspace.configure({f"jobs.{job}": {"timeout_s": 0.3}} if code == "timeout" else None)
    workspace.simulator.set_faults(faults)

    assert workspace.run_one_row(job) == (3, [f"unknown {code}"])


def test_doubt_of_an_earlier_run_stays_until_an_answer_settles_it(workspace: Workspace) -> None:
    """An unknown row stays unknown through throttled reruns; the first trusted answer settles it."""
    workspace.simulator.set_faults([LOST])
    first = workspace.run_one_row("orders")
    workspace.simulator.set_faults([InjectedFault(FaultKind.THROTTLE)])
    throttled = (workspace.backfill("rerun", "last").exit_code, workspace.results())
    workspace.simulator.set_faults([])

    settled = (workspace.backfill("rerun", "last").exit_code, workspace.results())

    assert (first[0], throttled[0], settled) == (3, 3, (0, ["succeeded SUCCESS"]))
    assert (first[1], throttled[1][0].split()[0]) == (["unknown connection_lost"], "unknown")
    assert workspace.simulator.journal.applied_keys() == ["A1"]


@pytest.mark.parametrize(
    ("payment", "fault"),
    [
        pytest.param(order(1), InjectedFault(FaultKind.REFUSE, key="A1", code="INVALID_PARAMETER"), id="rejected"),
        pytest.param(order(1), InjectedFault(FaultKind.LOSE_AFTER_APPLYING, key="A1"), id="unknown"),
        pytest.param(order(1, trade_amount="-1"), None, id="invalid"),
    ],
)
def test_a_refund_is_blocked_if_its_payment_did_not_succeed(
    payment: Mapping[str, str], fault: InjectedFault | None, workspace: Workspace
) -> None:
    """The refund is not sent, for any failure of its payment."""
    workspace.simulator.set_faults([fault] if fault else [])
    workspace.export("orders.csv", [payment, refund(1, of=1)])

    ended = workspace.backfill("run", "orders")

    assert (ended.exit_code, workspace.results()[1]) == (3, "blocked payment_not_succeeded")
    assert "R1" not in workspace.requests()


@pytest.mark.parametrize("job", ["orders", "states", "points"])
def test_throttled_to_the_last_attempt_is_unsent(job: str, workspace: Workspace) -> None:
    """A row with throttled attempts only was certainly not applied."""
    workspace.simulator.set_faults([InjectedFault(FaultKind.THROTTLE)])

    assert workspace.run_one_row(job) == (3, ["unsent throttled"])
    assert workspace.summary()["quota"]["throttled"] == 2


@pytest.mark.parametrize("job", ["orders", "states", "points"])
def test_never_connected_is_unsent(job: str, workspace: Workspace) -> None:
    """A row without any connection was certainly not applied."""
    with Simulator() as gone:
        url = gone.url
    workspace.configure({"accounts.zhima": {"base_url": url}, "accounts.card": {"base_url": url}})

    assert workspace.run_one_row(job) == (3, ["unsent not_connected"])


def test_the_deadline_leaves_rows_unsent(workspace: Workspace) -> None:
    """Rows not sent before --until are unsent with code deadline, and resume sends them."""
    workspace.export("orders.csv", [order(1), order(2)])

    ended = workspace.backfill("run", "orders", "--until", workspace.now())
    results = workspace.results()
    resumed = workspace.backfill("resume", "last")

    assert (ended.exit_code, results, resumed.exit_code, workspace.results()) == (
        5,
        ["unsent deadline"] * 2,
        0,
        ["succeeded SUCCESS"] * 2,
    )


def test_a_deadline_does_not_matter_if_nothing_is_left(workspace: Workspace) -> None:
    """A run that read everything and has nothing to send ends normally after its deadline."""
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")

    delivered = (workspace.backfill("run", "orders", "--until", workspace.now()).exit_code, workspace.results())
    workspace.export("orders.csv", [{**order(1), "trade_amount": "wrong"}])
    invalid = (workspace.backfill("run", "orders", "--until", workspace.now()).exit_code, workspace.results())

    assert (delivered, invalid) == ((0, ["skipped already_succeeded"]), (3, ["invalid field_invalid"]))


def test_rows_behind_a_halt_are_unsent_as_stopped(workspace: Workspace) -> None:
    """If the platform refuses the caller, the row in flight and all others are unsent."""
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, code="invalid-signature", status=401)])
    workspace.export("orders.csv", [order(1), order(2), order(3)])

    ended = workspace.backfill("run", "orders")

    assert (ended.exit_code, workspace.results(), len(workspace.requests())) == (4, ["unsent stopped"] * 3, 1)


def test_an_earlier_state_in_doubt_blocks_the_later_one(workspace: Workspace) -> None:
    """A later state of an object waits while an earlier one is unknown."""
    workspace.simulator.set_faults([InjectedFault(FaultKind.LOSE_AFTER_APPLYING, key="S1|BUY")])
    workspace.export("states.csv", [state(1), state(1, "DONE")])

    ended = workspace.backfill("run", "states")

    assert (ended.exit_code, workspace.results()) == (3, ["unknown connection_lost", "blocked earlier_state_open"])
