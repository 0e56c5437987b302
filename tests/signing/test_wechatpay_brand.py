"""WeChat Pay's protocol for brands: golden vectors, and the verification of answers."""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from pipeline.model import Opened, Reply, Trust
from pipeline.signing.wechatpay.brand import WechatPayBrand
from pipeline.signing.wechatpay.v3 import signed_text
from tests.signing import brand_vectors

AT = datetime(2025, 11, 20, 10, 0, 0, 900_000, tzinfo=UTC)
UNIX = 1763632800
KEY_ID = "PUB_KEY_ID_00000000000000241011003972000000"
BODY = b'{"out_request_no":"p-17","point_balance":1000,"brand_id":"1004"}'

PrivateKeys = Callable[[str], RSAPrivateKey]
PublicKeys = Callable[[str], RSAPublicKey]
Answer = Callable[..., Reply]


@pytest.fixture
def signer(private_key: PrivateKeys, public_key: PublicKeys) -> WechatPayBrand:
    """Return the signer of the test brand."""
    return WechatPayBrand(
        brand_id="1004",
        serial_no="5B0A",
        private_key=private_key("keys/TEST-A-wechatpay-brand-private-pkcs8.pem"),
        public_key_id=KEY_ID,
        public_key=public_key("keys/TEST-A-wechatpay-brand-pubkey-public.pem"),
    )


@pytest.fixture
def brand_answer(wechatpay_answer: Answer) -> Answer:
    """Make an answer signed with the brand's WeChat Pay public key; a test changes what it needs."""
    return lambda body=BODY, **changes: wechatpay_answer(
        body, **{"key": "wechatpay-brand-pubkey", "serial": KEY_ID} | changes
    )


def items(authorization: str) -> tuple[str, dict[str, str]]:
    """Return the scheme and the five items, which may have any order."""
    scheme, _, rest = authorization.partition(" ")
    pairs = (item.partition("=") for item in rest.split(","))
    return scheme, {name: value for name, _, value in pairs}


def test_the_vectors_are_those_that_cryptography_makes() -> None:
    """The file of vectors is what the script makes."""
    assert json.loads(brand_vectors.FILE.read_bytes()) == brand_vectors.made()


def test_the_worked_example_is_the_document_s() -> None:
    """Text and signature of the first vector are those of docs/platform/wechatpay-brand-points.md."""
    expect = brand_vectors.made()["vectors"][0]["expect"]
    text = base64.b64decode(expect["string_to_sign_base64"])

    assert (len(text), hashlib.sha256(text).hexdigest(), expect["signature"]) == (
        258,
        "f9c51c358502672b636ed79ceecad6639478844d47553eb2907313de1d7fb0a2",
        "PmIes7gPTGbU3Wto3+LV3SeSNmt/l/MFr3RVX9wMoIwldqxd7mXA1FMilhqoS77o0TKiVs86wgFoy+I+nVJVwq7huHEFpHSRoEctpOpTtN1q"
        "WkUhSmhbxef/dmTI/gMvDmFeJeGuP8YF13NzMQm2/fIYVQ4lA8z+L0zxszUhVo6eDLOezfpDgsKK417E+CMy2/deZSwLkPNqQuF8Gxh2ue2y"
        "cvOqWz+OFt1rLgKX5XKkqbP5eeLB2/J1EVYq6q8n6+gZQ/8nAEMRi0jdhzhtzdgMgFoAl7ZA8D+/9h4IopDXcDBeTtyBLHVY98g5R+G8q1Hv"
        "RjVcTT6qbfvaUXa4WQ==",
    )


def test_a_request_has_the_signature_of_the_vector(
    wechatpay_brand_sign: dict[str, Any], private_key: PrivateKeys, public_key: PublicKeys
) -> None:
    """Text, signature and headers equal the vector; the signed body is sent."""
    given, expect = wechatpay_brand_sign["input"], wechatpay_brand_sign["expect"]
    body, timestamp = base64.b64decode(given["body_base64"]), int(given["timestamp"])
    signer = WechatPayBrand(
        brand_id=given["brand_id"],
        serial_no=given["serial_no"],
        private_key=private_key(given["private_key"]),
        public_key_id=KEY_ID,
        public_key=public_key("keys/TEST-A-wechatpay-brand-pubkey-public.pem"),
    )

    signed = signer.sign(body, at=datetime.fromtimestamp(timestamp, UTC), nonce=given["nonce_str"])

    text = signed_text(signed.method, signed.target, timestamp, given["nonce_str"], body)
    others = {name: value for name, value in signed.headers.items() if name != "Authorization"}
    assert text == base64.b64decode(expect["string_to_sign_base64"])
    assert items(signed.headers["Authorization"]) == items(expect["authorization_header"])
    assert (signed.method, signed.target, signed.body) == (given["http_method"], given["request_uri"], body)
    assert others == {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": "loyalty-backfill",
        "Wechatpay-Serial": KEY_ID,
    }


@pytest.mark.parametrize(
    ("changed", "opened"),
    [
        pytest.param({}, Opened(Trust.VERIFIED, BODY), id="signed with the brand's key"),
        pytest.param({"wechatpay_signature_type": "ODD"}, Opened(Trust.VERIFIED, BODY), id="another signature type"),
        pytest.param({"unix": UNIX - 299}, Opened(Trust.VERIFIED, BODY), id="old, within the tolerance"),
        pytest.param({"unix": UNIX - 301}, Opened(Trust.STALE, BODY), id="too old"),
        pytest.param({"unix": UNIX + 302}, Opened(Trust.STALE, BODY), id="from the future"),
        pytest.param({"key": "wechatpay-pubkey"}, Opened(Trust.BAD_SIGNATURE, BODY), id="another key under its id"),
        pytest.param(
            {"serial": "PUB_KEY_ID_1"}, Opened(Trust.UNKNOWN_SERIAL, BODY, "PUB_KEY_ID_1"), id="another key id"
        ),
        pytest.param({"wechatpay_signature": "WECHATPAY/SIGNTEST/x"}, Opened(Trust.PROBE, BODY), id="probe"),
        pytest.param({"wechatpay_serial": ""}, Opened(Trust.MISSING_SIGNATURE, BODY), id="no serial"),
        pytest.param({"status": 400}, Opened(Trust.UNSIGNED_ERROR, BODY), id="an error is not verified"),
        pytest.param({"content_type": "text/html"}, Opened(Trust.UNREADABLE), id="not declared as JSON"),
    ],
)
def test_an_answer_is_trusted_if_the_configured_key_signed_it(
    signer: WechatPayBrand, brand_answer: Answer, changed: dict[str, Any], opened: Opened
) -> None:
    """Only the configured public key under its own id verifies an answer, within 5 minutes."""
    assert signer.open(brand_answer(**changed), at=AT) == opened


def test_the_signature_covers_the_body(signer: WechatPayBrand, brand_answer: Answer) -> None:
    """An answer with one other byte does not verify."""
    reply = brand_answer()
    other = Reply(reply.status, reply.headers, reply.body.replace(b"1000", b"1001"))

    assert signer.open(other, at=AT) == Opened(Trust.BAD_SIGNATURE, other.body)


def test_there_are_no_keys_to_fetch(signer: WechatPayBrand, brand_answer: Answer) -> None:
    """The key is in the config: it can verify from the start, and a person renews it."""
    assert signer.can_verify()
    assert not signer.keys_due(AT + timedelta(days=365))
    assert signer.key_request(Opened(Trust.UNKNOWN_SERIAL, BODY, "X"), at=AT, nonce="N1") is None
    assert not signer.learn_keys(brand_answer(), at=AT)


def test_a_repr_shows_no_key(signer: WechatPayBrand) -> None:
    """The repr shows the brand and no key."""
    assert repr(signer) == "WechatPayBrand(brand_id='1004')"
