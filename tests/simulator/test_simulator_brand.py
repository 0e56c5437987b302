"""WeChat Pay's API for brands: the points sync of a brand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pipeline.simulator import Api, Decision, FaultKind, InjectedFault, Simulator
from tests.simulator.conftest import BRAND_KEY_ID, MERCHANT_SERIAL, PUBLIC_KEY_ID

if TYPE_CHECKING:
    from tests.simulator.conftest import Made, Merchant, MovableClock, Opened

BRAND_PUBLIC = "wechatpay-brand-pubkey-public"


def test_a_signed_balance_is_applied_and_echoed_with_the_brand(
    simulator: Simulator, merchant: Merchant, opened: Opened, make: Made
) -> None:
    """The answer repeats the five fields and names the brand; the brand's public key signs it, with a free number 0."""
    answer = merchant.brand_points()

    assert (answer.status, opened.wechatpay(answer, BRAND_PUBLIC)) == (200, {**make.brand_points(), "brand_id": "1004"})
    assert answer.headers["wechatpay-serial"] == BRAND_KEY_ID
    assert answer.headers["wechatpay-signature-type"] == "WECHATPAY-BRAND-SHA256-RSA2048"
    assert answer.headers["request-id"].split("-")[1:] == ["0"]
    assert simulator.journal.applied_keys(Api.BRAND_POINTS) == ["bp-1"]
    assert simulator.journal.balance("pTESTcard", "478515830001") == 1000


def test_the_brand_in_the_body_is_a_parameter_error(merchant: Merchant, opened: Opened, make: Made) -> None:
    """A field that the document lacks is refused, with the inner error number at the end of Request-ID."""
    for field in ("brand_id", "remark"):
        answer = merchant.brand_points({**make.brand_points(), field: "1004"})

        assert (answer.status, opened.wechatpay(answer, BRAND_PUBLIC)["code"]) == (400, "PARAM_ERROR")
        assert answer.headers["request-id"].split("-")[1:] == ["270924358"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"scheme": "WECHATPAY2-SHA256-RSA2048"}, id="the scheme of merchants"),
        pytest.param({"caller": "mchid"}, id="a merchant beside the brand"),
        pytest.param({"key": "wechatpay-merchant"}, id="the key of the merchant"),
        pytest.param({"serial_no": MERCHANT_SERIAL}, id="the certificate of the merchant"),
        pytest.param({"brand_id": "1005"}, id="another brand"),
        pytest.param({"timestamp": "1763632499"}, id="more than five minutes old"),
    ],
)
def test_a_wrong_caller_gets_an_unsigned_sign_error(
    changes: dict[str, Any], simulator: Simulator, merchant: Merchant
) -> None:
    """A wrong scheme, key, certificate, brand or clock is 401 SIGN_ERROR without any Wechatpay header."""
    answer = merchant.brand_points(**changes)

    assert (answer.status, answer.json["code"]) == (401, "SIGN_ERROR")
    assert [name for name in answer.headers if name.startswith("wechatpay")] == []
    assert [entry.decision for entry in simulator.journal.entries] == [Decision.REFUSED]


def test_the_merchant_s_own_request_is_refused_at_the_brand_s_path(merchant: Merchant, make: Made) -> None:
    """A right APIv3 request sent to the brand's path is 401 SIGN_ERROR."""
    answer = merchant.brand_points(
        make.brand_points(),
        scheme="WECHATPAY2-SHA256-RSA2048",
        caller="mchid",
        mchid="1900000001",
        key="wechatpay-merchant",
        serial_no=MERCHANT_SERIAL,
    )

    assert (answer.status, answer.json["code"]) == (401, "SIGN_ERROR")


@pytest.mark.parametrize("serial", ["", "PUB_KEY_ID_1", PUBLIC_KEY_ID])
def test_another_public_key_is_an_invalid_request(serial: str, simulator: Simulator, merchant: Merchant) -> None:
    """A `Wechatpay-Serial` that is empty or not this brand's is 400 INVALID_REQUEST that names the header."""
    answer = merchant.brand_points(Wechatpay_Serial=serial)

    assert (answer.status, answer.json["code"]) == (400, "INVALID_REQUEST")
    assert "Wechatpay-Serial" in answer.json["message"]
    assert [entry.decision for entry in simulator.journal.entries] == [Decision.REFUSED]


def test_a_balance_that_breaks_a_rule_is_a_parameter_error(merchant: Merchant, make: Made) -> None:
    """The rules of the fields are those of the provider's call."""
    answers = [
        merchant.brand_points(make.brand_points(**changes))
        for changes in ({"point_balance": -1}, {"out_request_no": "a b"}, {"card_id": None})
    ]

    assert [(answer.status, answer.json["code"]) for answer in answers] == [(400, "PARAM_ERROR")] * 3


def test_the_same_balance_again_succeeds_and_other_content_does_not(
    simulator: Simulator, merchant: Merchant, make: Made
) -> None:
    """A repeat is not applied twice; the same number with another balance is ALREADY_EXISTS."""
    answers = [merchant.brand_points(make.brand_points(point_balance=balance)) for balance in (10, 10, 11)]

    assert [answer.status for answer in answers] == [200, 200, 400]
    assert answers[2].json["code"] == "ALREADY_EXISTS"
    assert [entry.decision for entry in simulator.journal.entries] == [
        Decision.APPLIED,
        Decision.REPEATED,
        Decision.CONFLICT,
    ]


def test_above_ten_in_a_second_is_refused_and_the_provider_is_counted_apart(
    simulator: Simulator, merchant: Merchant, clock: MovableClock, make: Made
) -> None:
    """The eleventh request within 1.000 s gets 429; the provider's own 5 are another quota."""
    statuses = [merchant.brand_points(make.brand_points(f"a{number}")).status for number in range(11)]
    statuses += [merchant.points(make.points(f"p{number}")).status for number in range(6)]
    clock.sleep(1.0)
    statuses.append(merchant.brand_points(make.brand_points("b")).status)

    assert statuses == [200] * 10 + [429] + [200] * 5 + [429, 200]
    assert simulator.journal.summary()["peaks"] == [
        {"api": "wechatpay.brand_points", "merchant": "1004", "requests_in_one_second": 11},
        {"api": "wechatpay.points", "merchant": "1900000001", "requests_in_one_second": 6},
    ]


def test_faults_hit_the_brand_s_api_alone(simulator: Simulator, merchant: Merchant, opened: Opened) -> None:
    """A fault of this API hits no other; an answer with another balance than sent keeps its signature."""
    simulator.set_faults([InjectedFault(FaultKind.WRONG_ECHO, api=Api.BRAND_POINTS)])

    assert opened.wechatpay(merchant.points())["out_request_no"] == "pt-1"
    assert opened.wechatpay(merchant.brand_points(), BRAND_PUBLIC)["out_request_no"] == "bp-1-other"
