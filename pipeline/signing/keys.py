"""
Loaders of keys and certificates, from PEM or from the bare base64 of Alipay's key tool.

Each loader raises SettingsError with one sentence that names the file and what to do. No message contains key material.
"""

import base64
import binascii
import re
from datetime import datetime
from functools import lru_cache
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from pipeline.errors import SettingsError
from pipeline.language import later, t

# Shortest RSA key that both platforms accept.
MIN_BITS: Final = 2048

_BLOCK = re.compile(rb"-----BEGIN (?P<label>[A-Z0-9 ]+)-----(?P<body>.*?)-----END (?P=label)-----", re.DOTALL)
_NOT_THIS = (ValueError, UnsupportedAlgorithm)
_LOCKED: Final = later("a private key with a password")
_UNREADABLE: Final = later("nothing that can be read as a key")

_Rsa = TypeVar("_Rsa", RSAPrivateKey, RSAPublicKey)


def load_private_key(data: bytes, name: str) -> RSAPrivateKey:
    """
    Return the RSA private key in `data` (PKCS#1 or PKCS#8, at least 2048 bits). `name` is the file's name.

    Raises SettingsError.
    """
    items = _items_in(data)
    keys = [item for item in items if isinstance(item, RSAPrivateKey)]
    if keys:
        return _large_enough(keys[0], name)
    if _LOCKED in items:
        raise SettingsError(
            [
                t(
                    "{name} holds {what}; remove the password (openssl pkcs8) and give the plain key",
                    name=name,
                    what=t(_LOCKED),
                )
            ]
        )
    raise SettingsError(
        [t("{name} holds {items}; give the RSA private key, as PEM or bare base64", name=name, items=_describe(items))]
    )


def load_public_key(data: bytes, name: str) -> RSAPublicKey:
    """
    Return the RSA public key in `data`, of at least 2048 bits. `name` is the file's name.

    Raises SettingsError, also for a certificate: it belongs to certificate mode, where answers name it and it can
    expire.
    """
    items = _items_in(data)
    keys = [item for item in items if isinstance(item, RSAPublicKey)]
    if keys:
        return _large_enough(keys[0], name)
    if any(isinstance(item, x509.Certificate) for item in items):
        raise SettingsError(
            [t("{name} holds a certificate; give the public key, or name the file as a certificate", name=name)]
        )
    raise SettingsError(
        [
            t(
                "{name} holds {items}; give the platform's RSA public key, as PEM or bare base64",
                name=name,
                items=_describe(items),
            )
        ]
    )


def load_certificates(data: bytes, name: str) -> tuple[x509.Certificate, ...]:
    """
    Return all certificates in `data`, in file order, with keys of any kind. `name` is the file's name.

    Raises SettingsError.
    """
    items = _items_in(data)
    certificates = tuple(item for item in items if isinstance(item, x509.Certificate))
    if not certificates:
        raise SettingsError(
            [t("{name} holds {items}; give the certificate, as PEM", name=name, items=_describe(items))]
        )
    if _UNREADABLE in items:
        raise SettingsError(
            [
                t(
                    "{name}: part {number} of it is damaged; fetch the file again",
                    name=name,
                    number=items.index(_UNREADABLE) + 1,
                )
            ]
        )
    return certificates


def public_key_of(certificate: x509.Certificate, name: str) -> RSAPublicKey:
    """Return the certificate's RSA key, of at least 2048 bits. `name` is the file's name. Raises SettingsError."""
    try:
        key = certificate.public_key()
    except _NOT_THIS:
        key = None
    if not isinstance(key, RSAPublicKey):
        raise SettingsError(
            [t("{name} holds a certificate whose key is no RSA key; give the RSA certificate", name=name)]
        )
    return _large_enough(key, name)


def check_validity(certificate: x509.Certificate, name: str, at: datetime) -> str | None:
    """Return the fault of a certificate that is not valid at this time, with file and date; None if it is valid."""
    if at > certificate.not_valid_after_utc:
        day = certificate.not_valid_after_utc.date().isoformat()
        return t("{name} expired on {day}; fetch a new certificate from the platform", name=name, day=day)
    if at < certificate.not_valid_before_utc:
        day = certificate.not_valid_before_utc.date().isoformat()
        return t(
            "{name} is valid only from {day} on; check the clock, or use the certificate before it", name=name, day=day
        )
    return None


def matches(private_key: RSAPrivateKey, other: x509.Certificate | RSAPublicKey) -> bool:
    """Return whether the certificate or public key belongs to the private key."""
    try:
        public_key = other.public_key() if isinstance(other, x509.Certificate) else other
    except _NOT_THIS:
        return False
    return public_key == private_key.public_key()


def load_encrypt_key(data: bytes, name: str) -> bytes:
    """Return the 16 bytes of Alipay's content encryption key, given as base64. Raises SettingsError."""
    try:
        key = base64.b64decode(data.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 16:
        raise SettingsError(
            [t("{name} is no AES key; give the base64 text of 16 bytes that the console shows", name=name)]
        )
    return key


def load_apiv3_key(data: bytes, name: str) -> bytes:
    """Return the 32 bytes of the APIv3 key, set in WeChat Pay's console. Raises SettingsError."""
    key = data.strip()
    if len(key) != 32 or not key.isascii():
        raise SettingsError(
            [t("{name} is no APIv3 key; give the 32 characters set in the merchant console", name=name)]
        )
    return key


def _items_in(data: bytes) -> list[object]:
    """
    Return the content of each PEM block, or of the bare base64: a key, a certificate, or a text for anything else.
    """
    # An environment variable often has PEM in one line, with line feeds written as \n.
    text = data.removeprefix(b"\xef\xbb\xbf").replace(b"\\n", b"\n")
    bodies = [match["body"] for match in _BLOCK.finditer(text)] or [text]
    return [_read(body) for body in bodies]


def _read(body: bytes) -> object:
    if b"Proc-Type:" in body:  # only PKCS#1 with a password has header lines
        return _LOCKED
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        return _UNREADABLE
    for load in (_private_key, load_der_public_key, x509.load_der_x509_certificate):
        try:
            return load(der)
        except _NOT_THIS:
            continue
        except TypeError:  # PKCS#8 with a password
            return _LOCKED
    return _UNREADABLE


# Checking a private key takes 30 ms, and jobs or runs of one process often share it.
@lru_cache(maxsize=16)
def _private_key(der: bytes) -> object:
    return load_der_private_key(der, password=None)


def _describe(items: list[object]) -> str:
    """Return a text for the wrong content of a file; for several blocks, of the first readable one."""
    match next((item for item in items if item != _UNREADABLE), _UNREADABLE):
        case RSAPrivateKey():
            return t("a private key")
        case RSAPublicKey():
            return t("a public key")
        case x509.Certificate():
            return t("a certificate")
        case str() as text:
            return t(text)
        case _:
            return t("no RSA key")


def _large_enough(key: _Rsa, name: str) -> _Rsa:
    if key.key_size < MIN_BITS:
        raise SettingsError(
            [
                t(
                    "{name} holds a key of {key_size} bits; both platforms ask for {min_bits} or more",
                    name=name,
                    key_size=key.key_size,
                    min_bits=MIN_BITS,
                )
            ]
        )
    return key
