"""The platforms' cryptography, written from their documents, for the simulator only."""

import base64
import binascii
import hashlib
from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.x509.oid import NameOID

_SHORT_NAMES = {
    NameOID.COMMON_NAME: "CN",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.COUNTRY_NAME: "C",
    NameOID.LOCALITY_NAME: "L",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
}
_RSA_SIGNATURES = "1.2.840.113549.1.1."


def sign(key: RSAPrivateKey, message: bytes, *, sha1: bool = False) -> str:
    """Return the PKCS#1 v1.5 signature in base64."""
    return base64.b64encode(key.sign(message, PKCS1v15(), _digest(sha1=sha1))).decode()


def verifies(key: RSAPublicKey, signature: str, message: bytes, *, sha1: bool = False) -> bool:
    """Return whether the base64 text is this key's signature of the message."""
    try:
        key.verify(base64.b64decode(signature, validate=True), message, PKCS1v15(), _digest(sha1=sha1))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def encrypt(key: bytes, plain: bytes) -> bytes:
    """Return AES-CBC with a zero IV and PKCS#7 padding, in base64 (alipay-v3-cumulation.md, section 3.3)."""
    padder = PKCS7(128).padder()
    cipher = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    return base64.b64encode(cipher.update(padder.update(plain) + padder.finalize()) + cipher.finalize())


def decrypt(key: bytes, text: bytes) -> bytes | None:
    """Reverse `encrypt`; None if the text was not made with this key."""
    try:
        cipher = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).decryptor()
        padded = cipher.update(base64.b64decode(text, validate=True)) + cipher.finalize()
        unpadder = PKCS7(128).unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        return None


def seal(key: bytes, nonce: str, associated_data: str, plain: bytes) -> str:
    """Return AES-256-GCM ciphertext and tag in base64 (wechatpay-v3-points.md, section 5)."""
    return base64.b64encode(AESGCM(key).encrypt(nonce.encode(), plain, associated_data.encode())).decode()


def certificate_sn(certificate: x509.Certificate) -> str:
    """Return the MD5 of issuer text and decimal serial number (alipay-v3-cumulation.md, section 3.5)."""
    names = reversed(list(certificate.issuer))
    issuer = ",".join(f"{_SHORT_NAMES.get(name.oid, name.oid.dotted_string)}={name.value!s}" for name in names)
    return hashlib.md5(f"{issuer}{certificate.serial_number}".encode(), usedforsecurity=False).hexdigest()


def root_sn(certificates: Iterable[x509.Certificate]) -> str:
    """Return the SN of a root file: the SNs of its RSA-signed certificates, in file order."""
    signed_by_rsa = (c for c in certificates if c.signature_algorithm_oid.dotted_string.startswith(_RSA_SIGNATURES))
    return "_".join(certificate_sn(certificate) for certificate in signed_by_rsa)


def _digest(*, sha1: bool) -> hashes.HashAlgorithm:
    return hashes.SHA1() if sha1 else hashes.SHA256()  # noqa: S303 - the gateway's sign_type RSA is SHA1withRSA
