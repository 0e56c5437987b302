"""RSA signatures of both platforms: PKCS#1 v1.5, as base64 without line breaks."""

import base64
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm

_PADDING: Final = PKCS1v15()
_SHA256: Final = SHA256()


def sign(key: RSAPrivateKey, text: bytes, algorithm: HashAlgorithm = _SHA256) -> str:
    """Return the signature over exactly these bytes."""
    return base64.b64encode(key.sign(text, _PADDING, algorithm)).decode("ascii")


def verifies(key: RSAPublicKey, signature: str, text: bytes, algorithm: HashAlgorithm = _SHA256) -> bool:
    """Return whether the signature over exactly these bytes is valid. Bad base64 is not."""
    try:
        key.verify(base64.b64decode(signature, validate=True), text, _PADDING, algorithm)
    except (InvalidSignature, ValueError):
        return False
    return True
