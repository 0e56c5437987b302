"""
The two ciphers of the platforms.

Alipay encrypts whole bodies with AES-128-CBC, an IV of zero bytes and PKCS#7 padding, written as base64
(alipay-v3-cumulation.md, section 3.3). WeChat Pay seals certificates with AES-256-GCM (wechatpay-v3-points.md,
section 5).
"""

import base64
import re
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

_ZERO_IV: Final = CBC(bytes(16))
_PADDING: Final = PKCS7(128)
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]+={0,2}")


def encrypt(key: bytes, plain: bytes) -> bytes:
    """Return the base64 text that stands for these bytes under Alipay's content encryption."""
    padder = _PADDING.padder()
    encryptor = Cipher(AES(key), _ZERO_IV).encryptor()
    padded = padder.update(plain) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize())


def decrypt(key: bytes, text: bytes) -> bytes | None:
    """Return what `encrypt` was given, or None where the text was not made with this key."""
    try:
        decryptor = Cipher(AES(key), _ZERO_IV).decryptor()
        padded = decryptor.update(base64.b64decode(text, validate=True)) + decryptor.finalize()
        unpadder = _PADDING.unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        return None


def looks_encrypted(text: bytes) -> bool:
    """Tell whether the text can be what `encrypt` returns, so that a proxy's page is not taken for ciphertext."""
    return _BASE64.fullmatch(text) is not None


def unseal(key: bytes, *, nonce: str, associated_data: str, ciphertext: str) -> bytes | None:
    """Return the plain text of what WeChat Pay sealed with the APIv3 key, or None where seal or key do not fit."""
    try:
        sealed = base64.b64decode(ciphertext, validate=True)
        return AESGCM(key).decrypt(nonce.encode(), sealed, associated_data.encode())
    except (InvalidTag, ValueError):
        return None
