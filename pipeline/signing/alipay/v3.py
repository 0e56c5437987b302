"""
Alipay's protocol v3: the signature is in the Authorization header, and the body is the JSON itself.

The facts: docs/platform/alipay-v3-cumulation.md, Protocol v3.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from pipeline.model import Opened, Reply, SignedRequest, Trust
from pipeline.signing.aes import decrypt, encrypt, looks_encrypted
from pipeline.signing.alipay.gateway import AlipayGateway
from pipeline.signing.json_object import parse_object
from pipeline.signing.signatures import sign, verifies
from pipeline.signing.user_agent import USER_AGENT

CUMULATION_SYNC: Final = "/v3/zhima/credit/pe/zmgo/cumulation/sync"

# Headers that describe the body. A request without a body has none of them.
_HEADERS_OF_BODY: Final = ("Content-Type", "alipay-encrypt-type")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class AlipayV3:
    """
    Signs requests and opens answers of `POST /v3/zhima/credit/pe/zmgo/cumulation/sync`. Thread-safe.

    It uses one app's keys. `platform` is Alipay's public key, or its certificates by SN. `encrypt_key` (16 bytes)
    enables content encryption. With `root_certificates`, an unknown certificate is downloaded through the gateway at
    `gateway_target`, since v3 documents no such call.
    """

    def __init__(
        self,
        *,
        app_id: str,
        private_key: RSAPrivateKey,
        platform: RSAPublicKey | Mapping[str, x509.Certificate],
        app_cert_sn: str | None = None,
        root_cert_sn: str | None = None,
        root_certificates: Sequence[x509.Certificate] = (),
        gateway_target: str = "/gateway.do",
        app_auth_token: str | None = None,
        encrypt_key: bytes | None = None,
    ) -> None:
        self._app_id = app_id
        self._private_key = private_key
        self._gateway = AlipayGateway(
            app_id=app_id,
            private_key=private_key,
            platform=platform,
            target=gateway_target,
            app_cert_sn=app_cert_sn,
            root_cert_sn=root_cert_sn,
            root_certificates=root_certificates,
        )
        self._encrypt_key = encrypt_key
        self._identity = f"app_id={app_id}" + (f",app_cert_sn={app_cert_sn}" if app_cert_sn else "")
        self._app_auth_token = app_auth_token
        self._headers = _constant_headers(root_cert_sn, app_auth_token, encrypted=encrypt_key is not None)

    def __repr__(self) -> str:
        return f"AlipayV3(app_id={self._app_id!r})"

    def sign(self, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:
        """Return the signed request with this JSON body, encrypted if the account has an encrypt key."""
        return self.sign_call("POST", CUMULATION_SYNC, body, at=at, nonce=nonce)

    def sign_call(self, method: str, target: str, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:
        """Return the signed request of any v3 call; `target` is path and query as sent. A query has an empty body."""
        sent = encrypt(self._encrypt_key, body) if self._encrypt_key and body else body
        auth = f"{self._identity},nonce={nonce},timestamp={(at - _EPOCH) // _MILLISECOND}"
        text = signed_text(auth, method, target, sent, self._app_auth_token)
        authorization = f"ALIPAY-SHA256withRSA {auth},sign={sign(self._private_key, text)}"
        headers = {**self._headers, "Authorization": authorization, "alipay-request-id": nonce}
        if not body:
            headers = {name: value for name, value in headers.items() if name not in _HEADERS_OF_BODY}
        return SignedRequest(method=method, target=target, headers=headers, body=sent)

    def open(self, reply: Reply, *, at: datetime) -> Opened:  # noqa: ARG002 - the port's; no SDK checks the age
        """
        Verify and decrypt an answer. Never raises, whatever a server sends.

        A 2xx answer must be signed. Another status may be unsigned, but a present signature must be valid. The JSON of
        an unverified answer is returned to classify it, and is never trusted.
        """
        content = reply.body if parse_object(reply.body) is not None else None
        encrypted = content is None and self._encrypt_key is not None and looks_encrypted(reply.body)
        if content is None and not encrypted and _claims_success(reply):
            return Opened(Trust.UNREADABLE)
        trust, serial = self._trust(reply)
        if trust is Trust.VERIFIED and content is None:
            return self._decrypted(reply.body) if encrypted else Opened(Trust.UNREADABLE)
        return Opened(trust, content, serial)

    def key_request(self, opened: Opened | None, *, at: datetime, nonce: str) -> SignedRequest | None:
        """
        Return the gateway's request for the certificate named in an answer; None without a name or without roots.
        """
        return self._gateway.key_request(opened, at=at, nonce=nonce)

    def can_verify(self) -> bool:
        """Return True: the account has Alipay's key or certificate."""
        return True

    def keys_due(self, at: datetime) -> bool:  # noqa: ARG002 - the port's
        """Return False: certificates are fetched when an answer names one, not on a schedule."""
        return False

    def learn_keys(self, reply: Reply, *, at: datetime) -> bool:
        """Add the downloaded certificate if it was issued under a root of the root file; return whether it is new."""
        return self._gateway.learn_keys(reply, at=at)

    def _trust(self, reply: Reply) -> tuple[Trust, str | None]:
        signature = reply.headers.get("alipay-signature")
        if not signature or signature == "null":
            return (Trust.MISSING_SIGNATURE if _claims_success(reply) else Trust.UNSIGNED_ERROR), None
        serial = reply.headers.get("alipay-sn")
        keys = self._gateway.keys.find(serial)
        if not keys:
            return Trust.UNKNOWN_SERIAL, serial
        text = answer_text(reply)
        is_signed = any(verifies(key, signature, text) for key in keys)
        return (Trust.VERIFIED if is_signed else Trust.BAD_SIGNATURE), None

    def _decrypted(self, body: bytes) -> Opened:
        decrypted = decrypt(self._encrypt_key, body) if self._encrypt_key else None
        if decrypted is None or parse_object(decrypted) is None:
            return Opened(Trust.NOT_DECRYPTABLE)
        return Opened(Trust.VERIFIED, decrypted)


def signed_text(auth: str, method: str, target: str, body: bytes, app_auth_token: str | None = None) -> bytes:
    """
    Return the bytes that a request's signature covers. Each line ends with a line feed, also that of an empty body.
    """
    last_line = f"{app_auth_token}\n" if app_auth_token else ""
    return b"".join((f"{auth}\n{method}\n{target}\n".encode(), body, b"\n", last_line.encode()))


def answer_text(reply: Reply) -> bytes:
    """Return the bytes that an answer's signature covers."""
    timestamp, nonce = reply.headers.get("alipay-timestamp", ""), reply.headers.get("alipay-nonce", "")
    # No header may raise here. A text with a replaced character does not verify.
    return b"".join((f"{timestamp}\n{nonce}\n".encode(errors="replace"), reply.body, b"\n"))


def _claims_success(reply: Reply) -> bool:
    return 200 <= reply.status < 300


def _constant_headers(root_cert_sn: str | None, app_auth_token: str | None, *, encrypted: bool) -> dict[str, str]:
    headers = {
        "Accept": "application/json",
        "Content-Type": "text/plain" if encrypted else "application/json",
        "User-Agent": USER_AGENT,
    }
    if encrypted:
        headers["alipay-encrypt-type"] = "AES"
    if app_auth_token:
        headers["alipay-app-auth-token"] = app_auth_token
    if root_cert_sn:
        headers["alipay-root-cert-sn"] = root_cert_sn
    return headers
