"""Order of requests: lanes, refunds, balances that return, tasks done several times, and fixed rows."""

import csv
import json

import pytest

from pipeline.simulator import Decision, FaultKind, InjectedFault
from tests.acceptance.workspace import CARD, Workspace, balance, order, read_csv, refund, state, task

SLOW = InjectedFault(FaultKind.SLOW, seconds=0.02)


def test_a_refund_is_sent_after_its_payment(workspace: Workspace) -> None:
    """A refund is sent after its payment, at any place in the export and also after a slow payment."""
    workspace.export("orders.csv", [refund(1, of=1), order(1), order(2), refund(2, of=2)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.SLOW, key="A*", seconds=0.2)])

    ended = workspace.backfill("run", "orders")

    keys = workspace.requests()
    assert (ended.exit_code, workspace.results()) == (0, ["succeeded SUCCESS"] * 4)
    assert keys.index("A1") < keys.index("R1")
    assert keys.index("A2") < keys.index("R2")


def test_a_refund_is_sent_once_its_payment_succeeded(workspace: Workspace) -> None:
    """A rerun sends the unknown payment, and then the refund that it blocked."""
    workspace.export("orders.csv", [order(1), refund(1, of=1)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.LOSE_BEFORE_APPLYING, key="A1")])
    first = (workspace.backfill("run", "orders").exit_code, workspace.results())
    workspace.simulator.set_faults([])

    rerun = (workspace.backfill("rerun", "last").exit_code, workspace.results())

    assert first == (3, ["unknown connection_lost", "blocked payment_not_succeeded"])
    assert rerun == (0, ["succeeded SUCCESS"] * 2)
    assert workspace.simulator.journal.applied_keys() == ["A1", "R1"]


def test_a_refund_of_an_earlier_runs_payment(workspace: Workspace) -> None:
    """A refund is sent if an earlier run or another system delivered its payment."""
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")
    workspace.export("orders.csv", [refund(1, of=1), refund(9, of=9)])

    ended = workspace.backfill("run", "orders")

    assert (ended.exit_code, workspace.results()) == (3, ["succeeded SUCCESS", "rejected PAY_ORDER_NOT_EXIST"])


def test_a_refund_whose_payment_no_run_has_read_is_left_to_the_platform(workspace: Workspace) -> None:
    """With --limit, a later payment is not read; once it was delivered, the refund is sent under its key."""
    workspace.export("orders.csv", [refund(1, of=1), order(1)])
    first = (workspace.backfill("run", "orders", "--limit", "1").exit_code, workspace.results())
    whole = (workspace.backfill("run", "orders").exit_code, workspace.results())

    assert first == (3, ["rejected PAY_ORDER_NOT_EXIST"])
    assert whole == (0, ["succeeded SUCCESS"] * 2)
    assert workspace.requests() == ["R1", "A1", "R1"]


def test_a_refused_refund_is_sent_again_once_its_payment_was_delivered(workspace: Workspace) -> None:
    """`rerun --only rejected` sends it under the same key."""
    workspace.export("orders.csv", [refund(1, of=1)])
    workspace.backfill("run", "orders")
    refused = workspace.summary()["run_id"]
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")

    rerun = (workspace.backfill("rerun", refused, "--only", "rejected").exit_code, workspace.results())

    assert rerun == (0, ["succeeded SUCCESS"])
    assert workspace.requests() == ["R1", "A1", "R1"]


def test_a_refund_follows_the_new_key_of_its_payment(workspace: Workspace) -> None:
    """With --new-keys, the payment is sent under a new key, and the refund names that key."""
    workspace.export("orders.csv", [order(1), refund(1, of=1)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, key="A1", code="IDEMPOTENT_ERROR")])
    first = (workspace.backfill("run", "orders").exit_code, workspace.results())

    rerun = (workspace.backfill("rerun", "last", "--new-keys").exit_code, workspace.results())

    assert first == (3, ["rejected IDEMPOTENT_ERROR", "blocked payment_not_succeeded"])
    assert rerun == (0, ["succeeded SUCCESS"] * 2)
    assert workspace.simulator.journal.applied_keys() == ["A1-k2", "R1"]


@pytest.mark.parametrize("again", [("rerun",), ("rerun", "--new-keys"), ("resume",)])
def test_a_refund_that_followed_its_payment_is_not_sent_again(workspace: Workspace, again: tuple[str, ...]) -> None:
    """A refund delivered with the payment's new key counts as delivered for the run that left it blocked."""
    workspace.export("orders.csv", [order(1), refund(1, of=1)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, key="A1", code="IDEMPOTENT_ERROR")])
    workspace.backfill("run", "orders")
    blocked = workspace.summary()["run_id"]
    workspace.backfill("rerun", blocked, "--new-keys")

    verb, *options = again
    ended = workspace.backfill(verb, blocked, *options)

    line = read_csv(workspace.folder / "reports" / blocked / "outcome.csv")[-1]
    messages = ("skipped", "already_succeeded") if verb == "resume" else ("blocked", "payment_not_succeeded")
    assert (line["request_key"], line["status"], line["code"]) == ("R1", *messages)
    # A rerun does not take rows that another rerun completed.
    assert (ended.exit_code, len(workspace.reports())) == (3 if verb == "resume" else 0, 2)
    assert workspace.simulator.journal.applied_keys() == ["A1-k2", "R1"]


def test_states_of_one_object_are_sent_in_source_order(workspace: Workspace) -> None:
    """A lane has one request in flight, in source order; lanes are sent in parallel."""
    codes = ["BUY", "SEAT", "DONE"]
    workspace.export("states.csv", [state(user, code) for code in codes for user in range(5)])
    workspace.simulator.set_faults([SLOW])

    ended = workspace.backfill("run", "states")

    keys = workspace.requests()
    assert (ended.exit_code, workspace.results()) == (0, ["succeeded 10000"] * 15)
    assert [[key for key in keys if key.startswith(f"S{user}|")] for user in range(5)] == [
        [f"S{user}|{code}" for code in codes] for user in range(5)
    ]


def test_the_payments_of_one_agreement_are_sent_in_source_order(workspace: Workspace) -> None:
    """Requests of one agreement and user keep their order, also with a retry."""
    workspace.export("orders.csv", [order(1, out_biz_no=f"A{number}") for number in range(5)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.LOSE_BEFORE_APPLYING, key="A2", times=1), SLOW])

    ended = workspace.backfill("run", "orders")

    assert (ended.exit_code, workspace.requests()) == (0, ["A0", "A1", "A2", "A2", "A3", "A4"])


def test_the_newest_balances_are_sent_first_if_configured(workspace: Workspace) -> None:
    """With order = "newest", cards that changed last are sent first; the report has source order."""
    workspace.configure({"jobs.points": {"order": "newest", "concurrency": 1}})
    changes = {"P1": "2025-11-20 09:00:00", "P2": "2025-11-20 22:00:00", "P3": "", "P4": "2025-11-20 12:00:00"}
    workspace.export(
        "points.csv",
        [balance(n, n, out_request_no=key, updated_at=at) for n, (key, at) in enumerate(changes.items(), 1)],
    )

    ended = workspace.backfill("run", "points")

    assert (ended.exit_code, workspace.requests()) == (0, ["P2", "P4", "P1", "P3"])
    assert [line["request_key"] for line in workspace.outcomes()] == ["P1", "P2", "P3", "P4"]


def test_a_balance_that_returns_is_sent_again(workspace: Workspace) -> None:
    """From 10 to 20 and back to 10: 3 requests under 3 keys, and the card has 10 in the end."""
    for points in (10, 20, 10):
        workspace.export("points.csv", [balance(1, points)])
        assert (workspace.backfill("run", "points").exit_code, workspace.results()) == (0, ["succeeded SUCCESS"])
    again = (workspace.backfill("run", "points").exit_code, workspace.results())

    journal = workspace.simulator.journal
    assert [(entry.points, entry.decision) for entry in journal.entries] == [
        (points, Decision.APPLIED) for points in (10, 20, 10)
    ]
    assert (again, len(set(workspace.requests()))) == ((0, ["skipped unchanged"]), 3)
    assert journal.balance(CARD, f"{1:012d}") == 10


def test_an_older_balance_does_not_undo_a_newer_one(workspace: Workspace) -> None:
    """A late file with older balances is superseded by those sent."""
    workspace.export("points.csv", [balance(1, 20, updated_at="2025-11-20 12:00:00")])
    workspace.backfill("run", "points")
    workspace.export("points.csv", [balance(1, 10, updated_at="2025-11-20 11:00:00")])

    ended = workspace.backfill("run", "points")

    assert (ended.exit_code, workspace.results(), len(workspace.requests())) == (0, ["skipped superseded"], 1)


def test_an_unknown_balance_superseded_by_a_newer_one_is_not_sent(workspace: Workspace) -> None:
    """A rerun does not send a balance that a newer run replaced."""
    workspace.export("points.csv", [balance(1, 10)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.LOSE_BEFORE_APPLYING)])
    workspace.backfill("run", "points")
    unknown = workspace.reports()[-1].name
    workspace.simulator.set_faults([])
    workspace.export("points.csv", [balance(1, 20)])
    workspace.backfill("run", "points")
    before = len(workspace.requests())

    ended = workspace.backfill("rerun", unknown)

    assert (ended.exit_code, workspace.results(), len(workspace.requests())) == (0, ["skipped superseded"], before)
    assert workspace.simulator.journal.balance(CARD, f"{1:012d}") == 20


def test_a_task_done_three_times_is_three_deliveries(workspace: Workspace) -> None:
    """times = 3 gives the keys K1-1 to K1-3, times = 1 the key itself."""
    workspace.export("tasks.csv", [task(1, times="3"), task(2)])

    ended = workspace.backfill("run", "tasks")

    assert (ended.exit_code, sorted(workspace.requests())) == (0, ["K1-1", "K1-2", "K1-3", "K2"])
    assert [(line["request_key"], line["status"], line["attempts"]) for line in workspace.outcomes()] == [
        ("K1", "succeeded", "3"),
        ("K2", "succeeded", "1"),
    ]


@pytest.mark.parametrize(
    ("faults", "result"),
    [
        pytest.param(
            [InjectedFault(FaultKind.REFUSE, key="K1-2", code="INVALID_PARAMETER")],
            "rejected INVALID_PARAMETER",
            id="refused",
        ),
        pytest.param([InjectedFault(FaultKind.LOSE_AFTER_APPLYING, key="K1-3")], "unknown connection_lost", id="lost"),
        pytest.param([InjectedFault(FaultKind.THROTTLE, key="K1-1")], "unsent throttled", id="throttled"),
        pytest.param(
            [
                InjectedFault(FaultKind.LOSE_AFTER_APPLYING, key="K1-1"),
                InjectedFault(FaultKind.REFUSE, key="K1-2", code="INVALID_PARAMETER"),
            ],
            "unknown connection_lost",
            id="lost and refused",
        ),
    ],
)
def test_a_tasks_outcome_is_the_worst_of_its_deliveries(
    faults: list[InjectedFault], result: str, workspace: Workspace
) -> None:
    """The row has the worst outcome; a rerun sends only the rest, under the same keys."""
    workspace.export("tasks.csv", [task(1, times="3")])
    workspace.simulator.set_faults(faults)
    first = (workspace.backfill("run", "tasks").exit_code, workspace.results())
    workspace.simulator.set_faults([])

    rerun = workspace.backfill("rerun", "last", "--only", "unknown,unsent,rejected")

    assert (first, rerun.exit_code, workspace.results()) == ((3, [result]), 0, ["succeeded SUCCESS"])
    assert sorted(workspace.simulator.journal.applied_keys()) == ["K1-1", "K1-2", "K1-3"]


def test_fixed_rows_to_fix_are_sent(workspace: Workspace) -> None:
    """rows_to_fix.csv has the original rows; once fixed, `backfill run` sends them and nothing else."""
    rows = [order(1), order(2, trade_amount="1,50"), order(3, trade_no="=1+1"), order(4, trade_no="00042")]
    workspace.export("orders.csv", rows, encoding="gb18030")
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, key="A[34]", code="ORDER_AMOUNT_ILLEGAL")])
    first = workspace.backfill("run", "orders")
    workspace.simulator.set_faults([])
    path = workspace.reports()[-1] / "rows_to_fix.csv"
    to_fix = read_csv(path)

    for row in to_fix:
        row["trade_amount"] = "1.50"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(to_fix[0]))
        writer.writeheader()
        writer.writerows(to_fix)
    ended = workspace.backfill("run", "orders", str(path))

    assert first.exit_code == 3
    assert list(to_fix[0]) == [*rows[0], "_row", "_status", "_code", "_message"]
    assert [(row["out_biz_no"], row["_status"], row["_code"]) for row in to_fix] == [
        ("A2", "invalid", "field_invalid"),
        ("A3", "rejected", "ORDER_AMOUNT_ILLEGAL"),
        ("A4", "rejected", "ORDER_AMOUNT_ILLEGAL"),
    ]
    assert (ended.exit_code, workspace.results()) == (0, ["succeeded SUCCESS"] * 3)
    assert sorted(workspace.simulator.journal.applied_keys()) == ["A1", "A2", "A3", "A4"]


def test_text_stays_text_from_the_export_to_the_platform(workspace: Workspace) -> None:
    """A card code keeps its leading zeros and an 18-digit id its last digits, through CSV."""
    code = "000123456789012345678901"
    workspace.export("points.csv", [balance(1, 7, user_card_code=code)])

    assert workspace.backfill("run", "points").exit_code == 0
    assert workspace.simulator.journal.balance(CARD, code) == 7


def test_a_refused_row_can_be_fixed_under_its_key(workspace: Workspace) -> None:
    """A refused delivery was not applied, so that its key with fixed content is sent without conflict."""
    workspace.export("states.csv", [state(1, biz_data=json.dumps({"n": 1}))])
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, code="ZMDATA.BIZ_DATA_ERROR")])
    first = workspace.backfill("run", "states")
    workspace.simulator.set_faults([])
    workspace.export("states.csv", [state(1, biz_data=json.dumps({"n": 2}))])

    ended = workspace.backfill("run", "states")

    assert (first.exit_code, ended.exit_code, workspace.results()) == (3, 0, ["succeeded 10000"])
