"""
WeChat Pay's protocol APIv3: the signatures of requests and answers are in headers.

The facts: docs/platform/wechatpay-v3-points.md, Signature of the request, Verification of the answer, Platform
certificates.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from pipeline.language import later, t
from pipeline.model import Opened, Reply, SignedRequest, Trust
from pipeline.signing.json_object import parse_object
from pipeline.signing.signatures import sign, verifies
from pipeline.signing.user_agent import USER_AGENT
from pipeline.signing.wechatpay.certificates import CERTIFICATES, canonical_serial, downloaded_keys

POINTS_SYNC: Final = "/v3/brand/partner/card-member/user-points/sync"

# Age of the keys at which they are refreshed: half of the platform's 12 hours, which leaves time for a second try.
REFRESH_AFTER: Final = timedelta(hours=6)

_CLOCK_TOLERANCE_SECONDS: Final = 300
_PROBE: Final = "WECHATPAY/SIGNTEST/"
_PUBLIC_KEY: Final = "PUB_KEY_ID_"
_NOT_OPEN: Final = later(
    "WeChat Pay signs with a platform certificate: the switch to the public key is not open yet; "
    "open it in the merchant platform (API security)"
)
_OR_ADD_IT: Final = later(", or name the newest certificate in platform_cert_file, or set apiv3_key_env to download it")
_NO_SUCH_PUBLIC_KEY: Final = later(
    "WeChat Pay signs with a public key that is not in the account; download it in the merchant "
    "platform (API security), and set public_key_id and public_key_file"
)
_NONE: Final[Mapping[str, RSAPublicKey]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _PlatformKeys:
    """The platform's keys at one time. `preferred` is the serial that requests ask the platform to sign with."""

    keys: Mapping[str, RSAPublicKey] = field(repr=False)
    preferred: str | None
    fetched_at: datetime | None


class WechatPay:
    """
    Signs requests and opens answers of `POST /v3/brand/partner/card-member/user-points/sync`. Thread-safe.

    `platform_keys` are the platform's keys by certificate serial number or public key id, or both. Requests prefer a
    public key id, else the last certificate; each answer names its key. With `apiv3_key` (32 bytes) certificates can be
    fetched.
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
        self._learn_lock = threading.Lock()
        keys = {canonical_serial(serial): key for serial, key in platform_keys.items()}
        self._platform_keys = _PlatformKeys(MappingProxyType(keys), _preferred(list(platform_keys)), fetched_at=None)

    def __repr__(self) -> str:
        return f"WechatPay(mchid={self._mchid!r})"

    def sign(self, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:
        """Return the signed request with this JSON body."""
        return self.sign_call("POST", POINTS_SYNC, body, at=at, nonce=nonce)

    def sign_call(self, method: str, target: str, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:
        """Return the signed request of any APIv3 call; `target` is path and query as sent."""
        unsigned = SignedRequest(method, target, {}, body)
        preferred = self._platform_keys.preferred
        return signed_request(unsigned, self._identity, self._private_key, at=at, nonce=nonce, preferred=preferred)

    def open(self, reply: Reply, *, at: datetime) -> Opened:
        """
        Verify the answer's signature. Never raises, whatever a server sends.

        A 2xx answer must be signed and JSON. Other statuses are not verified, as in the platform's own SDKs. The JSON
        of an unverified answer is returned to classify it, and is never trusted. The note is about the change-over from
        certificates to the public key.
        """
        opened = open_answer(reply, self._platform_keys.keys, at)
        return replace(opened, note=self._note(opened.trust, reply.headers.get("wechatpay-serial", "")))

    def key_request(self, opened: Opened | None, *, at: datetime, nonce: str) -> SignedRequest | None:  # noqa: ARG002 - the port's
        """Return the request that fetches the platform's certificates; None without an APIv3 key to decrypt them."""
        return self.sign_call("GET", CERTIFICATES, b"", at=at, nonce=nonce) if self._apiv3_key else None

    def learn_keys(self, reply: Reply, *, at: datetime) -> bool:
        """
        Add the fetched certificates to the known ones; return whether one of them is new.

        Only an owner of the APIv3 key can have encrypted them. The answer must also be signed, by a known key or, at
        the first time, by one of its own.
        """
        if self._apiv3_key is None or reply.status != 200:
            return False
        found = downloaded_keys(reply.body, self._apiv3_key, at)
        with self._learn_lock:
            current = self._platform_keys
            keys = {**current.keys, **found}
            trust, _ = _trust(reply, keys, at)
            if trust is not Trust.VERIFIED:
                return False
            preferred = _preferred([*filter(None, [current.preferred]), *found])
            self._platform_keys = _PlatformKeys(MappingProxyType(keys), preferred, fetched_at=at)
        return len(keys) > len(current.keys)

    def _note(self, trust: Trust, serial: str) -> str:
        """Return what to do about the key that an answer names; empty if nothing."""
        is_unknown = trust is Trust.UNKNOWN_SERIAL
        if serial.startswith(_PUBLIC_KEY):
            return t(_NO_SUCH_PUBLIC_KEY) if is_unknown else ""
        if not self._has_public_key() or not (is_unknown or trust is Trust.VERIFIED):
            return ""
        return t(_NOT_OPEN) + (t(_OR_ADD_IT) if is_unknown and self._apiv3_key is None else "")

    def _has_public_key(self) -> bool:
        return (self._platform_keys.preferred or "").startswith(_PUBLIC_KEY)

    def can_verify(self) -> bool:
        """Return whether a key is known. With only the APIv3 key there is none before the first download."""
        return bool(self._platform_keys.keys)

    def keys_due(self, at: datetime) -> bool:
        """
        Return whether to fetch certificates: none were fetched yet, or long ago.

        Never with a public key. Certificates are then fetched when an answer names one.
        """
        current = self._platform_keys
        if self._apiv3_key is None or self._has_public_key():
            return False
        return current.fetched_at is None or at - current.fetched_at >= REFRESH_AFTER


def signed_text(method: str, target: str, timestamp: int, nonce: str, body: bytes) -> bytes:
    """
    Return the bytes that a request's signature covers. Each line ends with a line feed, also that of an empty body.
    """
    return b"".join((f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode(), body, b"\n"))


def signed_request(
    unsigned: SignedRequest,
    identity: str,
    private_key: RSAPrivateKey,
    *,
    at: datetime,
    nonce: str,
    preferred: str | None,
) -> SignedRequest:
    """
    Return the request with all its headers.

    `identity` is the Authorization up to the serial number. `preferred` names the key that should sign the answer.
    """
    timestamp = int(at.timestamp())
    text = signed_text(unsigned.method, unsigned.target, timestamp, nonce, unsigned.body)
    signature = sign(private_key, text)
    headers = {
        "Accept": "application/json",
        "Authorization": f'{identity},timestamp="{timestamp}",nonce_str="{nonce}",signature="{signature}"',
        "User-Agent": USER_AGENT,
    }
    if unsigned.body:
        headers["Content-Type"] = "application/json"
    if preferred is not None:
        headers["Wechatpay-Serial"] = preferred
    return replace(unsigned, headers=headers)


def open_answer(reply: Reply, keys: Mapping[str, RSAPublicKey], at: datetime) -> Opened:
    """Return the answer and its trust, with the platform's keys by serial number or public key id."""
    content = reply.body if parse_object(reply.body) is not None else None
    if not 200 <= reply.status < 300:
        return Opened(Trust.UNSIGNED_ERROR, content)
    if not _is_json_as_declared(reply, content):
        return Opened(Trust.UNREADABLE)
    trust, serial = _trust(reply, keys, at)
    return Opened(trust, content, serial)


def answer_text(reply: Reply) -> bytes:
    """Return the bytes that an answer's signature covers."""
    timestamp, nonce = reply.headers.get("wechatpay-timestamp", ""), reply.headers.get("wechatpay-nonce", "")
    # No header may raise here. A text with a replaced character does not verify.
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
    # int() raises for thousands of digits.
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    return abs(at.timestamp() - int(timestamp)) <= _CLOCK_TOLERANCE_SECONDS


def _is_json_as_declared(reply: Reply, content: bytes | None) -> bool:
    if not reply.body and reply.status != 200:
        return True
    declared = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    return content is not None and declared == "application/json"


def _preferred(serials: list[str]) -> str | None:
    """Return the public key id if there is one, else the last serial number."""
    ids = [serial for serial in serials if serial.startswith(_PUBLIC_KEY)]
    return next(iter(ids or serials[-1:]), None)
