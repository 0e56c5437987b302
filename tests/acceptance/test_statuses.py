"""Every status, with its codes, as the outcome file tells them."""

from collections.abc import Mapping

import pytest

from pipeline.simulator import Api, InjectedFault, Kind
from tests.acceptance.night import ROWS, Night, balance, order, state

LOST = InjectedFault(Kind.LOSE_AFTER_APPLYING)
LOST_ONCE = InjectedFault(Kind.LOSE_AFTER_APPLYING, times=1)


@pytest.mark.parametrize(
    ("job", "code"), [("orders", "SUCCESS"), ("tasks", "SUCCESS"), ("states", "10000"), ("points", "SUCCESS")]
)
def test_succeeded_bears_the_platforms_code(job: str, code: str, night: Night) -> None:
    """A row that the platform confirms has succeeded, with the platform's own code."""
    assert night.fate_of_one_row(job) == (0, [f"succeeded {code}"])


@pytest.mark.parametrize(
    ("job", "code"),
    [("orders", "already_succeeded"), ("states", "unchanged"), ("points", "unchanged")],
)
def test_the_same_file_again_sends_nothing(job: str, code: str, night: Night) -> None:
    """What the ledger knows as delivered is skipped, and no request goes out."""
    night.fate_of_one_row(job)
    first = night.requests()

    assert night.fate_of_one_row(job) == (0, [f"skipped {code}"])
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
    night.export(f"{job}.csv", [row, dict(ROWS[job]) | {"out_biz_no": "B9"} if job != "points" else balance(9, 9)])

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
    ("job", "code", "status"),
    [
        pytest.param("orders", "INVALID_PARAMETER", 400, id="v3"),
        pytest.param("orders", "IDEMPOTENT_ERROR", 400, id="v3, key used"),
        pytest.param("orders", "EASY_MEMBER_CONSULT_FAIL", 400, id="v3, asked again once"),
        pytest.param("orders", "BRAND_NEW_CODE", 400, id="v3, in no document"),
        pytest.param("states", "ZMDATA.USER_ID_ERROR", 200, id="gateway"),
        pytest.param("states", "BRAND_NEW_CODE", 200, id="gateway, in no document"),
        pytest.param("points", "PARAM_ERROR", 400, id="wechat"),
        pytest.param("points", "RESOURCE_NOT_EXISTS", 404, id="wechat, not found"),
    ],
)
def test_rejected_bears_the_platforms_code(job: str, code: str, status: int, night: Night) -> None:
    """A row that the platform refuses for good is rejected under the platform's code, with its HTTP status."""
    night.simulator.set_faults([InjectedFault(Kind.REFUSE, code=code, status=status)])

    assert night.fate_of_one_row(job) == (3, [f"rejected {code}"])
    assert night.outcomes()[0]["http_status"] == str(status)


def test_rejected_by_its_status_alone(night: Night) -> None:
    """A refusal without a code is told by its status."""
    night.simulator.set_faults([InjectedFault(Kind.STATUS, status=422)])

    assert night.fate_of_one_row("orders") == (3, ["rejected http_422"])


@pytest.mark.parametrize(
    ("job", "api", "code"), [("orders", Api.CUMULATION, "FAIL_REASON"), ("states", Api.STATE, "BIZ_RESULT_FAILED")]
)
def test_a_success_that_says_it_was_not_taken_is_rejected(job: str, api: Api, code: str, night: Night) -> None:
    """Status 200 with a failure text is no success."""
    night.simulator.set_faults([InjectedFault(Kind.REFUSE, api=api, fail_reason="芝麻go协议已结束")])

    assert night.fate_of_one_row(job) == (3, [f"rejected {code}"])
