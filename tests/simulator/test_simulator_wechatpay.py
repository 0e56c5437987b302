"""WeChat Pay: the points sync, and the download of the platform certificates."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pipeline.simulator import Api, Decision, FaultKind, InjectedFault, Simulator

if TYPE_CHECKING:
    from tests.simulator.conftest import Made, Merchant, MovableClock, Opened

KEYS = Path(__file__).parents[1] / "vectors" / "keys"
SERIAL_1 = "5157F09EFDC096DE15EBE81A47057A7200000A02"
SERIAL_2 = "41C8F5D2E0B7A6949382716051423300000000A3"
PUBLIC_KEY_ID = "PUB_KEY_ID_0114232134912410000000000011111111"


def test_a_signed_balance_is_applied_and_echoed(
    simulator: Simulator, merchant: Merchant, opened: Opened, make: Made
) -> None:
    """A right balance is applied, the signed answer echoes all six fields, and the journal knows the card's balance."""
    answer = merchant.points()

    assert (answer.status, opened.wechatpay(answer)) == (200, make.points())
    assert simulator.journal.applied_keys(Api.POINTS) == ["pt-1"]
    assert simulator.journal.balance("pTESTcard", "478515830001") == 1000


@pytest.mark.parametrize(
    ("serial", "key"),
    [
        pytest.param(PUBLIC_KEY_ID, "wechatpay-pubkey-public", id="public key"),
        pytest.param(SERIAL_1, "wechatpay-platform-1-cert", id="certificate 1"),
        pytest.param(SERIAL_2, "wechatpay-platform-2-cert", id="certificate 2"),
    ],
)
def test_the_request_chooses_the_key_of_the_answer(serial: str, key: str, merchant: Merchant, opened: Opened) -> None:
    """The answer is signed with the key that `Wechatpay-Serial` names, and names it."""
    answer = merchant.points(Wechatpay_Serial=serial)

    assert (answer.headers["wechatpay-serial"], opened.wechatpay(answer, key)["out_request_no"]) == (serial, "pt-1")


def test_an_unknown_serial_is_refused(merchant: Merchant) -> None:
    """A `Wechatpay-Serial` that names no key is refused, and the message names the header."""
    answer = merchant.points(Wechatpay_Serial="AA")

    assert (answer.status, answer.json["code"]) == (400, "INVALID_REQUEST")
    assert "Wechatpay-Serial" in answer.json["message"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"key": "wechatpay-platform-1"}, id="another key"),
        pytest.param({"mchid": "1900000002"}, id="another merchant"),
        pytest.param({"serial_no": SERIAL_1}, id="another certificate"),
        pytest.param({"timestamp": "1763632499"}, id="more than five minutes old"),
        pytest.param({"timestamp": "1763633101"}, id="more than five minutes ahead"),
        pytest.param({"timestamp": "now"}, id="a timestamp that is no number"),
        pytest.param({"timestamp": "9" * 400}, id="a timestamp beyond time"),
        pytest.param({"more": "1"}, id="a sixth item"),
    ],
)
def test_a_wrong_caller_gets_an_unsigned_sign_error(
    changes: dict[str, Any], simulator: Simulator, merchant: Merchant
) -> None:
    """A wrong signature, merchant, certificate or clock is 401 SIGN_ERROR without any Wechatpay header."""
    answer = merchant.points(**changes)

    assert (answer.status, answer.json["code"]) == (401, "SIGN_ERROR")
    assert [name for name in answer.headers if name.startswith("wechatpay")] == []
    assert [entry.decision for entry in simulator.journal.entries] == [Decision.REFUSED]


def test_the_clock_may_be_off_by_5_minutes(merchant: Merchant) -> None:
    """A timestamp exactly 5 minutes off is accepted."""
    assert merchant.points(timestamp="1763632500").status == 200


def test_a_nonce_is_good_for_one_request(simulator: Simulator, merchant: Merchant) -> None:
    """The second request under one nonce is refused and not applied, although its signature is right."""
    answers = [merchant.points(nonce_str="n1") for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 401]
    assert [entry.decision for entry in simulator.journal.entries] == [Decision.APPLIED, Decision.REFUSED]


@pytest.mark.parametrize("missing", ["User-Agent", "Accept", "Content-Type"])
def test_the_headers_of_the_basic_rules_are_required(missing: str, merchant: Merchant) -> None:
    """Without one of these headers a request is refused before its signature is checked."""
    headers = {"User-Agent": "t", "Accept": "application/json", "Content-Type": "application/json"}
    headers["Accept-Encoding"] = "identity"
    del headers[missing]

    answer = merchant.send("POST", "/v3/brand/partner/card-member/user-points/sync", headers, b"{}")

    assert (answer.status, answer.json["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"out_request_no": "a b"}, id="a blank in the number"),
        pytest.param({"out_request_no": "n" * 129}, id="a long number"),
        pytest.param({"brand_id": "1" * 17}, id="a long brand"),
        pytest.param({"card_id": ""}, id="no card"),
        pytest.param({"openid": "o\U0001f600"}, id="an emoji"),
        pytest.param({"openid": "\u200boTESTopenid"}, id="an invisible character"),
        pytest.param({"card_id": "pTESTcard\u3000"}, id="a blank behind a card"),
        pytest.param({"user_card_code": "４７８"}, id="full-width digits"),
        pytest.param({"user_card_code": "卡"}, id="a card code that is not ASCII"),
        pytest.param({"point_balance": "1000"}, id="a balance as text"),
        pytest.param({"point_balance": 10.0}, id="a balance with a point"),
        pytest.param({"point_balance": True}, id="a balance that is a flag"),
        pytest.param({"point_balance": -1}, id="less than nothing"),
        pytest.param({"point_balance": 2**53}, id="more than JSON carries"),
        pytest.param({"more": None}, id="a null"),
    ],
)
def test_a_balance_that_breaks_a_rule_is_a_parameter_error(
    changes: dict[str, object], merchant: Merchant, opened: Opened, make: Made
) -> None:
    """Each rule of the document is enforced, and the refusal is signed."""
    answer = merchant.points({**make.points(), **changes})

    assert (answer.status, opened.wechatpay(answer)["code"]) == (400, "PARAM_ERROR")


def test_the_same_balance_again_succeeds_and_other_content_does_not(
    simulator: Simulator, merchant: Merchant, opened: Opened, make: Made
) -> None:
    """A repeat is not applied twice; the same number with another balance is ALREADY_EXISTS."""
    answers = [merchant.points(make.points(point_balance=balance)) for balance in (10, 10, 11)]

    assert [answer.status for answer in answers] == [200, 200, 400]
    assert opened.wechatpay(answers[2])["code"] == "ALREADY_EXISTS"
    assert [entry.decision for entry in simulator.journal.entries] == [
        Decision.APPLIED,
        Decision.REPEATED,
        Decision.CONFLICT,
    ]


def test_a_balance_is_absolute_and_a_repeat_does_not_bring_back_an_old_one(
    simulator: Simulator, merchant: Merchant, make: Made
) -> None:
    """The card's balance is the last one applied, also 0; a late repeat of an older one changes nothing."""
    for key, balance in (("a", 10), ("b", 0), ("a", 10)):
        merchant.points(make.points(key, point_balance=balance))

    assert simulator.journal.balance("pTESTcard", "478515830001") == 0
    assert simulator.journal.balance("pTESTcard", "another") is None


def test_above_five_in_a_second_is_refused(
    simulator: Simulator, merchant: Merchant, clock: MovableClock, make: Made
) -> None:
    """The sixth request within 1.000 s gets 429 and is not applied; once the first is 1 s old, the next is accepted."""
    statuses = [merchant.points(make.points(f"a{number}")).status for number in range(6)]
    clock.sleep(0.999)
    statuses.append(merchant.points(make.points("b")).status)
    clock.sleep(0.001)
    statuses.append(merchant.points(make.points("c")).status)

    assert statuses == [200] * 5 + [429] * 2 + [200]
    assert simulator.journal.applied_keys() == ["a0", "a1", "a2", "a3", "a4", "c"]
    assert simulator.journal.summary()["peaks"] == [
        {"api": "wechatpay.points", "merchant": "1900000001", "requests_in_one_second": 7}
    ]


def test_certificates_are_encrypted_with_the_apiv3_key(merchant: Merchant, opened: Opened) -> None:
    """The APIv3 key decrypts the platform certificate of the download."""
    (entry,) = opened.wechatpay(merchant.certificates())["data"]

    assert (entry["serial_no"], _unsealed(entry)) == (
        SERIAL_1,
        (KEYS / "TEST-A-wechatpay-platform-1-cert.pem").read_bytes(),
    )
    assert (entry["effective_time"], entry["expire_time"]) == ("2024-01-01T08:00:03+08:00", "2043-12-27T08:00:03+08:00")


def test_a_change_of_keys_brings_the_new_certificate(
    simulator: Simulator, merchant: Merchant, opened: Opened, make: Made
) -> None:
    """After an answer with the new key, the download has both certificates, and the new one verifies."""
    simulator.set_faults([InjectedFault(FaultKind.UNKNOWN_SERIAL, api=Api.POINTS, fetchable=True)])

    answer = merchant.points(Wechatpay_Serial=SERIAL_1)
    entries = opened.wechatpay(merchant.certificates(Wechatpay_Serial=SERIAL_1), "wechatpay-platform-1-cert")["data"]

    assert answer.headers["wechatpay-serial"] == SERIAL_2
    assert opened.wechatpay(answer, "wechatpay-platform-2-cert") == make.points()
    assert [entry["serial_no"] for entry in entries] == [SERIAL_1, SERIAL_2]
    assert _unsealed(entries[1]) == (KEYS / "TEST-A-wechatpay-platform-2-cert.pem").read_bytes()


def _unsealed(entry: dict[str, dict[str, str]]) -> bytes:
    box = entry["encrypt_certificate"]
    key = AESGCM(b"TEST-A-apiv3-key-0123456789abcde")
    return key.decrypt(box["nonce"].encode(), base64.b64decode(box["ciphertext"]), box["associated_data"].encode())
