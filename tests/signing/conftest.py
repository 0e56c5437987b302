"""What the tests of signing share: the golden vectors, one test for each, and the keys they name."""

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

from pipeline.signing.keys import load_certificates, load_private_key, load_public_key

VECTORS = Path(__file__).parents[1] / "vectors"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes the name of a vector file once for each vector in that file."""
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
    """Sign as a platform does, with code that is not the client's."""
    return lambda key, text: base64.b64encode(key.sign(text, PKCS1v15(), SHA256())).decode()


@pytest.fixture
def issue() -> Callable[..., x509.Certificate]:
    """Issue a certificate for a subject's key, by an issuer's name and key."""
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
