"""The two queries of Zhima Go: signature, reports, totals, pages and faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pipeline.simulator import Api, Decision, FaultKind, InjectedFault, Simulator
from tests.simulator.conftest import report

if TYPE_CHECKING:
    from tests.simulator.conftest import Merchant, MovableClock

AGREEMENT = "20255108518085620001"
REPORTS = "/v3/zhima/merchant/zmgo/cumulate/query"
STATE = "/v3/zhima/credit/pe/zmgo/agreement/query"
PARTNER = "2088000000000504"
QUERY = Api.CUMULATE_QUERY


def target(page: str = "&need_detail=true&page_no=1&page_size=20", *, agreement: str = AGREEMENT) -> str:
    return f"{REPORTS}?agreement_id={agreement}&user_id=2088000000005001&provider_pid={PARTNER}{page}"


def discounted(key: str) -> dict[str, Any]:
    discount = {"discount_name": "立减", "discount_type": "memberPoint", "discount_amount": "0.70"}
    trade = {"trade_no": "T1", "amount": "3.50"}
    return report(key, amount_type_data={"name": "消费", "trade_info": trade, "out_discount_infos": [discount]})


def test_the_applied_reports_of_an_agreement_are_listed(simulator: Simulator, merchant: Merchant) -> None:
    """The answer has totals as JSON numbers with two decimals, and the reports with their direction."""
    merchant.report(discounted("a"))
    merchant.report(report("b", cumulate_data_type="TASK", amount_type_data=None, task_type_data={"name": "签到"}))
    merchant.report({**discounted("c"), "biz_action": "ORDER_REFUND", "pay_out_biz_no": "a"})
    merchant.report(report("d", agreement_no="other"))

    answer = merchant.query(target())

    entry = {"biz_time": "2025-11-20 17:51:35", "data_type": "TASK"}
    amounts = {
        "sub_data_type": "AMOUNT",
        "task_times": 0,
        "task_amount": 3.5,
        "discount_amount": 0.7,
        "task_desc": "消费",
    }
    task = {"sub_data_type": "TIMES", "task_times": 1, "task_amount": 0, "discount_amount": 0, "task_desc": "签到"}
    assert (answer.status, answer.json) == (
        200,
        {
            "agreement_id": AGREEMENT,
            "aggr_amount": 0,
            "aggr_discount_amount": 0,
            "aggr_times": 1,
            "page_no": 1,
            "page_size": 20,
            "detail_list": [
                {**entry, **amounts, "out_biz_no": "a", "action_type": "POSITIVE"},
                {**entry, **task, "out_biz_no": "b", "action_type": "POSITIVE"},
                {**entry, **amounts, "out_biz_no": "c", "action_type": "REVERSE", "refer_out_biz_no": "a"},
            ],
        },
    )
    assert b'"task_amount":3.50' in answer.body
    assert [(e.api, e.key, e.decision) for e in simulator.journal.entries[-1:]] == [(QUERY, AGREEMENT, Decision.SERVED)]


def test_totals_alone_are_the_default(merchant: Merchant) -> None:
    """Without `need_detail` no report is listed."""
    merchant.report(discounted("a"))

    assert merchant.query(target("")).json == {
        "agreement_id": AGREEMENT, "aggr_amount": 3.5, "aggr_discount_amount": 0.7, "aggr_times": 0,
    }  # fmt: skip


def test_pages_have_20_reports_at_most(merchant: Merchant) -> None:
    """The pages follow the order of applying; the one behind the last is empty."""
    for number in range(21):
        merchant.report(report(f"r{number}"))

    pages = [merchant.query(target(f"&need_detail=true&page_no={n}&page_size=20")).json for n in (1, 2, 3)]

    assert [[each["out_biz_no"] for each in page["detail_list"]] for page in pages] == [
        [f"r{number}" for number in range(20)],
        ["r20"],
        [],
    ]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        pytest.param(f"{REPORTS}?provider_pid={PARTNER}", "INVALID_PARAMETER", id="no agreement"),
        pytest.param(f"{REPORTS}?agreement_id={AGREEMENT}", "INVALID_PARAMETER", id="no merchant"),
        pytest.param(target("&need_detail=true&page_no=1&page_size=21"), "INVALID_PARAMETER", id="page too long"),
        pytest.param(target("&need_detail=true&page_no=0&page_size=20"), "INVALID_PARAMETER", id="page 0"),
        pytest.param(STATE, "INVALID_PARAMETER", id="state of no agreement"),
    ],
)
def test_wrong_parameters_are_refused(wrong: str, code: str, merchant: Merchant) -> None:
    """A parameter that is missing or out of bounds is refused with status 400."""
    answer = merchant.query(wrong)

    assert (answer.status, answer.json["code"]) == (400, code)


@pytest.mark.parametrize(
    ("signed", "sent"), [(target(), target(agreement="other")), (target(), target("")), (target(""), target())]
)
def test_the_signature_covers_path_and_query(signed: str, sent: str, merchant: Merchant) -> None:
    """Another query than the signed one is refused."""
    assert merchant.query(sent, signed=signed).json["code"] == "invalid-signature"


def test_another_user_has_no_reports(merchant: Merchant) -> None:
    """Reports of an agreement are shown for its user and its merchant only."""
    merchant.report(report("a"))

    assert merchant.query(target().replace("5001", "5002")).json["detail_list"] == []
    assert merchant.query(target().replace(PARTNER, "2088000000000505")).json["detail_list"] == []


@pytest.mark.parametrize(
    ("fault", "keys"),
    [
        pytest.param(InjectedFault(FaultKind.UNLISTED, api=QUERY), [], id="never"),
        pytest.param(InjectedFault(FaultKind.UNLISTED, api=QUERY, seconds=60), ["a"], id="later"),
        pytest.param(InjectedFault(FaultKind.LISTED_TWICE, api=QUERY), ["a", "a", "b", "b"], id="twice"),
        pytest.param(InjectedFault(FaultKind.UNLISTED, api=QUERY, key="other"), ["a", "b"], id="another agreement"),
    ],
)
def test_reports_may_be_hidden_or_listed_twice(
    fault: InjectedFault, keys: list[str], simulator: Simulator, merchant: Merchant, clock: MovableClock
) -> None:
    """A fault hides all reports, or those that are not old enough, or lists each twice."""
    merchant.report(report("a"))
    clock.sleep(60)
    merchant.report(report("b"))
    simulator.set_faults([fault])

    assert [each["out_biz_no"] for each in merchant.query(target()).json["detail_list"]] == keys


def test_a_fault_makes_amounts_wrong_or_fails_beside_the_data(simulator: Simulator, merchant: Merchant) -> None:
    """Amounts get a cent more; a `fail_reason` stands beside full data."""
    merchant.report(report("a"))
    simulator.set_faults([InjectedFault(FaultKind.WRONG_AMOUNT, api=QUERY)])
    wrong = merchant.query(target())
    simulator.set_faults([InjectedFault(FaultKind.FAIL_REASON_BESIDE, api=QUERY, fail_reason="协议已结束")])
    failed = merchant.query(target())

    assert b'"task_amount":3.58' in wrong.body
    assert (failed.json["fail_reason"], len(failed.json["detail_list"])) == ("协议已结束", 1)


def test_an_agreement_is_valid_unless_a_fault_ends_it(simulator: Simulator, merchant: Merchant) -> None:
    """The state of an agreement is `Y`, or the code of the fault."""
    valid = merchant.query(f"{STATE}?agreement_id={AGREEMENT}").json
    simulator.set_faults([InjectedFault(FaultKind.AGREEMENT_STATUS, api=Api.AGREEMENT_QUERY, code="N")])
    ended = merchant.query(f"{STATE}?agreement_id={AGREEMENT}").json

    assert (valid, ended) == (
        {"agreement_id": AGREEMENT, "agreement_status": "Y"},
        {"agreement_id": AGREEMENT, "agreement_status": "N"},
    )
