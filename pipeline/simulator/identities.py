"""The identities of the test merchant and of the platforms, with their keys."""

import base64
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from pipeline.simulator import crypto

KEYS = Path(__file__).parent / "keys"


@dataclass(frozen=True, slots=True)
class PlatformKey:
    """A key that signs answers, its name in answers, and its certificate (PEM) if it has one."""

    name: str
    private: RSAPrivateKey = field(repr=False)
    certificate: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Identities:
    """
    One merchant as the platforms know it, also as a brand of its own, and the platforms' keys.

    The `_next` keys are the platforms' future keys; they are served only after a fault introduces them. The reissued
    certificate of Alipay has the key of the present one.
    """

    app_id: str
    app_key: RSAPublicKey = field(repr=False)
    app_cert_sn: str
    root_cert_sn: str
    encrypt_key: bytes = field(repr=False)
    alipay: PlatformKey
    alipay_next: PlatformKey
    alipay_reissued: PlatformKey
    mchid: str
    merchant_serial: str
    merchant_key: RSAPublicKey = field(repr=False)
    apiv3_key: bytes = field(repr=False)
    wechatpay: PlatformKey
    wechatpay_next: PlatformKey
    wechatpay_public: PlatformKey
    brand_id: str
    brand_serial: str
    brand_key: RSAPublicKey = field(repr=False)
    brand_public: PlatformKey


@cache
def default_identities() -> Identities:
    """Return the test identities with the keys of the package. The keys protect nothing."""
    return Identities(
        app_id="2021000000000001",
        app_key=_public_key("alipay-app-public"),
        app_cert_sn=crypto.certificate_sn(_certificate("alipay-app-cert")),
        root_cert_sn=crypto.root_sn(x509.load_pem_x509_certificates(_pem("alipay-root-bundle"))),
        encrypt_key=base64.b64decode("AAECAwQFBgcICQoLDA0ODw=="),
        alipay=_alipay_key("platform"),
        alipay_next=_alipay_key("platform-other"),
        alipay_reissued=_alipay_key("platform", certificate="platform-reissued"),
        mchid="1900000001",
        merchant_serial=_serial(_certificate("wechatpay-merchant-cert")),
        merchant_key=_public_key("wechatpay-merchant-public"),
        apiv3_key=b"TEST-A-apiv3-key-0123456789abcde",
        wechatpay=_wechatpay_key("platform-1"),
        wechatpay_next=_wechatpay_key("platform-2"),
        wechatpay_public=PlatformKey(
            "PUB_KEY_ID_0114232134912410000000000011111111", _private_key("wechatpay-pubkey-private-pkcs8")
        ),
        brand_id="1004",
        brand_serial=_serial(_certificate("wechatpay-brand-cert")),
        brand_key=_public_key("wechatpay-brand-public"),
        brand_public=PlatformKey(
            "PUB_KEY_ID_01142321349124100000000000222222", _private_key("wechatpay-brand-pubkey-private-pkcs8")
        ),
    )


def _alipay_key(name: str, *, certificate: str | None = None) -> PlatformKey:
    pem = _pem(f"alipay-{certificate or name}-cert")
    sn = crypto.certificate_sn(x509.load_pem_x509_certificate(pem))
    return PlatformKey(sn, _private_key(f"alipay-{name}-private-pkcs8"), pem)


def _wechatpay_key(name: str) -> PlatformKey:
    pem = _pem(f"wechatpay-{name}-cert")
    serial = _serial(x509.load_pem_x509_certificate(pem))
    return PlatformKey(serial, _private_key(f"wechatpay-{name}-private-pkcs8"), pem)


def _serial(certificate: x509.Certificate) -> str:
    return f"{certificate.serial_number:040X}"


def _certificate(name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(_pem(name))


def _public_key(name: str) -> RSAPublicKey:
    key = serialization.load_pem_public_key(_pem(name))
    if not isinstance(key, RSAPublicKey):
        raise TypeError(f"{name} is not an RSA key")
    return key


def _private_key(name: str) -> RSAPrivateKey:
    key = serialization.load_pem_private_key(_pem(name), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError(f"{name} is not an RSA key")
    return key


def _pem(name: str) -> bytes:
    return (KEYS / f"TEST-A-{name}.pem").read_bytes()
