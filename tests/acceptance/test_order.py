"""Lanes, refunds, balances that come back, tasks done several times, and rows that were mended."""

import csv
import json

import pytest

from pipeline.simulator import Decision, InjectedFault, Kind
from tests.acceptance.night import CARD, Night, balance, order, read_csv, refund, state, task

SLOW = InjectedFault(Kind.SLOW, seconds=0.02)


def test_a_refund_goes_out_after_its_payment(night: Night) -> None:
    """Wherever it stands in the export, and also where the payment is slow."""
    night.export("orders.csv", [refund(1, of=1), order(1), order(2), refund(2, of=2)])
    night.simulator.set_faults([InjectedFault(Kind.SLOW, key="A*", seconds=0.2)])

    ended = night.backfill("run", "orders")

    keys = night.requests()
    assert (ended.exit_code, night.fates()) == (0, ["succeeded SUCCESS"] * 4)
    assert keys.index("A1") < keys.index("R1")
    assert keys.index("A2") < keys.index("R2")


def test_a_refund_is_free_once_its_payment_has_succeeded(night: Night) -> None:
    """A rerun sends the payment that was unknown, and then the refund that it blocked."""
    night.export("orders.csv", [order(1), refund(1, of=1)])
    night.simulator.set_faults([InjectedFault(Kind.LOSE_BEFORE_APPLYING, key="A1")])
    first = (night.backfill("run", "orders").exit_code, night.fates())
    night.simulator.set_faults([])

    rerun = (night.backfill("rerun", "last").exit_code, night.fates())

    assert first == (3, ["unknown connection_lost", "blocked payment_not_succeeded"])
    assert rerun == (0, ["succeeded SUCCESS"] * 2)
    assert night.simulator.journal.applied_keys() == ["A1", "R1"]


def test_a_refund_of_an_earlier_nights_payment(night: Night) -> None:
    """A payment that an earlier run delivered, or another system, does not hold its refund up."""
    night.export("orders.csv", [order(1)])
    night.backfill("run", "orders")
    night.export("orders.csv", [refund(1, of=1), refund(9, of=9)])

    ended = night.backfill("run", "orders")

    assert (ended.exit_code, night.fates()) == (3, ["succeeded SUCCESS", "rejected PAY_ORDER_NOT_EXIST"])


def test_a_refund_whose_payment_no_run_has_read_is_left_to_the_platform(night: Night) -> None:
    """With --limit a payment further down is unknown; once that was delivered, the refund goes out under its key."""
    night.export("orders.csv", [refund(1, of=1), order(1)])
    first = (night.backfill("run", "orders", "--limit", "1").exit_code, night.fates())
    whole = (night.backfill("run", "orders").exit_code, night.fates())

    assert first == (3, ["rejected PAY_ORDER_NOT_EXIST"])
    assert whole == (0, ["succeeded SUCCESS"] * 2)
    assert night.requests() == ["R1", "A1", "R1"]


def test_a_refused_refund_is_sent_again_once_its_payment_was_delivered(night: Night) -> None:
    """`rerun --only rejected` sends it under the same key."""
    night.export("orders.csv", [refund(1, of=1)])
    night.backfill("run", "orders")
    refused = night.summary()["run_id"]
    night.export("orders.csv", [order(1)])
    night.backfill("run", "orders")

    rerun = (night.backfill("rerun", refused, "--only", "rejected").exit_code, night.fates())

    assert rerun == (0, ["succeeded SUCCESS"])
    assert night.requests() == ["R1", "A1", "R1"]


def test_a_refund_follows_the_new_key_of_its_payment(night: Night) -> None:
    """With --new-keys the payment goes out under a fresh key, and the refund names that one."""
    night.export("orders.csv", [order(1), refund(1, of=1)])
    night.simulator.set_faults([InjectedFault(Kind.REFUSE, key="A1", code="IDEMPOTENT_ERROR")])
    first = (night.backfill("run", "orders").exit_code, night.fates())

    rerun = (night.backfill("rerun", "last", "--new-keys").exit_code, night.fates())

    assert first == (3, ["rejected IDEMPOTENT_ERROR", "blocked payment_not_succeeded"])
    assert rerun == (0, ["succeeded SUCCESS"] * 2)
    assert night.simulator.journal.applied_keys() == ["A1-k2", "R1"]


@pytest.mark.parametrize("again", [("rerun",), ("rerun", "--new-keys"), ("resume",)])
def test_a_refund_that_followed_its_payment_is_not_sent_again(night: Night, again: tuple[str, ...]) -> None:
    """What was delivered under the payment's new key is known as delivered to the run that left it blocked, too."""
    night.export("orders.csv", [order(1), refund(1, of=1)])
    night.simulator.set_faults([InjectedFault(Kind.REFUSE, key="A1", code="IDEMPOTENT_ERROR")])
    night.backfill("run", "orders")
    blocked = night.summary()["run_id"]
    night.backfill("rerun", blocked, "--new-keys")

    verb, *options = again
    ended = night.backfill(verb, blocked, *options)

    line = read_csv(night.folder / "reports" / blocked / "outcome.csv")[-1]
    messages = ("skipped", "already_succeeded") if verb == "resume" else ("blocked", "payment_not_succeeded")
    assert (line["request_key"], line["status"], line["code"]) == ("R1", *messages)
    # A rerun takes no row that another one has brought to its end.
    assert (ended.exit_code, len(night.reports())) == (3 if verb == "resume" else 0, 2)
    assert night.simulator.journal.applied_keys() == ["A1-k2", "R1"]


def test_states_of_one_object_go_out_in_source_order(night: Night) -> None:
    """Within a lane one request is under way at a time, in the order of the export; lanes go side by side."""
    codes = ["BUY", "SEAT", "DONE"]
    night.export("states.csv", [state(user, code) for code in codes for user in range(5)])
    night.simulator.set_faults([SLOW])

    ended = night.backfill("run", "states")

    keys = night.requests()
    assert (ended.exit_code, night.fates()) == (0, ["succeeded 10000"] * 15)
    assert [[key for key in keys if key.startswith(f"S{user}|")] for user in range(5)] == [
        [f"S{user}|{code}" for code in codes] for user in range(5)
    ]


def test_the_payments_of_one_agreement_go_out_in_source_order(night: Night) -> None:
    """Requests of one agreement and user keep their order, also through a retry."""
    night.export("orders.csv", [order(1, out_biz_no=f"A{number}") for number in range(5)])
    night.simulator.set_faults([InjectedFault(Kind.LOSE_BEFORE_APPLYING, key="A2", times=1), SLOW])

    ended = night.backfill("run", "orders")

    assert (ended.exit_code, night.requests()) == (0, ["A0", "A1", "A2", "A2", "A3", "A4"])


def test_the_newest_balances_go_first_where_the_job_says_so(night: Night) -> None:
    """With order = "newest" the cards that changed last go first, and the report keeps the order of the export."""
    night.configure({"jobs.points": {"order": "newest", "concurrency": 1}})
    changes = {"P1": "2025-11-20 09:00:00", "P2": "2025-11-20 22:00:00", "P3": "", "P4": "2025-11-20 12:00:00"}
    night.export(
        "points.csv",
        [balance(n, n, out_request_no=key, updated_at=at) for n, (key, at) in enumerate(changes.items(), 1)],
    )

    ended = night.backfill("run", "points")

    assert (ended.exit_code, night.requests()) == (0, ["P2", "P4", "P1", "P3"])
    assert [line["request_key"] for line in night.outcomes()] == ["P1", "P2", "P3", "P4"]


def test_a_balance_that_comes_back_is_sent_again(night: Night) -> None:
    """From 10 to 20 and back to 10: three requests under three keys, and the card holds 10 in the end."""
    for points in (10, 20, 10):
        night.export("points.csv", [balance(1, points)])
        assert (night.backfill("run", "points").exit_code, night.fates()) == (0, ["succeeded SUCCESS"])
    again = (night.backfill("run", "points").exit_code, night.fates())

    journal = night.simulator.journal
    assert [(entry.points, entry.decision) for entry in journal.entries] == [
        (points, Decision.APPLIED) for points in (10, 20, 10)
    ]
    assert (again, len(set(night.requests()))) == ((0, ["skipped unchanged"]), 3)
    assert journal.balance(CARD, f"{1:012d}") == 10


def test_an_older_balance_does_not_undo_a_newer_one(night: Night) -> None:
    """A file that comes late, with balances from before, is superseded by what was sent."""
    night.export("points.csv", [balance(1, 20, updated_at="2025-11-20 12:00:00")])
    night.backfill("run", "points")
    night.export("points.csv", [balance(1, 10, updated_at="2025-11-20 11:00:00")])

    ended = night.backfill("run", "points")

    assert (ended.exit_code, night.fates(), len(night.requests())) == (0, ["skipped superseded"], 1)


def test_an_unknown_balance_overtaken_by_a_newer_one_is_not_sent_late(night: Night) -> None:
    """A rerun does not put back a balance that a newer run has replaced."""
    night.export("points.csv", [balance(1, 10)])
    night.simulator.set_faults([InjectedFault(Kind.LOSE_BEFORE_APPLYING)])
    night.backfill("run", "points")
    unknown = night.reports()[-1].name
    night.simulator.set_faults([])
    night.export("points.csv", [balance(1, 20)])
    night.backfill("run", "points")
    before = len(night.requests())

    ended = night.backfill("rerun", unknown)

    assert (ended.exit_code, night.fates(), len(night.requests())) == (0, ["skipped superseded"], before)
    assert night.simulator.journal.balance(CARD, f"{1:012d}") == 20


def test_a_task_done_three_times_is_three_deliveries(night: Night) -> None:
    """times 3 gives the keys K1-1 to K1-3, and times 1 the key itself."""
    night.export("tasks.csv", [task(1, times="3"), task(2)])

    ended = night.backfill("run", "tasks")

    assert (ended.exit_code, sorted(night.requests())) == (0, ["K1-1", "K1-2", "K1-3", "K2"])
    assert [(line["request_key"], line["status"], line["attempts"]) for line in night.outcomes()] == [
        ("K1", "succeeded", "3"),
        ("K2", "succeeded", "1"),
    ]


@pytest.mark.parametrize(
    ("faults", "fate"),
    [
        pytest.param(
            [InjectedFault(Kind.REFUSE, key="K1-2", code="INVALID_PARAMETER")],
            "rejected INVALID_PARAMETER",
            id="refused",
        ),
        pytest.param([InjectedFault(Kind.LOSE_AFTER_APPLYING, key="K1-3")], "unknown connection_lost", id="lost"),
        pytest.param([InjectedFault(Kind.THROTTLE, key="K1-1")], "unsent throttled", id="throttled"),
        pytest.param(
            [
                InjectedFault(Kind.LOSE_AFTER_APPLYING, key="K1-1"),
                InjectedFault(Kind.REFUSE, key="K1-2", code="INVALID_PARAMETER"),
            ],
            "unknown connection_lost",
            id="lost and refused",
        ),
    ],
)
def test_a_tasks_outcome_is_the_worst_of_its_deliveries(faults: list[InjectedFault], fate: str, night: Night) -> None:
    """The row shows what needs attention most; a rerun sends only what is left, under the same keys."""
    night.export("tasks.csv", [task(1, times="3")])
    night.simulator.set_faults(faults)
    first = (night.backfill("run", "tasks").exit_code, night.fates())
    night.simulator.set_faults([])

    rerun = night.backfill("rerun", "last", "--only", "unknown,unsent,rejected")

    assert (first, rerun.exit_code, night.fates()) == ((3, [fate]), 0, ["succeeded SUCCESS"])
    assert sorted(night.simulator.journal.applied_keys()) == ["K1-1", "K1-2", "K1-3"]


def test_rows_to_fix_are_taken_back_once_fixed(night: Night) -> None:
    """rows_to_fix.csv holds the rows to fix as they were; fixed, `backfill run` sends them and nothing else."""
    rows = [order(1), order(2, trade_amount="1,50"), order(3, trade_no="=1+1"), order(4, trade_no="00042")]
    night.export("orders.csv", rows, encoding="gb18030")
    night.simulator.set_faults([InjectedFault(Kind.REFUSE, key="A[34]", code="ORDER_AMOUNT_ILLEGAL")])
    first = night.backfill("run", "orders")
    night.simulator.set_faults([])
    path = night.reports()[-1] / "rows_to_fix.csv"
    to_fix = read_csv(path)

    for row in to_fix:
        row["trade_amount"] = "1.50"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(to_fix[0]))
        writer.writeheader()
        writer.writerows(to_fix)
    ended = night.backfill("run", "orders", str(path))

    assert first.exit_code == 3
    assert list(to_fix[0]) == [*rows[0], "_row", "_status", "_code", "_message"]
    assert [(row["out_biz_no"], row["_status"], row["_code"]) for row in to_fix] == [
        ("A2", "invalid", "field_invalid"),
        ("A3", "rejected", "ORDER_AMOUNT_ILLEGAL"),
        ("A4", "rejected", "ORDER_AMOUNT_ILLEGAL"),
    ]
    assert (ended.exit_code, night.fates()) == (0, ["succeeded SUCCESS"] * 3)
    assert sorted(night.simulator.journal.applied_keys()) == ["A1", "A2", "A3", "A4"]


def test_text_stays_text_from_the_export_to_the_platform(night: Night) -> None:
    """A card code keeps its leading zeros, and 18 digits keep their last ones, through CSV."""
    code = "000123456789012345678901"
    night.export("points.csv", [balance(1, 7, user_card_code=code)])

    assert night.backfill("run", "points").exit_code == 0
    assert night.simulator.journal.balance(CARD, code) == 7


def test_a_refused_row_may_come_back_mended_under_its_key(night: Night) -> None:
    """A refused delivery was not applied, so the same key with mended content is sent and no conflict."""
    night.export("states.csv", [state(1, biz_data=json.dumps({"n": 1}))])
    night.simulator.set_faults([InjectedFault(Kind.REFUSE, code="ZMDATA.BIZ_DATA_ERROR")])
    first = night.backfill("run", "states")
    night.simulator.set_faults([])
    night.export("states.csv", [state(1, biz_data=json.dumps({"n": 2}))])

    ended = night.backfill("run", "states")

    assert (first.exit_code, ended.exit_code, night.fates()) == (3, 0, ["succeeded 10000"])
