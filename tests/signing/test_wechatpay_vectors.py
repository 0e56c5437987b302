"""WeChat Pay's APIv3, compared with the golden vectors."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from pipeline.model import Reply, Trust
from pipeline.signing.keys import public_key_of
from pipeline.signing.wechatpay.certificates import unsealed_certificate
from pipeline.signing.wechatpay.v3 import WechatPay, answer_text, signed_text

MERCHANT_KEY = "keys/TEST-A-wechatpay-merchant-private-pkcs8.pem"
TRUST = {
    "ok": Trust.VERIFIED,
    "bad_signature": Trust.BAD_SIGNATURE,
    "signtest_probe": Trust.PROBE,
    "stale_timestamp": Trust.STALE,
    "unknown_serial": Trust.UNKNOWN_SERIAL,
}

PrivateKeys = Callable[[str], RSAPrivateKey]
PublicKeys = Callable[[str], RSAPublicKey]
Certificates = Callable[[str], tuple[x509.Certificate, ...]]


def items(authorization: str) -> tuple[str, dict[str, str]]:
    """Return the scheme and the five items, which may have any order."""
    scheme, _, rest = authorization.partition(" ")
    pairs = (item.partition("=") for item in rest.split(","))
    return scheme, {name: value for name, _, value in pairs}


def test_a_request_has_the_signature_of_the_vector(wechatpay_sign: dict[str, Any], private_key: PrivateKeys) -> None:
    """Text, signature and Authorization header equal the vector; the signed body is sent."""
    given, expect = wechatpay_sign["input"], wechatpay_sign["expect"]
    body, timestamp = base64.b64decode(given["body_base64"]), int(given["timestamp"])
    method, target = given["http_method"], given["request_uri"]
    signer = WechatPay(
        mchid=given["mchid"], serial_no=given["serial_no"], private_key=private_key(given["private_key"])
    )

    at = datetime.fromtimestamp(timestamp, UTC)
    signed = signer.sign_call(method, target, body, at=at, nonce=given["nonce_str"])

    text = signed_text(method, target, timestamp, given["nonce_str"], body)
    assert text == base64.b64decode(expect["string_to_sign_base64"])
    assert items(signed.headers["Authorization"]) == items(expect["authorization_header"])
    assert items(signed.headers["Authorization"])[1]["signature"] == f'"{expect["signature"]}"'
    assert (signed.method, signed.target, signed.body) == (method, target, body)


def test_an_answer_has_the_trust_of_the_vector(
    wechatpay_response: dict[str, Any],
    private_key: PrivateKeys,
    public_key: PublicKeys,
    certificates: Certificates,
) -> None:
    """Trust, content and the verified text equal the vector."""
    given, expect = wechatpay_response["input"], wechatpay_response["expect"]
    platform_keys = {
        name: public_key(path) if name.startswith("PUB_KEY_ID_") else public_key_of(certificates(path)[0], path)
        for name, path in given["known_keys"].items()
    }
    signer = WechatPay(
        mchid="1900000001", serial_no="01", private_key=private_key(MERCHANT_KEY), platform_keys=platform_keys
    )
    headers = {name.lower(): value for name, value in given["headers"].items()}
    reply = Reply(given["http_status"], headers, base64.b64decode(given["body_base64"]))

    opened = signer.open(reply, at=datetime.fromtimestamp(given["now_unix"], UTC))

    unsigned = Trust.UNSIGNED_ERROR if expect["result"] == "unsigned_error" else Trust.MISSING_SIGNATURE
    trust = TRUST.get(expect["reason"], unsigned)
    serial = headers["wechatpay-serial"] if trust is Trust.UNKNOWN_SERIAL else None
    assert (opened.trust, opened.content, opened.serial) == (trust, reply.body or None, serial)
    assert (trust is Trust.VERIFIED) == (expect["result"] == "valid")
    if expect["verified_text_base64"] is not None:
        assert answer_text(reply) == base64.b64decode(expect["verified_text_base64"])


def test_an_encrypted_certificate_is_that_of_the_vector(wechatpay_certificates: dict[str, Any]) -> None:
    """Each entry gives the certificate of the vector, or None if it does not decrypt."""
    given, expect = wechatpay_certificates["input"], wechatpay_certificates["expect"]

    opened = [unsealed_certificate(entry, given["apiv3_key"].encode()) for entry in given["response_body"]["data"]]

    pems = [certificate and certificate.public_bytes(Encoding.PEM).decode() for certificate in opened]
    assert pems == [sealed["pem"] for sealed in expect["certificates"]]
    assert [pem is not None for pem in pems] == [sealed["decrypts"] for sealed in expect["certificates"]]
