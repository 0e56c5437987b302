"""
WeChat Pay's protocol for brands that call it themselves: as APIv3, with a scheme, an id and keys of its own.

The facts: docs/platform/wechatpay-brand-points.md.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from pipeline.model import Opened, Reply, SignedRequest
from pipeline.signing.wechatpay.v3 import open_answer, signed_request

BRAND_POINTS_SYNC: Final = "/brand/card-member/user-points/sync"


class WechatPayBrand:
    """
    Signs requests and opens answers of `POST /brand/card-member/user-points/sync`. Thread-safe.

    Answers are signed with one public key, that of `public_key_id`. There are no certificates and nothing to fetch: a
    person renews the key.
    """

    def __init__(
        self,
        *,
        brand_id: str,
        serial_no: str,
        private_key: RSAPrivateKey,
        public_key_id: str,
        public_key: RSAPublicKey,
    ) -> None:
        self._brand_id = brand_id
        self._identity = f'WECHATPAY-BRAND-SHA256-RSA2048 brand_id="{brand_id}",serial_no="{serial_no}"'
        self._private_key = private_key
        self._public_key_id = public_key_id
        self._keys: Mapping[str, RSAPublicKey] = MappingProxyType({public_key_id: public_key})

    def __repr__(self) -> str:
        return f"WechatPayBrand(brand_id={self._brand_id!r})"

    def sign(self, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:
        """Return the signed request with this JSON body."""
        return self.sign_call("POST", BRAND_POINTS_SYNC, body, at=at, nonce=nonce)

    def sign_call(self, method: str, target: str, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:
        """Return the signed request of any call of the brand API; `target` is path and query as sent."""
        unsigned = SignedRequest(method, target, {}, body)
        return signed_request(
            unsigned, self._identity, self._private_key, at=at, nonce=nonce, preferred=self._public_key_id
        )

    def open(self, reply: Reply, *, at: datetime) -> Opened:
        """Verify the answer's signature, as in APIv3: an answer that names another key is not trusted. Never raises."""
        return open_answer(reply, self._keys, at)

    def key_request(self, opened: Opened | None, *, at: datetime, nonce: str) -> SignedRequest | None:  # noqa: ARG002 - the port's
        """Return None: there are no keys to fetch."""
        return None

    def can_verify(self) -> bool:
        """Return True: the key is in the config."""
        return True

    def keys_due(self, at: datetime) -> bool:  # noqa: ARG002 - the port's
        """Return False: there are no keys to fetch."""
        return False

    def learn_keys(self, reply: Reply, *, at: datetime) -> bool:  # noqa: ARG002 - the port's
        """Return False: there are no keys to learn."""
        return False
