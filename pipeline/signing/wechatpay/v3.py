"""
WeChat Pay's protocol APIv3: the signature stands in the Authorization header, answers are signed in headers too.

Facts are those of wechatpay-v3-points.md, sections 3 to 5.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from pipeline.model import Opened, Reply, SignedRequest, Trust
from pipeline.signing.plain import parse_object
from pipeline.signing.signatures import sign, verifies
from pipeline.signing.user_agent import USER_AGENT
from pipeline.signing.wechatpay.certificates import CERTIFICATES, canonical_serial, downloaded_keys

POINTS_SYNC: Final = "/v3/brand/partner/card-member/user-points/sync"

# Half of the 12 hours that the platform asks for, so that a refresh that fails can be repeated in time.
REFRESH_AFTER: Final = timedelta(hours=6)

_CLOCK_TOLERANCE_SECONDS: Final = 300
_PROBE: Final = "WECHATPAY/SIGNTEST/"
_NONE: Final[Mapping[str, RSAPublicKey]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Held:
    """The platform's keys at one moment; `asks_for` names the one that answers shall be signed with."""

    keys: Mapping[str, RSAPublicKey] = field(repr=False)
    asks_for: str | None
    fetched_at: datetime | None


class WechatPay:
    """
    Signs and opens for `POST /v3/brand/partner/card-member/user-points/sync` with one merchant's keys. Thread-safe.

    `platform_keys` are the platform's keys by certificate serial number or by public key id, the one to ask for
    last, but a public key id before any certificate. With the `apiv3_key`, 32 bytes, certificates can be fetched.
    """

    def __init__(
        self,
        *,
        mchid: str,
        serial_no: str,
        private_key: RSAPrivateKey,
        platform_keys: Mapping[str, RSAPublicKey] = _NONE,
        apiv3_key: bytes | None = None,
    ) -> None:
        self._mchid = mchid
        self._identity = f'WECHATPAY2-SHA256-RSA2048 mchid="{mchid}",serial_no="{serial_no}"'
        self._private_key = private_key
        self._apiv3_key = apiv3_key
        self._learning = threading.Lock()
        keys = {canonical_serial(serial): key for serial, key in platform_keys.items()}
        self._held = _Held(MappingProxyType(keys), _preferred(list(platform_keys)), fetched_at=None)

    def __repr__(self) -> str:
        return f"WechatPay(mchid={self._mchid!r})"

    def sign(self, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:
        """Return the request that carries this JSON body."""
        return self.sign_call("POST", POINTS_SYNC, body, at=at, nonce=nonce)

    def sign_call(self, method: str, target: str, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:
        """Return the signed request for any call of APIv3; `target` is path and query as they are sent."""
        timestamp = int(at.timestamp())
        signature = sign(self._private_key, signed_text(method, target, timestamp, nonce, body))
        headers = {
            "Accept": "application/json",
            "Authorization": f'{self._identity},timestamp="{timestamp}",nonce_str="{nonce}",signature="{signature}"',
            "User-Agent": USER_AGENT,
        }
        if body:
            headers["Content-Type"] = "application/json"
        if (asks_for := self._held.asks_for) is not None:
            headers["Wechatpay-Serial"] = asks_for
        return SignedRequest(method=method, target=target, headers=headers, body=body)

    def open(self, reply: Reply, *, at: datetime) -> Opened:
        """
        Check the answer's signature. Never raises for what a server can send.

        A 2xx must be signed and JSON; no other status is checked, as no SDK of the platform does. The JSON of an
        answer that is not verified is given too, to be classified and never believed.
        """
        content = reply.body if parse_object(reply.body) is not None else None
        if not 200 <= reply.status < 300:
            return Opened(Trust.UNSIGNED_ERROR, content)
        if not _is_json_as_declared(reply, content):
            return Opened(Trust.UNREADABLE)
        trust, serial = _trust(reply, self._held.keys, at)
        return Opened(trust, content, serial)

    def key_request(self, opened: Opened | None, *, at: datetime, nonce: str) -> SignedRequest | None:  # noqa: ARG002 - the port's
        """Return the request that fetches the platform's certificates; None without an APIv3 key to open them."""
        return self.sign_call("GET", CERTIFICATES, b"", at=at, nonce=nonce) if self._apiv3_key else None

    def learn_keys(self, reply: Reply, *, at: datetime) -> bool:
        """
        Take in the certificates that were fetched, beside the ones held; return whether one of them is new.

        Only the holder of the APIv3 key can have sealed them. The answer must also be signed, with a key that is held
        or, as at the first time, with one that it brings.
        """
        if self._apiv3_key is None or reply.status != 200:
            return False
        found = downloaded_keys(reply.body, self._apiv3_key, at)
        with self._learning:
            held = self._held
            keys = {**held.keys, **found}
            trust, _ = _trust(reply, keys, at)
            if trust is not Trust.VERIFIED:
                return False
            asks_for = _preferred([*filter(None, [held.asks_for]), *found])
            self._held = _Held(MappingProxyType(keys), asks_for, fetched_at=at)
        return len(keys) > len(held.keys)

    def can_verify(self) -> bool:
        """Tell whether there is a key: with the APIv3 key alone there is none before the first download."""
        return bool(self._held.keys)

    def keys_due(self, at: datetime) -> bool:
        """Tell whether to fetch certificates now: none were yet, or long ago. Never where a public key is in use."""
        held = self._held
        if self._apiv3_key is None or (held.asks_for or "").startswith("PUB_KEY_ID_"):
            return False
        return held.fetched_at is None or at - held.fetched_at >= REFRESH_AFTER


def signed_text(method: str, target: str, timestamp: int, nonce: str, body: bytes) -> bytes:
    """Return the bytes a request is signed over; every line ends with a line feed, also that of an empty body."""
    return b"".join((f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode(), body, b"\n"))


def answer_text(reply: Reply) -> bytes:
    """Return the bytes an answer is signed over."""
    timestamp, nonce = reply.headers.get("wechatpay-timestamp", ""), reply.headers.get("wechatpay-nonce", "")
    # Whatever a header holds must not raise; what is replaced here does not verify.
    return b"".join((f"{timestamp}\n{nonce}\n".encode(errors="replace"), reply.body, b"\n"))


def _trust(reply: Reply, keys: Mapping[str, RSAPublicKey], at: datetime) -> tuple[Trust, str | None]:
    names = ("wechatpay-signature", "wechatpay-serial", "wechatpay-timestamp", "wechatpay-nonce")
    signature, serial, timestamp, nonce = (reply.headers.get(name, "") for name in names)
    if not (signature and serial and timestamp and nonce):
        return Trust.MISSING_SIGNATURE, None
    if signature.startswith(_PROBE):
        return Trust.PROBE, None
    if not _is_fresh(timestamp, at):
        return Trust.STALE, None
    key = keys.get(canonical_serial(serial))
    if key is None:
        return Trust.UNKNOWN_SERIAL, serial
    return (Trust.VERIFIED if verifies(key, signature, answer_text(reply)) else Trust.BAD_SIGNATURE), None


def _is_fresh(timestamp: str, at: datetime) -> bool:
    # The length keeps int() from refusing a number of thousands of digits.
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    return abs(at.timestamp() - int(timestamp)) <= _CLOCK_TOLERANCE_SECONDS


def _is_json_as_declared(reply: Reply, content: bytes | None) -> bool:
    if not reply.body and reply.status != 200:
        return True
    declared = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    return content is not None and declared == "application/json"


def _preferred(serials: list[str]) -> str | None:
    """Return the public key id, if there is one, else the last serial number."""
    ids = [serial for serial in serials if serial.startswith("PUB_KEY_ID_")]
    return next(iter(ids or serials[-1:]), None)
