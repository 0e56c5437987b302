"""Shared fixtures of the signing tests: golden vectors, one test for each, and their keys."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from pipeline.model import Reply
from pipeline.signing.alipay.gateway import AlipayGateway
from pipeline.signing.keys import load_certificates, load_private_key, load_public_key
from pipeline.signing.wechatpay.v3 import WechatPay

VECTORS = Path(__file__).parents[1] / "vectors"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes the name of a vector file once for each vector in it."""
    for name in metafunc.fixturenames:
        path = VECTORS / f"{name}.json"
        if path.exists():
            vectors: list[dict[str, Any]] = json.loads(path.read_bytes())["vectors"]
            metafunc.parametrize(name, vectors, ids=[vector["id"] for vector in vectors])


@cache
def _private_key(path: str) -> RSAPrivateKey:
    return load_private_key((VECTORS / path).read_bytes(), path)


@pytest.fixture
def key_file() -> Callable[[str], bytes]:
    """Read a key file of the vectors."""
    return lambda path: (VECTORS / path).read_bytes()


@pytest.fixture
def private_key() -> Callable[[str], RSAPrivateKey]:
    """Load a private key of the vectors."""
    return _private_key


@pytest.fixture
def public_key() -> Callable[[str], RSAPublicKey]:
    """Load a public key of the vectors."""
    return lambda path: load_public_key((VECTORS / path).read_bytes(), path)


@pytest.fixture
def certificates() -> Callable[[str], tuple[x509.Certificate, ...]]:
    """Load all certificates in a file of the vectors."""
    return lambda path: load_certificates((VECTORS / path).read_bytes(), path)


@pytest.fixture
def rsa_sign() -> Callable[[RSAPrivateKey, bytes], str]:
    """Sign like a platform, with code that is not the client's."""
    return lambda key, text: base64.b64encode(key.sign(text, PKCS1v15(), SHA256())).decode()


@pytest.fixture
def issue() -> Callable[..., x509.Certificate]:
    """Issue a certificate for a subject's key, with an issuer's name and key."""
    return _issue


def _issue(
    subject: str,
    key: RSAPublicKey,
    issuer: str,
    issuer_key: RSAPrivateKey,
    *,
    serial: int = 7,
    ca: bool = False,
    year: int = 2024,
) -> x509.Certificate:
    name, issuer_name = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)]) for common_name in (subject, issuer)
    )
    return (
        x509.CertificateBuilder(issuer_name, name, key, serial)
        .not_valid_before(datetime(year, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(year + 10, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(issuer_key, SHA256())
    )


@pytest.fixture
def new_gateway() -> Callable[..., AlipayGateway]:
    """Make a gateway signer of the test app; a test changes what it needs."""
    defaults = {
        "app_id": "2021000000000001",
        "private_key": _private_key("keys/TEST-A-alipay-app-private-pkcs8.pem"),
        "platform": _private_key("keys/TEST-A-alipay-platform-private-pkcs8.pem").public_key(),
    }
    return lambda **changed: AlipayGateway(**defaults | changed)  # type: ignore[arg-type] # each test gives right types


@pytest.fixture
def gateway_answer(rsa_sign: Callable[[RSAPrivateKey, bytes], str]) -> Callable[..., Reply]:
    """Make an answer to the state sync, signed over the node or over other bytes."""

    def make(
        node: bytes, *, key: str = "alipay-platform", signed: bytes | None = None, cert_sn: str | None = None
    ) -> Reply:
        text = node if signed is None else signed
        sign = rsa_sign(_private_key(f"keys/TEST-A-{key}-private-pkcs8.pem"), text).encode()
        named = b'"alipay_cert_sn":"%s",' % cert_sn.encode() if cert_sn else b""
        body = b'{"zhima_data_state_data_sync_response":%s,%s"sign":"%s"}' % (node, named, sign)
        return Reply(200, {"content-type": "text/html"}, body)

    return make


@pytest.fixture
def new_wechatpay() -> Callable[..., WechatPay]:
    """Make a signer of the test merchant; a test changes what it needs."""
    defaults = {
        "mchid": "1900000001",
        "serial_no": "3775B6",
        "private_key": _private_key("keys/TEST-A-wechatpay-merchant-private-pkcs8.pem"),
    }
    return lambda **changed: WechatPay(**defaults | changed)  # type: ignore[arg-type] # each test gives right types


@pytest.fixture
def wechatpay_answer(rsa_sign: Callable[[RSAPrivateKey, bytes], str]) -> Callable[..., Reply]:
    """Make an answer signed by WeChat Pay's platform certificate 1; a test changes what it needs."""

    def make(
        body: bytes,
        *,
        key: str = "wechatpay-platform-1",
        serial: str = "5157F09EFDC096DE15EBE81A47057A7200000A02",
        status: int = 200,
        unix: int = 1763632800,
        **other: str,
    ) -> Reply:
        text = f"{unix}\nnonce\n".encode() + body + b"\n"
        headers = {
            "content-type": "application/json; charset=utf-8",
            "wechatpay-nonce": "nonce",
            "wechatpay-serial": serial,
            "wechatpay-signature": rsa_sign(_private_key(f"keys/TEST-A-{key}-private-pkcs8.pem"), text),
            "wechatpay-timestamp": str(unix),
        }
        return Reply(status, headers | {name.replace("_", "-"): value for name, value in other.items()}, body)

    return make


@pytest.fixture
def known() -> dict[str, RSAPublicKey]:
    """Return the key of WeChat Pay's platform certificate 1 by its serial number."""
    key = _private_key("keys/TEST-A-wechatpay-platform-1-private-pkcs8.pem")
    return {"5157F09EFDC096DE15EBE81A47057A7200000A02": key.public_key()}
