"""Trust in new certificates, and their serial texts."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from pipeline.signing.certificates import certificate_sn, descends_from, root_sn, serial_hex
from pipeline.signing.keys import load_certificates

AT = datetime(2025, 11, 20, tzinfo=UTC)
SM2 = (Path(__file__).parent / "data" / "TEST-root-sm2.pem").read_bytes()
ROOTS = "keys/TEST-A-alipay-root-bundle.pem"
SUBJECT = "keys/TEST-A-alipay-platform-cert.pem"
ROOT_KEY, MIDDLE_KEY, SUBJECT_KEY = (
    f"keys/TEST-A-{name}-private-pkcs8.pem" for name in ("alipay-app", "alipay-platform", "alipay-platform-other")
)

Certificates = Callable[[str], tuple[x509.Certificate, ...]]
PrivateKeys = Callable[[str], RSAPrivateKey]
Issue = Callable[..., x509.Certificate]


def test_a_root_of_another_kind_is_ignored(certificates: Certificates) -> None:
    """An SM2 root is read, has no SN, and does not affect the RSA roots."""
    sm2, roots = load_certificates(SM2, "root.crt"), certificates(ROOTS)
    at = datetime(2027, 1, 1, tzinfo=UTC)

    assert root_sn(sm2 + roots) == root_sn(roots)
    assert descends_from(certificates(SUBJECT), sm2 + roots, at)
    assert not descends_from(sm2, sm2, at)


@pytest.mark.parametrize(
    ("middle_ca", "year", "at", "trusted"),
    [
        pytest.param(True, 2024, AT, True, id="by an intermediate"),
        pytest.param(False, 2024, AT, False, id="by a certificate that may not issue"),
        pytest.param(True, 2010, AT, False, id="expired"),
        pytest.param(True, 2026, AT, False, id="not valid yet"),
        pytest.param(True, 2024, datetime(2040, 1, 1, tzinfo=UTC), False, id="root expired"),
    ],
)
def test_a_chain_is_followed_to_a_root(
    private_key: PrivateKeys,
    issue: Issue,
    middle_ca: bool,
    year: int,
    at: datetime,
    trusted: bool,
) -> None:
    """A certificate is trusted if a valid chain of allowed issuers leads to a root."""
    root_key, middle_key, subject_key = (private_key(path) for path in (ROOT_KEY, MIDDLE_KEY, SUBJECT_KEY))
    root = issue("root", root_key.public_key(), "root", root_key, ca=True)
    middle = issue("middle", middle_key.public_key(), "root", root_key, ca=middle_ca)
    subject = issue("subject", subject_key.public_key(), "middle", middle_key, year=year)

    assert descends_from((subject, middle), (root,), at) is trusted
    assert not descends_from((subject,), (root,), at)


def test_a_name_alone_makes_no_issuer(private_key: PrivateKeys, issue: Issue) -> None:
    """A certificate with the root's name, but another signature, is refused; so is a self-signed one."""
    root_key, other_key = private_key(ROOT_KEY), private_key(MIDDLE_KEY)
    root = issue("root", root_key.public_key(), "root", root_key, ca=True)
    forged = issue("subject", other_key.public_key(), "root", other_key)
    own_root = issue("root", other_key.public_key(), "root", other_key, ca=True)

    assert [descends_from(chain, (root,), AT) for chain in ((forged,), (forged, own_root), (own_root,), ())] == [
        False,
        False,
        False,
        False,
    ]


def test_serial_numbers_have_each_platforms_form(private_key: PrivateKeys, issue: Issue) -> None:
    """WeChat Pay's are hex with capital letters; Alipay's SN differs for different serial numbers."""
    key = private_key(ROOT_KEY)
    one, other = (issue("a", key.public_key(), "a", key, serial=serial) for serial in (0x0ABC, 0x0ABD))

    assert (serial_hex(one), serial_hex(other)) == ("ABC", "ABD")
    assert certificate_sn(one) != certificate_sn(other)
