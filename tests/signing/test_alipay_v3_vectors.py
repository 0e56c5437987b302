"""Alipay's protocol v3, compared with the golden vectors."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from pipeline.model import Opened, Reply, SignedRequest, Trust
from pipeline.signing.aes import decrypt
from pipeline.signing.alipay.v3 import CUMULATION_SYNC, AlipayV3, answer_text, signed_text
from pipeline.signing.certificates import certificate_sn

NOW = datetime(2025, 11, 20, 10, 0, tzinfo=UTC)
PLATFORM = "keys/TEST-A-alipay-platform-public.pem"
APP_KEY = "keys/TEST-A-alipay-app-private-pkcs8.pem"
TRUST = {
    "ok": Trust.VERIFIED,
    "bad_signature": Trust.BAD_SIGNATURE,
    "unknown_serial": Trust.UNKNOWN_SERIAL,
}

PrivateKeys = Callable[[str], RSAPrivateKey]
PublicKeys = Callable[[str], RSAPublicKey]
Certificates = Callable[[str], tuple[x509.Certificate, ...]]


def time_of(milliseconds: str) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(milliseconds))


def test_a_request_has_the_signature_of_the_vector(
    alipay_v3_sign: dict[str, Any], private_key: PrivateKeys, public_key: PublicKeys, certificates: Certificates
) -> None:
    """Text, signature and headers equal the vector, and the signed body is sent."""
    given, expect = alipay_v3_sign["input"], alipay_v3_sign["expect"]
    body = base64.b64decode(given["body_base64"])
    app_cert_sn = certificate_sn(certificates(given["app_cert"])[0]) if given["app_cert"] else None
    signer = AlipayV3(
        app_id=given["app_id"],
        private_key=private_key(given["private_key"]),
        platform=public_key(PLATFORM),
        app_cert_sn=app_cert_sn,
        app_auth_token=given["app_auth_token"],
    )
    method, target = given["http_method"], given["request_uri"]

    signed = signer.sign_call(method, target, body, at=time_of(given["timestamp_ms"]), nonce=given["nonce"])

    text = signed_text(expect["auth_string"], method, target, body, given["app_auth_token"])
    assert app_cert_sn == expect["app_cert_sn"]
    assert text == base64.b64decode(expect["string_to_sign_base64"])
    assert (signed.method, signed.target, signed.body) == (method, target, body)
    assert expect["headers"].items() <= signed.headers.items()
    assert signed.headers["Authorization"].endswith(f",sign={expect['signature']}")


def test_a_body_is_encrypted_before_it_is_signed(
    alipay_v3_encrypt: dict[str, Any], private_key: PrivateKeys, public_key: PublicKeys
) -> None:
    """The signed body is the ciphertext, which decrypts to the plain text."""
    given, expect = alipay_v3_encrypt["input"], alipay_v3_encrypt["expect"]
    plain, key = base64.b64decode(given["plaintext_base64"]), base64.b64decode(given["encrypt_key_base64"])
    signer = AlipayV3(
        app_id=given["app_id"],
        private_key=private_key(given["private_key"]),
        platform=public_key(PLATFORM),
        encrypt_key=key,
    )

    signed = signer.sign(plain, at=time_of(given["timestamp_ms"]), nonce=given["nonce"])

    sent = expect["body"].encode()
    auth = f"app_id={given['app_id']},nonce={given['nonce']},timestamp={given['timestamp_ms']}"
    headers = {
        **expect["headers"],
        "Accept": "application/json",
        "User-Agent": "loyalty-backfill",
        "alipay-request-id": given["nonce"],
    }
    assert signed == SignedRequest(method="POST", target=CUMULATION_SYNC, headers=headers, body=sent)
    assert signed_text(auth, given["http_method"], given["request_uri"], sent) == expect["string_to_sign"].encode()
    assert decrypt(key, sent) == plain


def test_an_answer_has_the_trust_of_the_vector(
    alipay_v3_response: dict[str, Any],
    private_key: PrivateKeys,
    public_key: PublicKeys,
    certificates: Certificates,
) -> None:
    """Trust, content and the verified text equal the vector."""
    given, expect = alipay_v3_response["input"], alipay_v3_response["expect"]
    known = given.get("known_alipay_certs", {})
    signer = AlipayV3(
        app_id="2021000000000001",
        private_key=private_key(APP_KEY),
        platform={sn: certificates(path)[0] for sn, path in known.items()} or public_key(given["alipay_public_key"]),
        encrypt_key=base64.b64decode(given.get("encrypt_key_base64", "")) or None,
    )
    headers = {name.lower(): value for name, value in given["headers"].items()}
    reply = Reply(given["http_status"], headers, base64.b64decode(given["body_base64"]))

    opened = signer.open(reply, at=NOW)

    content = expect["decrypted_text"].encode() if "decrypted_text" in expect else reply.body
    unsigned = Trust.UNSIGNED_ERROR if expect["result"] == "unsigned_error" else Trust.MISSING_SIGNATURE
    trust = TRUST.get(expect["reason"], unsigned)
    assert opened == Opened(trust, content, headers["alipay-sn"] if trust is Trust.UNKNOWN_SERIAL else None)
    assert (trust is Trust.VERIFIED) == (expect["result"] == "valid")
    assert answer_text(reply) == base64.b64decode(expect["verified_text_base64"])
