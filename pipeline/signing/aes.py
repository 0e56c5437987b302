"""
The ciphers of the platforms.

- Alipay encrypts whole bodies with AES-128-CBC, a zero IV and PKCS#7 padding, in base64
  (docs/platform/alipay-v3-cumulation.md, Content encryption).
- WeChat Pay encrypts certificates with AES-256-GCM (docs/platform/wechatpay-v3-points.md, Platform certificates).
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
    """Encrypt these bytes as Alipay does; return base64."""
    padder = _PADDING.padder()
    encryptor = Cipher(AES(key), _ZERO_IV).encryptor()
    padded = padder.update(plain) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize())


def decrypt(key: bytes, text: bytes) -> bytes | None:
    """Return the plain text of `encrypt`'s result; None if it was not made with this key."""
    try:
        decryptor = Cipher(AES(key), _ZERO_IV).decryptor()
        padded = decryptor.update(base64.b64decode(text, validate=True)) + decryptor.finalize()
        unpadder = _PADDING.unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        return None


def looks_encrypted(text: bytes) -> bool:
    """Return whether the text may be a result of `encrypt`. The page of a proxy is not."""
    return _BASE64.fullmatch(text) is not None


def unseal(key: bytes, *, nonce: str, associated_data: str, ciphertext: str) -> bytes | None:
    """Decrypt a text of WeChat Pay with the APIv3 key; return None if the key or the tag does not match."""
    try:
        sealed = base64.b64decode(ciphertext, validate=True)
        return AESGCM(key).decrypt(nonce.encode(), sealed, associated_data.encode())
    except (InvalidTag, ValueError):
        return None
