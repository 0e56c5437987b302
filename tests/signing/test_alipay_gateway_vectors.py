"""Alipay's gateway, compared with the golden vectors."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from pipeline.model import Opened, Reply, Trust
from pipeline.signing.alipay.gateway import AlipayGateway, signed_text
from pipeline.signing.alipay.gateway_answer import GatewayAnswer, read_answer
from pipeline.signing.certificates import certificate_sn, root_sn

NOW = datetime(2025, 11, 20, 10, 0, tzinfo=UTC)
BEIJING = timezone(timedelta(hours=8))
PLATFORM = "keys/TEST-A-alipay-platform-public.pem"
APP_KEY = "keys/TEST-A-alipay-app-private-pkcs8.pem"
OWN = {"app_id", "method", "charset", "sign_type", "app_auth_token", "format", "version", "timestamp", "encrypt_type"}
TRUST = {
    "ok": Trust.VERIFIED,
    "ok_after_unescaping_slashes": Trust.VERIFIED,
    "bad_signature": Trust.BAD_SIGNATURE,
    "unknown_cert_sn": Trust.UNKNOWN_SERIAL,
    "not_json": Trust.UNREADABLE,
}

PrivateKeys = Callable[[str], RSAPrivateKey]
PublicKeys = Callable[[str], RSAPublicKey]
Certificates = Callable[[str], tuple[x509.Certificate, ...]]


@pytest.fixture
def signer(
    alipay_gateway_sign: dict[str, Any], private_key: PrivateKeys, public_key: PublicKeys, certificates: Certificates
) -> AlipayGateway:
    """Return a signer for the account in the vector."""
    given = alipay_gateway_sign["input"]
    params = given["params"]
    return AlipayGateway(
        app_id=params["app_id"],
        private_key=private_key(given["private_key"]),
        platform=public_key(PLATFORM),
        charset=given["charset"],
        sign_type=given["sign_type"],
        app_cert_sn=certificate_sn(certificates(given["app_cert"])[0]) if "app_cert" in given else None,
        root_cert_sn=root_sn(certificates(given["root_file"])) if "root_file" in given else None,
        app_auth_token=params.get("app_auth_token"),
        encrypt_key=base64.b64decode(given.get("encrypt_key_base64", "")) or None,
        extra={name: value for name, value in params.items() if name not in OWN},
    )


def test_a_request_has_the_signature_of_the_vector(alipay_gateway_sign: dict[str, Any], signer: AlipayGateway) -> None:
    """Query, form and signature have the bytes of the vector, and the signed bytes are sent."""
    given, expect = alipay_gateway_sign["input"], alipay_gateway_sign["expect"]
    at = datetime.strptime(given["params"]["timestamp"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)

    signed = signer.sign(given["biz_content_plain"].encode(), at=at, nonce="")

    path, _, query = signed.target.partition("?")
    in_query, in_form = decoded(query), decoded(signed.body.decode("ascii"))
    sent = in_query | in_form
    sign = sent.pop("sign")
    assert (signed.method, path) == ("POST", "/gateway.do")
    assert signed.headers["Content-Type"] == f"application/x-www-form-urlencoded;charset={given['charset']}"
    assert in_query == decoded(expect["query_example"])
    assert in_form == decoded(expect["form_body_example"])
    assert signed_text(bytes_of(sent)) == base64.b64decode(expect["string_to_sign_base64"])
    assert sign == expect["sign"]


def test_an_answer_has_the_trust_of_the_vector(
    alipay_gateway_response: dict[str, Any],
    private_key: PrivateKeys,
    public_key: PublicKeys,
    certificates: Certificates,
) -> None:
    """Trust, content and the verified bytes equal the vector."""
    given, expect = alipay_gateway_response["input"], alipay_gateway_response["expect"]
    known = given.get("known_alipay_certs", {})
    signer = AlipayGateway(
        app_id="2021000000000001",
        private_key=private_key(APP_KEY),
        platform={sn: certificates(path)[0] for sn, path in known.items()} or public_key(given["alipay_public_key"]),
        charset=given["charset"],
        sign_type=given["sign_type"],
        encrypt_key=base64.b64decode(given.get("encrypt_key_base64", "")) or None,
    )
    reply = Reply(given["http_status"], {"content-type": "text/html"}, base64.b64decode(given["body_base64"]))

    opened = signer.open(reply, at=NOW)
    answer = read_answer(reply.body, given["api_method"], double_byte=given["charset"] == "GBK")

    unsigned = Trust.UNSIGNED_ERROR if expect["result"] == "unsigned_error" else Trust.MISSING_SIGNATURE
    trust = TRUST.get(expect["reason"], unsigned)
    plain = expect.get("decrypted_text", expect.get("signed_text"))
    cert_sn = expect.get("alipay_cert_sn")
    serial = cert_sn if trust is Trust.UNKNOWN_SERIAL else None
    assert opened == Opened(trust, None if plain is None else plain.encode(), serial)
    assert (trust is Trust.VERIFIED) == (expect["result"] == "valid")
    assert answer == (
        None
        if trust is Trust.UNREADABLE
        else GatewayAnswer(base64.b64decode(expect["signed_bytes_base64"]), expect["sign"], cert_sn)
    )


def decoded(form: str) -> dict[str, str]:
    """Return names and values of a form, with one character for each byte of a value."""
    return dict(parse_qsl(form, keep_blank_values=True, strict_parsing=True, encoding="latin-1"))


def bytes_of(params: dict[str, str]) -> dict[str, bytes]:
    return {name: value.encode("latin-1") for name, value in params.items()}
