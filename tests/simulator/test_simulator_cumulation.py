"""The cumulation sync: admission, content and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pipeline.simulator import Api, Decision, Simulator

if TYPE_CHECKING:
    from tests.simulator.conftest import Made, Merchant, MovableClock, Opened

REFUSED_REPORTS = {
    "no agreement": ({"agreement_no": None}, "INVALID_PARAMETER"),
    "an empty partner": ({"partner_id": ""}, "INVALID_PARAMETER"),
    "a number where a text belongs": ({"partner_id": 2088000000000504}, "INVALID_PARAMETER"),
    "a short user": ({"user_id": "208800000000500"}, "INVALID_PARAMETER"),
    "a user of another family": ({"user_id": "2089000000005001"}, "INVALID_PARAMETER"),
    "a user with full-width digits": ({"user_id": "2088" + "０" * 12}, "INVALID_PARAMETER"),
    "a partner that is no number": ({"partner_id": "2.088E+15"}, "INVALID_PARAMETER"),
    "an agreement that a spreadsheet rounded": ({"agreement_no": "2.02554E+19"}, "INVALID_PARAMETER"),
    "an agreement with a mark": ({"agreement_no": "'20255108518085620001"}, "INVALID_PARAMETER"),
    "a key with an invisible character": ({"out_biz_no": "ord\u200b7"}, "INVALID_PARAMETER"),
    "a payment with a blank behind it": ({"pay_out_biz_no": "ord-1 "}, "INVALID_PARAMETER"),
    "neither user": ({"user_id": None}, "INVALID_PARAMETER"),
    "both users": ({"open_id": "007x"}, "INVALID_PARAMETER"),
    "a time with a T": ({"biz_time": "2025-11-20T17:51:35"}, "INVALID_PARAMETER"),
    "a time without leading zero": ({"biz_time": "2025-11-20 7:51:35"}, "INVALID_PARAMETER"),
    "another source": ({"request_from": "Merchant"}, "INVALID_PARAMETER"),
    "an unknown action": ({"biz_action": "PAID"}, "INVALID_BIZ_ACTION"),
    "an unknown type": ({"cumulate_data_type": "MONEY"}, "INVALID_CUMULATE_TYPE"),
    "an amount without its object": ({"amount_type_data": None}, "INVALID_PARAMETER"),
    "a task without its object": ({"cumulate_data_type": "TASK"}, "INVALID_PARAMETER"),
    "a task without a name": ({"task_type_data": {}}, "INVALID_PARAMETER"),
    "a refund of nothing": ({"biz_action": "ORDER_REFUND"}, "INVALID_PARAMETER"),
    "a flag as text": ({"has_alipay_trade": "true"}, "INVALID_PARAMETER"),
    "ext_info that is no JSON": ({"ext_info": "a=b"}, "INVALID_PARAMETER"),
}
REFUSED_AMOUNTS = {
    "an amount as number": ({"trade_info": {"trade_no": "T", "amount": 3.57}}, "ORDER_AMOUNT_ILLEGAL"),
    "three decimals": ({"trade_info": {"trade_no": "T", "amount": "3.575"}}, "ORDER_AMOUNT_ILLEGAL"),
    "a sign": ({"trade_info": {"trade_no": "T", "amount": "-3.57"}}, "ORDER_AMOUNT_ILLEGAL"),
    "a trade number with a BOM": ({"trade_info": {"trade_no": "\ufeffT", "amount": "3.57"}}, "INVALID_PARAMETER"),
    "no trade number": ({"trade_info": {"amount": "3.57"}}, "INVALID_PARAMETER"),
    "discounts that are no list": ({"out_discount_infos": "none"}, "INVALID_PARAMETER"),
    "an unknown discount type": (
        {"out_discount_infos": [{"discount_name": "a", "discount_type": "cash", "discount_amount": "1"}]},
        "INVALID_PARAMETER",
    ),
    "a discount that is no amount": (
        {"out_discount_infos": [{"discount_name": "a", "discount_type": "memberPoint", "discount_amount": "1,0"}]},
        "DISCOUNT_AMOUNT_ILLEGAL",
    ),
}


def test_a_signed_report_is_applied_and_its_answer_verifies(
    simulator: Simulator, merchant: Merchant, opened: Opened, make: Made
) -> None:
    """A right report is applied, and the signed answer echoes agreement, key and user and names no certificate."""
    answer = merchant.report(make.report("ord-7"))

    assert opened.alipay_v3(answer) == {
        "agreement_no": "20255108518085620001",
        "out_biz_no": "ord-7",
        "user_id": "2088000000005001",
    }
    assert (answer.status, "alipay-sn" in answer.headers) == (200, False)
    assert simulator.journal.applied_keys(Api.CUMULATION) == ["ord-7"]


def test_an_agreement_of_the_longer_form_is_accepted(simulator: Simulator, merchant: Merchant, make: Made) -> None:
    """Agreements have 20 digits, or `ZMGO_AGR` and 28 digits."""
    answer = merchant.report(make.report("ord-7", agreement_no="ZMGO_AGR" + "1" * 28))

    assert (answer.status, simulator.journal.applied_keys(Api.CUMULATION)) == (200, ["ord-7"])


def test_certificate_mode_names_the_certificate_of_the_answer(merchant: Merchant, opened: Opened) -> None:
    """A request in certificate mode gets an answer that names the certificate it was signed with."""
    answer = merchant.report(certificates=True)

    assert answer.headers["alipay-sn"] == "50449db5bd68e2f4a5f49a8d7327ed49"
    assert opened.alipay_v3(answer, "alipay-platform-cert")["out_biz_no"] == "ord-1"


def test_an_encrypted_report_gets_an_encrypted_answer(merchant: Merchant, opened: Opened) -> None:
    """The answer to encrypted content is base64, and the signature covers the base64."""
    answer = merchant.report(encrypted=True)

    assert not answer.body.startswith(b"{")
    assert opened.alipay_v3(answer)["out_biz_no"] == "ord-1"


def test_an_app_auth_token_belongs_to_the_signed_text(merchant: Merchant) -> None:
    """A request with a token is admitted when the token was signed."""
    assert merchant.report(token="202511BBtoken").status == 200


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        pytest.param({"key": "alipay-platform"}, 401, "invalid-signature", id="another key"),
        pytest.param({"app_id": "2021000000000002"}, 400, "invalid-app-id", id="another app"),
        pytest.param({"app_id": ""}, 400, "missing-app-id", id="no app"),
        pytest.param({"app_cert_sn": "00"}, 400, "app-cert-not-exist", id="another certificate"),
        pytest.param({"timestamp": "1763632800"}, 400, "invalid-timestamp", id="seconds for milliseconds"),
        pytest.param({"timestamp": "1763604000000"}, 400, "illegal-timestamp", id="eight hours early"),
        pytest.param({"timestamp": ""}, 400, "missing-timestamp", id="no timestamp"),
        pytest.param({"nonce": ""}, 401, "invalid-signature", id="no nonce"),
    ],
)
def test_a_wrong_caller_gets_an_unsigned_refusal(
    changes: dict[str, Any], status: int, code: str, simulator: Simulator, merchant: Merchant
) -> None:
    """A wrong signature, app, certificate or clock is refused without a signed answer, and nothing is applied."""
    answer = merchant.report(**changes)

    assert (answer.status, answer.json["code"]) == (status, code)
    assert "alipay-signature" not in answer.headers
    assert [entry.decision for entry in simulator.journal.entries] == [Decision.REFUSED]


def test_a_nonce_is_good_for_one_request(merchant: Merchant) -> None:
    """The second request under one nonce is refused, although its signature is right."""
    answers = [merchant.report(nonce="n-1") for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 401]


def test_a_body_must_match_its_headers(merchant: Merchant, make: Made) -> None:
    """Encrypted content without `text/plain` is refused, and so is plain content declared as encrypted."""
    plain = merchant.report(make.report(), headers={"alipay-encrypt-type": "AES", "Content-Type": "text/plain"})
    wrong_type = merchant.report(make.report(), headers={"Content-Type": "text/html"})
    other_cipher = merchant.report(make.report(), headers={"alipay-encrypt-type": "DES"})

    assert [answer.json["code"] for answer in (plain, wrong_type, other_cipher)] == [
        "decryption-error-unknown",
        "invalid-format",
        "invalid-encrypt-type",
    ]


@pytest.mark.parametrize(("changes", "code"), REFUSED_REPORTS.values(), ids=REFUSED_REPORTS.keys())
def test_a_report_that_breaks_a_rule_is_refused_with_its_code(
    changes: dict[str, object], code: str, simulator: Simulator, merchant: Merchant, opened: Opened, make: Made
) -> None:
    """Each rule of the document has its code, in a signed answer, and the key stays free."""
    answer = merchant.report(make.report(**changes))

    assert (answer.status, opened.alipay_v3(answer)["code"]) == (400, code)
    assert simulator.journal.applied_keys() == []


@pytest.mark.parametrize(("amount", "code"), REFUSED_AMOUNTS.values(), ids=REFUSED_AMOUNTS.keys())
def test_amounts_and_discounts_are_checked(
    amount: dict[str, object], code: str, merchant: Merchant, opened: Opened, make: Made
) -> None:
    """Amounts are yuan as decimal texts of at most two places, discounts one of four types."""
    answer = merchant.report(make.report(amount_type_data={"name": "消费金额", **amount}))

    assert (answer.status, opened.alipay_v3(answer)["code"]) == (400, code)


def test_a_task_counts_by_its_name(merchant: Merchant, make: Made) -> None:
    """A task report needs no amount."""
    task = make.report(cumulate_data_type="TASK", amount_type_data=None, task_type_data={"name": "签到"})

    assert merchant.report(task).status == 200


def test_the_same_content_again_succeeds_and_is_not_applied_twice(
    simulator: Simulator, merchant: Merchant, make: Made
) -> None:
    """A repeat, even with members in another order, gets the same answer and counts as a repeat."""
    first = merchant.report(make.report())
    again = merchant.report(dict(reversed(make.report().items())))

    assert (first.status, again.status, again.body) == (200, 200, first.body)
    assert [entry.decision for entry in simulator.journal.entries] == [Decision.APPLIED, Decision.REPEATED]


def test_other_content_under_the_same_key_is_a_conflict(
    simulator: Simulator, merchant: Merchant, opened: Opened, make: Made
) -> None:
    """A key that was applied is refused with other content as IDEMPOTENT_ERROR."""
    merchant.report(make.report())
    answer = merchant.report(make.report(biz_time="2025-11-20 17:51:36"))

    assert (answer.status, opened.alipay_v3(answer)["code"]) == (400, "IDEMPOTENT_ERROR")
    assert simulator.journal.entries[1].decision is Decision.CONFLICT


def test_a_refused_key_can_be_used_again(merchant: Merchant, make: Made) -> None:
    """A key whose content was refused is free for fixed content."""
    refused = merchant.report(make.report(biz_action="PAID"))
    fixed = merchant.report(make.report())

    assert (refused.status, fixed.status) == (400, 200)


def test_a_refund_needs_its_payment(simulator: Simulator, merchant: Merchant, opened: Opened, make: Made) -> None:
    """A refund is refused before its payment is applied, and accepted afterwards under the same key."""
    refund = make.report("ref-1", biz_action="ORDER_REFUND", pay_out_biz_no="ord-1")

    early = merchant.report(refund)
    merchant.report(make.report("ord-1"))
    late = merchant.report(refund)

    assert (early.status, opened.alipay_v3(early)["code"], late.status) == (400, "PAY_ORDER_NOT_EXIST", 200)
    assert simulator.journal.applied_keys() == ["ord-1", "ref-1"]


def test_a_refund_is_no_payment_of_another_refund(merchant: Merchant, make: Made) -> None:
    """A refund of a refund is refused."""
    merchant.report(make.report("ord-1"))
    merchant.report(make.report("ref-1", biz_action="ORDER_REFUND", pay_out_biz_no="ord-1"))

    answer = merchant.report(make.report("ref-2", biz_action="ORDER_REFUND", pay_out_biz_no="ref-1"))

    assert answer.json["code"] == "PAY_ORDER_NOT_EXIST"


def test_the_clock_may_be_off_by_10_minutes(merchant: Merchant, clock: MovableClock) -> None:
    """A timestamp 10 minutes old is accepted, an older one is not."""
    now = int(clock.now().timestamp() * 1000)

    answers = [merchant.report(timestamp=str(now - age * 1000)) for age in (600, 601)]

    assert [answer.status for answer in answers] == [200, 400]
