"""Every status, with its codes, as the outcome file tells them."""

from collections.abc import Mapping, Sequence

import pytest

from pipeline.simulator import Api, Fault, Kind, Simulator
from tests.acceptance.night import Night, balance, order, refund, state, task

ONE_ROW: Mapping[str, Mapping[str, str]] = {
    "orders": order(1),
    "tasks": task(1),
    "states": state(1),
    "points": balance(1, 100),
}
LOST = Fault(Kind.LOSE_AFTER_APPLYING)


def fate_of_one_row(night: Night, job: str) -> tuple[int, list[str]]:
    """Run a job over one row that is right."""
    night.export(f"{job}.csv", [ONE_ROW[job]])
    ended = night.backfill("run", job)
    return ended.exit_code, night.fates()


@pytest.mark.parametrize(
    ("job", "code"), [("orders", "SUCCESS"), ("tasks", "SUCCESS"), ("states", "10000"), ("points", "SUCCESS")]
)
def test_succeeded_bears_the_platforms_code(job: str, code: str, night: Night) -> None:
    """A row that the platform confirms has succeeded, with the platform's own code."""
    assert fate_of_one_row(night, job) == (0, [f"succeeded {code}"])


@pytest.mark.parametrize(
    ("job", "code"),
    [("orders", "already_succeeded"), ("states", "already_succeeded"), ("points", "unchanged")],
)
def test_the_same_file_again_sends_nothing(job: str, code: str, night: Night) -> None:
    """What the ledger knows as delivered is skipped, and no request goes out."""
    fate_of_one_row(night, job)
    first = night.requests()

    assert fate_of_one_row(night, job) == (0, [f"skipped {code}"])
    assert night.requests() == first


def test_of_several_balances_of_a_card_the_newest_is_sent(night: Night) -> None:
    """Within a run older balances are superseded, by updated_at where it is there, else by their place."""
    rows = [balance(1, 10), balance(1, 20), balance(2, 7, updated_at="2025-11-20 10:00:00")]
    night.export("points.csv", [*rows, balance(2, 5, updated_at="2025-11-20 09:00:00")])

    ended = night.backfill("run", "points")

    assert (ended.exit_code, night.fates()) == (
        0,
        ["skipped superseded", "succeeded SUCCESS", "succeeded SUCCESS", "skipped superseded"],
    )
    assert [entry.points for entry in night.simulator.journal.entries] == [20, 7]


def test_a_row_twice_in_a_run_is_sent_once(night: Night) -> None:
    """The same key and content a second time is a duplicate row."""
    night.export("orders.csv", [order(1), order(1)])

    ended = night.backfill("run", "orders")

    assert (ended.exit_code, night.fates(), night.requests()) == (
        0,
        ["succeeded SUCCESS", "skipped duplicate_row"],
        ["A1"],
    )


def test_a_key_with_other_content_is_a_conflict_in_a_run_and_across_runs(night: Night) -> None:
    """The same key with other content is invalid, whether the first was in this run or an earlier one."""
    night.export("orders.csv", [order(1), order(1, trade_amount="9.99")])
    in_one_run = (night.backfill("run", "orders").exit_code, night.fates())
    night.export("orders.csv", [order(1, trade_amount="8.88")])

    across_runs = (night.backfill("run", "orders").exit_code, night.fates())

    assert in_one_run == (3, ["succeeded SUCCESS", "invalid key_conflict"])
    assert (across_runs, night.requests()) == ((3, ["invalid key_conflict"]), ["A1"])


@pytest.mark.parametrize(
    ("job", "row", "code"),
    [
        pytest.param("orders", order(1, biz_time=""), "field_missing", id="missing"),
        pytest.param("orders", order(1, user_id=""), "field_missing", id="no user"),
        pytest.param("orders", order(1, biz_action="ORDER_REFUND"), "field_missing", id="refund of nothing"),
        pytest.param("points", balance(1, 1, user_card_code="7" * 33), "field_too_long", id="too long"),
        pytest.param("states", state(1, biz_data=f'{{"a":"{"长" * 4096}"}}'), "field_too_long", id="biz_data too long"),
        pytest.param("orders", order(1, trade_amount="1.234"), "field_invalid", id="three decimals"),
        pytest.param("points", balance(1, 1, openid="oTEST😀"), "field_invalid", id="emoji"),
    ],
)
def test_invalid_rows_say_what_is_wrong(job: str, row: Mapping[str, str], code: str, night: Night) -> None:
    """A row that can't be sent as it is stays here; the others go on."""
    night.export(f"{job}.csv", [row, dict(ONE_ROW[job]) | {"out_biz_no": "B9"} if job != "points" else balance(9, 9)])

    ended = night.backfill("run", job)

    assert (ended.exit_code, night.fates()[0], night.fates()[1].split()[0]) == (3, f"invalid {code}", "succeeded")
    assert len(night.requests()) == 1


def test_what_the_gateways_charset_cannot_carry_is_not_decodable(night: Night) -> None:
    """A character that GBK does not know makes the row invalid before anything is sent."""
    night.configure({"accounts.zhima": {"charset": "gbk"}})
    night.export("states.csv", [state(1, biz_data='{"cinema":"光明😀"}'), state(2)])

    ended = night.backfill("run", "states")

    assert (ended.exit_code, night.fates()) == (3, ["invalid not_decodable", "succeeded 10000"])


@pytest.mark.parametrize(
    ("job", "fault", "code"),
    [
        pytest.param("orders", Fault(Kind.REFUSE, code="INVALID_PARAMETER"), "INVALID_PARAMETER", id="v3 code"),
        pytest.param("orders", Fault(Kind.REFUSE, code="IDEMPOTENT_ERROR"), "IDEMPOTENT_ERROR", id="v3 key used"),
        pytest.param("orders", Fault(Kind.REFUSE, code="BRAND_NEW_CODE"), "BRAND_NEW_CODE", id="v3 unknown code"),
        pytest.param("orders", Fault(Kind.REFUSE, code="EASY_MEMBER_CONSULT_FAIL"), "EASY_MEMBER_CONSULT_FAIL", id="v3 twice"),
        pytest.param("orders", Fault(Kind.STATUS, status=422), "http_422", id="v3 status alone"),
        pytest.param("states", Fault(Kind.REFUSE, code="ZMDATA.USER_ID_ERROR"), "ZMDATA.USER_ID_ERROR", id="gateway code"),
        pytest.param("points", Fault(Kind.REFUSE, code="PARAM_ERROR"), "PARAM_ERROR", id="wechat code"),
        pytest.param("points", Fault(Kind.REFUSE, code="RESOURCE_NOT_EXISTS", status=404), "RESOURCE_NOT_EXISTS", id="wechat 404"),
    ],
)  # fmt: skip
def test_rejected_bears_the_platforms_code(job: str, fault: Fault, code: str, night: Night) -> None:
    """A row that the platform refuses for good is rejected under the platform's code."""
    night.simulator.set_faults([fault])

    assert fate_of_one_row(night, job) == (3, [f"rejected {code}"])


@pytest.mark.parametrize(
    ("job", "api"), [pytest.param("orders", "alipay.cumulation", id="v3"), pytest.param("states", "alipay.state", id="gateway")]
)  # fmt: skip
def test_a_success_that_says_it_was_not_taken_is_rejected(job: str, api: str, night: Night) -> None:
    """Status 200 with a failure text is no success."""
    night.simulator.set_faults([Fault(Kind.REFUSE, api=Api(api), fail_reason="芝麻go协议已结束")])

    exit_code, (fate,) = fate_of_one_row(night, job)

    assert (exit_code, fate.split()[0]) == (3, "rejected")


SYSTEM_ERROR = Fault(Kind.STATUS, status=500, code="SYSTEM_ERROR")


@pytest.mark.parametrize(
    ("job", "faults", "code"),
    [
        pytest.param("orders", [LOST], "connection_lost", id="lost"),
        pytest.param("points", [LOST], "connection_lost", id="lost, points"),
        pytest.param("orders", [Fault(Kind.SLOW, seconds=0.6)], "timeout", id="slow"),
        pytest.param("orders", [Fault(Kind.CUT_BODY)], "cut_short", id="cut short"),
        pytest.param("orders", [Fault(Kind.HTML_BODY)], "answer_unreadable", id="html"),
        pytest.param("orders", [Fault(Kind.BAD_SIGNATURE)], "signature_invalid", id="v3 bad signature"),
        pytest.param("states", [Fault(Kind.BAD_SIGNATURE)], "signature_invalid", id="gateway bad signature"),
        pytest.param("points", [Fault(Kind.BAD_SIGNATURE)], "signature_invalid", id="wechat bad signature"),
        pytest.param("orders", [Fault(Kind.MISSING_SIGNATURE)], "signature_invalid", id="v3 no signature"),
        pytest.param("states", [Fault(Kind.MISSING_SIGNATURE)], "signature_invalid", id="gateway no signature"),
        pytest.param("points", [Fault(Kind.MISSING_SIGNATURE)], "signature_invalid", id="wechat no signature"),
        pytest.param("orders", [SYSTEM_ERROR], "SYSTEM_ERROR", id="v3 system error"),
        pytest.param("states", [SYSTEM_ERROR], "SYSTEM_ERROR", id="gateway system error"),
        pytest.param("points", [SYSTEM_ERROR], "SYSTEM_ERROR", id="wechat system error"),
        pytest.param("orders", [Fault(Kind.WRONG_ECHO)], "echo_differs", id="v3 echo"),
        pytest.param("points", [Fault(Kind.WRONG_ECHO)], "echo_differs", id="wechat echo"),
        pytest.param("states", [Fault(Kind.WRONG_ECHO)], "biz_result_unknown", id="gateway result"),
        pytest.param("orders", [Fault(Kind.STATUS, status=202)], "http_202", id="accepted, not done"),
        pytest.param("orders", [Fault(Kind.STATUS, status=204)], "http_204", id="no body"),
        pytest.param("orders", [Fault(Kind.STATUS, status=504)], "http_504", id="gateway timeout"),
        pytest.param("orders", [Fault(Kind.LOSE_AFTER_APPLYING, times=1), Fault(Kind.THROTTLE)], "connection_lost",
                     id="lost, then throttled"),
        pytest.param("orders", [Fault(Kind.LOSE_AFTER_APPLYING, times=1), Fault(Kind.REFUSE, code="IDEMPOTENT_ERROR")],
                     "IDEMPOTENT_ERROR", id="lost, then key used"),
    ],
)  # fmt: skip
def test_unknown_keeps_the_doubt(job: str, faults: Sequence[Fault], code: str, night: Night) -> None:
    """A row that may have been applied is unknown, never rejected and never succeeded."""
    night.configure({f"jobs.{job}": {"timeout_s": 0.3}} if code == "timeout" else None)
    night.simulator.set_faults(faults)

    assert fate_of_one_row(night, job) == (3, [f"unknown {code}"])


def test_doubt_of_an_earlier_run_stays_until_an_answer_settles_it(night: Night) -> None:
    """A row left unknown stays so through throttled reruns, and is settled by the first answer that counts."""
    night.simulator.set_faults([LOST])
    first = fate_of_one_row(night, "orders")
    night.simulator.set_faults([Fault(Kind.THROTTLE)])
    throttled = (night.backfill("rerun", "last").exit_code, night.fates())
    night.simulator.set_faults([])

    settled = (night.backfill("rerun", "last").exit_code, night.fates())

    assert (first[0], throttled[0], settled) == (3, 3, (0, ["succeeded SUCCESS"]))
    assert (first[1], throttled[1][0].split()[0]) == (["unknown connection_lost"], "unknown")
    assert night.simulator.journal.applied_keys() == ["A1"]


@pytest.mark.parametrize(
    ("payment", "fault"),
    [
        pytest.param(order(1), Fault(Kind.REFUSE, key="A1", code="INVALID_PARAMETER"), id="rejected"),
        pytest.param(order(1), Fault(Kind.LOSE_AFTER_APPLYING, key="A1"), id="unknown"),
        pytest.param(order(1, trade_amount="-1"), None, id="invalid"),
    ],
)
def test_a_refund_is_blocked_where_its_payment_did_not_succeed(
    payment: Mapping[str, str], fault: Fault | None, night: Night
) -> None:
    """The refund is not sent, whatever its payment failed of."""
    night.simulator.set_faults([fault] if fault else [])
    night.export("orders.csv", [payment, refund(1, of=1)])

    ended = night.backfill("run", "orders")

    assert (ended.exit_code, night.fates()[1]) == (3, "blocked payment_not_succeeded")
    assert "R1" not in night.requests()


@pytest.mark.parametrize("job", ["orders", "states", "points"])
def test_throttled_to_the_last_attempt_is_unsent(job: str, night: Night) -> None:
    """A row whose every attempt was throttled was surely not applied."""
    night.simulator.set_faults([Fault(Kind.THROTTLE)])

    assert fate_of_one_row(night, job) == (3, ["unsent throttled"])
    assert night.summary()["quota"]["throttled"] == 2


@pytest.mark.parametrize("job", ["orders", "states", "points"])
def test_never_connected_is_unsent(job: str, night: Night) -> None:
    """A row for which no connection came about was surely not applied."""
    with Simulator() as gone:
        url = gone.url
    night.configure({"accounts.zhima": {"base_url": url}, "accounts.card": {"base_url": url}})

    assert fate_of_one_row(night, job) == (3, ["unsent not_connected"])


def test_the_deadline_leaves_rows_unsent(night: Night) -> None:
    """Rows whose turn did not come before --until are unsent for the deadline, and resume sends them."""
    night.export("orders.csv", [order(1), order(2)])

    ended = night.backfill("run", "orders", "--until", night.now())
    fates = night.fates()
    resumed = night.backfill("resume", "last")

    assert (ended.exit_code, fates, resumed.exit_code, night.fates()) == (
        5,
        ["unsent deadline"] * 2,
        0,
        ["succeeded SUCCESS"] * 2,
    )


def test_rows_behind_a_halt_are_unsent_as_stopped(night: Night) -> None:
    """Where the platform refuses the caller, the row in hand and all others are unsent."""
    night.simulator.set_faults([Fault(Kind.REFUSE, code="invalid-signature", status=401)])
    night.export("orders.csv", [order(1), order(2), order(3)])

    ended = night.backfill("run", "orders")

    assert (ended.exit_code, night.fates(), len(night.requests())) == (4, ["unsent stopped"] * 3, 1)


def test_an_earlier_state_in_doubt_blocks_the_later_one(night: Night) -> None:
    """A later state of an object waits while an earlier one is unknown."""
    night.simulator.set_faults([Fault(Kind.LOSE_AFTER_APPLYING, key="S1|BUY")])
    night.export("states.csv", [state(1), state(1, "DONE")])

    ended = night.backfill("run", "states")

    assert (ended.exit_code, night.fates()) == (3, ["unknown connection_lost", "blocked earlier_state_open"])
