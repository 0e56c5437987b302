"""WeChat Pay's APIv3, beyond the golden vectors."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from pipeline.model import Opened, Reply, SignedRequest, Trust
from pipeline.signing.wechatpay.v3 import POINTS_SYNC, WechatPay

AT = datetime(2025, 11, 20, 10, 0, 0, 900_000, tzinfo=UTC)
UNIX = 1763632800
MERCHANT_KEY = "keys/TEST-A-wechatpay-merchant-private-pkcs8.pem"
SERIAL_1 = "5157F09EFDC096DE15EBE81A47057A7200000A02"
PUBLIC_KEY, PUBLIC_KEY_ID = "keys/TEST-A-wechatpay-pubkey-public.pem", "PUB_KEY_ID_0114232134912410000000000011111111"
APIV3_KEY = b"TEST-A-apiv3-key-0123456789abcde"
BODY = b'{"out_request_no":"p-17","point_balance":1000}'

PrivateKeys = Callable[[str], RSAPrivateKey]
PublicKeys = Callable[[str], RSAPublicKey]
RsaSign = Callable[[RSAPrivateKey, bytes], str]
NewWechatPay = Callable[..., WechatPay]
Answer = Callable[..., Reply]


def test_a_request_has_every_required_header(
    new_wechatpay: NewWechatPay, known: dict[str, RSAPublicKey], private_key: PrivateKeys, rsa_sign: RsaSign
) -> None:
    """The request has the five items, the User-Agent, and the preferred key for the answer."""
    signed = new_wechatpay(platform_keys=known).sign(BODY, at=AT, nonce="N1")

    text = f"POST\n{POINTS_SYNC}\n{UNIX}\nN1\n{BODY.decode()}\n".encode()
    signature = rsa_sign(private_key(MERCHANT_KEY), text)
    assert signed == SignedRequest(
        method="POST",
        target="/v3/brand/partner/card-member/user-points/sync",
        headers={
            "Accept": "application/json",
            "Authorization": (
                'WECHATPAY2-SHA256-RSA2048 mchid="1900000001",serial_no="3775B6",'
                f'timestamp="{UNIX}",nonce_str="N1",signature="{signature}"'
            ),
            "Content-Type": "application/json",
            "User-Agent": "loyalty-backfill",
            "Wechatpay-Serial": SERIAL_1,
        },
        body=BODY,
    )


def test_a_retry_has_the_same_body_and_a_new_signature(new_wechatpay: NewWechatPay) -> None:
    """The signature covers time and nonce of each attempt; the body stays."""
    signer = new_wechatpay()

    attempts = [
        signer.sign(BODY, at=AT, nonce="N1"),
        signer.sign(BODY, at=AT, nonce="N2"),
        signer.sign(BODY, at=AT + timedelta(seconds=1), nonce="N1"),
    ]

    assert len({attempt.headers["Authorization"] for attempt in attempts}) == 3
    assert {attempt.body for attempt in attempts} == {BODY}


def test_a_public_key_is_preferred_to_certificates(
    new_wechatpay: NewWechatPay, known: dict[str, RSAPublicKey], public_key: PublicKeys
) -> None:
    """With a public key, requests prefer it, and no certificates are fetched."""
    signer = new_wechatpay(platform_keys={PUBLIC_KEY_ID: public_key(PUBLIC_KEY), **known}, apiv3_key=APIV3_KEY)

    assert signer.sign(BODY, at=AT, nonce="N1").headers["Wechatpay-Serial"] == PUBLIC_KEY_ID
    assert not signer.keys_due(AT)


NOT_OPEN = (
    "WeChat Pay signs with a platform certificate: the switch to the public key is not open yet; open it in the "
    "merchant platform (API security)"
)


@pytest.fixture
def wechatpay_key(public_key: PublicKeys) -> dict[str, RSAPublicKey]:
    """Return WeChat Pay's public key by its id."""
    return {PUBLIC_KEY_ID: public_key(PUBLIC_KEY)}


def test_the_answer_chooses_the_key_during_the_change_over(
    new_wechatpay: NewWechatPay,
    known: dict[str, RSAPublicKey],
    wechatpay_key: dict[str, RSAPublicKey],
    wechatpay_answer: Answer,
) -> None:
    """With both kinds of keys each answer verifies; one by a certificate has the note that the switch is not open."""
    signer = new_wechatpay(platform_keys={**known, **wechatpay_key})
    by_public_key = {"key": "wechatpay-pubkey", "serial": PUBLIC_KEY_ID}

    opened = [signer.open(wechatpay_answer(BODY, **key), at=AT) for key in (by_public_key, {})]
    mixed_up = signer.open(wechatpay_answer(BODY, key="wechatpay-pubkey"), at=AT)

    assert opened == [Opened(Trust.VERIFIED, BODY), Opened(Trust.VERIFIED, BODY, note=NOT_OPEN)]
    assert mixed_up == Opened(Trust.BAD_SIGNATURE, BODY)


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        pytest.param(
            {},
            f"{NOT_OPEN}, or name the newest certificate in platform_cert_file, or set apiv3_key_env to download it",
            id="public key only",
        ),
        pytest.param({"apiv3_key": APIV3_KEY}, NOT_OPEN, id="certificates can be fetched"),
    ],
)
def test_before_the_switch_a_public_key_alone_verifies_nothing(
    new_wechatpay: NewWechatPay,
    wechatpay_key: dict[str, RSAPublicKey],
    wechatpay_answer: Answer,
    changed: dict[str, Any],
    note: str,
) -> None:
    """An answer by an unknown certificate says what to do: open the switch, or add the certificates."""
    opened = new_wechatpay(platform_keys=wechatpay_key, **changed).open(wechatpay_answer(BODY), at=AT)

    assert opened == Opened(Trust.UNKNOWN_SERIAL, BODY, SERIAL_1, note)


def test_after_the_switch_certificates_alone_verify_nothing(
    new_wechatpay: NewWechatPay, known: dict[str, RSAPublicKey], wechatpay_answer: Answer
) -> None:
    """An answer by an unknown public key says to download that key."""
    reply = wechatpay_answer(BODY, key="wechatpay-pubkey", serial=PUBLIC_KEY_ID)

    assert new_wechatpay(platform_keys=known).open(reply, at=AT) == Opened(
        Trust.UNKNOWN_SERIAL,
        BODY,
        PUBLIC_KEY_ID,
        "WeChat Pay signs with a public key that is not in the account; download it in the merchant platform (API "
        "security), and set public_key_id and public_key_file",
    )


def test_without_a_public_key_a_certificate_is_nothing_to_note(
    new_wechatpay: NewWechatPay, known: dict[str, RSAPublicKey], wechatpay_answer: Answer
) -> None:
    """An account that uses certificates gets no note, whether the certificate is known or not."""
    opened = [new_wechatpay(platform_keys=keys).open(wechatpay_answer(BODY), at=AT) for keys in (known, {})]

    assert opened == [Opened(Trust.VERIFIED, BODY), Opened(Trust.UNKNOWN_SERIAL, BODY, SERIAL_1)]


def test_without_a_key_none_is_named(new_wechatpay: NewWechatPay) -> None:
    """Before the first download the request names no key."""
    assert "Wechatpay-Serial" not in new_wechatpay(apiv3_key=APIV3_KEY).sign(BODY, at=AT, nonce="N1").headers


@pytest.mark.parametrize(
    ("changed", "trust"),
    [
        pytest.param({"unix": UNIX - 299}, Trust.VERIFIED, id="old, within the tolerance"),
        pytest.param({"unix": UNIX - 301}, Trust.STALE, id="too old"),
        pytest.param({"unix": UNIX + 302}, Trust.STALE, id="from the future"),
        pytest.param({"wechatpay_timestamp": "now"}, Trust.STALE, id="no number"),
        pytest.param({"wechatpay_timestamp": "٣"}, Trust.STALE, id="a number in other digits"),
        pytest.param({"wechatpay_timestamp": "1" * 5000}, Trust.STALE, id="a number of any length"),
        pytest.param({"wechatpay_signature": "WECHATPAY/SIGNTEST/x"}, Trust.PROBE, id="probe"),
        pytest.param({"wechatpay_signature": ""}, Trust.MISSING_SIGNATURE, id="empty header"),
        pytest.param({"serial": SERIAL_1.lower()}, Trust.VERIFIED, id="serial in small letters"),
        pytest.param({"serial": f"00{SERIAL_1}"}, Trust.VERIFIED, id="serial with leading zeros"),
    ],
)
def test_a_success_is_verified_if_fresh_and_signed(
    new_wechatpay: NewWechatPay,
    known: dict[str, RSAPublicKey],
    wechatpay_answer: Answer,
    changed: dict[str, Any],
    trust: Trust,
) -> None:
    """Age, probe and missing headers each have their own trust."""
    assert new_wechatpay(platform_keys=known).open(wechatpay_answer(BODY, **changed), at=AT) == Opened(trust, BODY)


@pytest.mark.parametrize(
    ("status", "content_type", "body", "opened"),
    [
        pytest.param(200, "text/html", b"<html></html>", Opened(Trust.UNREADABLE), id="a proxy's page"),
        pytest.param(200, "text/plain", BODY, Opened(Trust.UNREADABLE), id="JSON under another name"),
        pytest.param(
            200, "Application/JSON ;charset=utf-8", BODY, Opened(Trust.VERIFIED, BODY), id="JSON, spelt freely"
        ),
        pytest.param(200, "application/json", BODY[:-3], Opened(Trust.UNREADABLE), id="cut"),
        pytest.param(200, "application/json", b"", Opened(Trust.UNREADABLE), id="200 without a body"),
        pytest.param(204, "", b"", Opened(Trust.VERIFIED), id="204 without a body"),
        pytest.param(500, "application/json", BODY, Opened(Trust.UNSIGNED_ERROR, BODY), id="error, signed or not"),
        pytest.param(404, "", b"", Opened(Trust.UNSIGNED_ERROR), id="error without a body"),
        pytest.param(302, "text/html", b"", Opened(Trust.UNSIGNED_ERROR), id="redirect"),
    ],
)
def test_an_answer_is_read_as_its_status_and_type_allow(
    new_wechatpay: NewWechatPay,
    known: dict[str, RSAPublicKey],
    wechatpay_answer: Answer,
    status: int,
    content_type: str,
    body: bytes,
    opened: Opened,
) -> None:
    """A success must be JSON by its content type. An error is not verified, as in the platform's own SDKs."""
    reply = wechatpay_answer(body, status=status, content_type=content_type)

    assert new_wechatpay(platform_keys=known).open(reply, at=AT) == opened


def test_a_repr_shows_no_secret(new_wechatpay: NewWechatPay) -> None:
    """The repr shows no key."""
    assert repr(new_wechatpay(apiv3_key=APIV3_KEY)) == "WechatPay(mchid='1900000001')"
