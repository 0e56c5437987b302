"""
Alipay's gateway: the JSON is one of the signed parameters, and part of the answer is signed.

The facts: docs/platform/alipay-gateway-state-sync.md, Common parameters, Signature of the request, Answer, Certificate
mode.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Final
from urllib.parse import quote_plus, urlencode

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.model import Opened, Reply, SignedRequest, Trust
from pipeline.signing.aes import decrypt, encrypt
from pipeline.signing.alipay.charsets import charset_named
from pipeline.signing.alipay.download import CERTIFICATE_DOWNLOAD, downloaded_chain
from pipeline.signing.alipay.gateway_answer import GatewayAnswer, is_error, read_answer, text_of
from pipeline.signing.alipay.keys import AlipayKeys
from pipeline.signing.certificates import descends_from
from pipeline.signing.json_object import parse_object
from pipeline.signing.signatures import sign, verifies
from pipeline.signing.user_agent import USER_AGENT

STATE_SYNC: Final = "zhima.data.state.data.sync"

_BEIJING: Final = timezone(timedelta(hours=8))
_SN: Final = re.compile(r"[0-9a-f]{32}")
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class AlipayGateway:
    """
    Signs requests and opens answers of one gateway.do method, with one app's keys. Thread-safe.

    `platform` is Alipay's public key, or its certificates by SN. With `root_certificates` certificates can be renewed.
    `extra` are further common parameters; empty ones are omitted.
    """

    def __init__(
        self,
        *,
        app_id: str,
        private_key: RSAPrivateKey,
        platform: RSAPublicKey | Mapping[str, x509.Certificate],
        method: str = STATE_SYNC,
        target: str = "/gateway.do",
        charset: str = "utf-8",
        sign_type: str = "RSA2",
        app_cert_sn: str | None = None,
        root_cert_sn: str | None = None,
        root_certificates: Sequence[x509.Certificate] = (),
        app_auth_token: str | None = None,
        encrypt_key: bytes | None = None,
        extra: Mapping[str, str] = _NOTHING,
    ) -> None:
        self._app_id = app_id
        self._private_key = private_key
        self.keys = AlipayKeys(platform)
        self._method = method
        self._target = target
        self._charset = charset_named(charset)
        self._hash = _hash_of(sign_type)
        self._roots = tuple(root_certificates)
        self._encrypt_key = encrypt_key
        self._headers = {
            "Content-Type": f"application/x-www-form-urlencoded;charset={charset}",
            "User-Agent": USER_AGENT,
        }
        account = {"app_id": app_id, "charset": charset, "sign_type": sign_type, "format": "JSON", "version": "1.0"}
        certificates = {"app_cert_sn": app_cert_sn or "", "alipay_root_cert_sn": root_cert_sn or ""}
        options = {"app_auth_token": app_auth_token or "", "encrypt_type": "AES" if encrypt_key else ""}
        self._call = self._encoded({**extra, **account, **certificates, **options, "method": method})
        self._download = self._encoded({**account, **certificates, "method": CERTIFICATE_DOWNLOAD})

    def __repr__(self) -> str:
        return f"AlipayGateway(app_id={self._app_id!r}, method={self._method!r})"

    def sign(self, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:  # noqa: ARG002 - gateway.do has none
        """
        Return the signed request with this `biz_content`, given as JSON in UTF-8.

        Raises UnicodeEncodeError for text outside the request's charset; the mapping refuses such rows earlier.
        """
        biz_content = self._charset.encode(body)
        if self._encrypt_key:
            biz_content = encrypt(self._encrypt_key, biz_content)
        return self._request(self._call, biz_content, at)

    def open(self, reply: Reply, *, at: datetime) -> Opened:  # noqa: ARG002 - its answers carry no time
        """
        Verify the signature over the response node, and decrypt the node. Never raises, whatever a server sends.

        The content is the node's JSON in UTF-8. That of an unverified answer is returned to classify it, and is never
        trusted. The HTTP status is left to the caller: the gateway itself always answers 200.
        """
        answer = read_answer(reply.body, self._method, double_byte=self._charset.double_byte)
        if answer is None:
            return Opened(Trust.UNREADABLE)
        trust, serial = self._trust(answer)
        if trust is Trust.VERIFIED:
            return self._verified(answer)
        content = None if answer.is_encrypted else self._json(answer.node)
        if trust is Trust.MISSING_SIGNATURE and is_error(content):
            trust = Trust.UNSIGNED_ERROR
        return Opened(trust, content, serial)

    def key_request(self, opened: Opened | None, *, at: datetime, nonce: str) -> SignedRequest | None:  # noqa: ARG002 - the port's
        """
        Return the request that downloads the certificate named in an answer; None without a name or without roots.
        """
        serial = opened.serial if opened is not None and opened.trust is Trust.UNKNOWN_SERIAL else None
        if serial is None or not self._roots or not _SN.fullmatch(serial):
            return None
        return self._request(self._download, f'{{"alipay_cert_sn":"{serial}"}}'.encode(), at)

    def can_verify(self) -> bool:
        """Return True: the account has Alipay's key or certificate."""
        return True

    def keys_due(self, at: datetime) -> bool:  # noqa: ARG002 - the port's
        """Return False: certificates are fetched when an answer names one, not on a schedule."""
        return False

    def learn_keys(self, reply: Reply, *, at: datetime) -> bool:
        """Add the downloaded certificate if it was issued under a root of the root file; return whether it is new."""
        chain = downloaded_chain(reply.body, double_byte=self._charset.double_byte)
        if not descends_from(chain, self._roots, at):
            return False
        return self.keys.add(chain[0])

    def _request(self, call: Mapping[str, bytes], biz_content: bytes, at: datetime) -> SignedRequest:
        timestamp = at.astimezone(_BEIJING).strftime("%Y-%m-%d %H:%M:%S").encode()
        in_query = {**call, "timestamp": timestamp}
        text = signed_text({**in_query, "biz_content": biz_content})
        query = urlencode({**in_query, "sign": sign(self._private_key, text, self._hash)})
        form = f"biz_content={quote_plus(biz_content)}".encode()
        return SignedRequest(method="POST", target=f"{self._target}?{query}", headers=self._headers, body=form)

    def _encoded(self, params: Mapping[str, str]) -> dict[str, bytes]:
        return {name: self._charset.encode(value.encode()) for name, value in params.items() if value}

    def _trust(self, answer: GatewayAnswer) -> tuple[Trust, str | None]:
        if answer.sign is None:
            return Trust.MISSING_SIGNATURE, None
        keys = self.keys.find(answer.cert_sn)
        if not keys:
            return Trust.UNKNOWN_SERIAL, answer.cert_sn
        is_signed = any(self._is_signed(answer.node, answer.sign, key) for key in keys)
        return (Trust.VERIFIED if is_signed else Trust.BAD_SIGNATURE), None

    def _is_signed(self, node: bytes, signature: str, key: RSAPublicKey) -> bool:
        if verifies(key, signature, node, self._hash):
            return True
        # Some answers are signed before their slashes are escaped, others before they are unescaped.
        unescaped = self._charset.without_escaped_slashes(node)
        escaped = unescaped.replace(b"/", b"\\/")  # a slash is no second byte in any of the charsets
        return any(verifies(key, signature, text, self._hash) for text in {unescaped, escaped} - {node})

    def _verified(self, answer: GatewayAnswer) -> Opened:
        if not answer.is_encrypted:
            content = self._json(answer.node)
            return Opened(Trust.UNREADABLE) if content is None else Opened(Trust.VERIFIED, content)
        text = text_of(answer.node)
        decrypted = decrypt(self._encrypt_key, text.encode()) if self._encrypt_key and text else None
        content = None if decrypted is None else self._json(decrypted)
        return Opened(Trust.NOT_DECRYPTABLE) if content is None else Opened(Trust.VERIFIED, content)

    def _json(self, text: bytes) -> bytes | None:
        content = self._charset.decode(text)
        return None if parse_object(content) is None else content


def signed_text(params: Mapping[str, bytes]) -> bytes:
    """
    Return the bytes that a request's signature covers: its sorted raw parameters without `sign` and without empty ones.
    """
    return b"&".join(name.encode() + b"=" + value for name, value in sorted(params.items()) if value)


def _hash_of(sign_type: str) -> HashAlgorithm:
    match sign_type:
        case "RSA2":
            return SHA256()
        case "RSA":
            return SHA1()  # noqa: S303 - the platform's older sign_type
        case _:
            raise SettingsError(
                [t("sign_type {sign_type!r} is none of the gateway's; use RSA2 or RSA", sign_type=sign_type)]
            )
