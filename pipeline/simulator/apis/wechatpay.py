"""WeChat Pay's APIv3 on the platform's side (wechatpay-v3-points.md, sections 3 to 6)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qsl

import orjson
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from pipeline.simulator import crypto
from pipeline.simulator.api import CallRule, with_wrong_echo
from pipeline.simulator.apis import points
from pipeline.simulator.apis.fields import json_object, text
from pipeline.simulator.faults.answer_signature import UniqueTexts, is_hit, signature, with_other_key
from pipeline.simulator.faults.fault import FaultKind, InjectedFault
from pipeline.simulator.http.messages import Call, Reply
from pipeline.simulator.identities import Identities, PlatformKey
from pipeline.simulator.ruling import Accepted, AdmittedRequest, Api, Claim, Decision, Refusal, Ruling, Terms
from pipeline.simulator.state.memory import Memory

POINTS_PATH = "/v3/brand/partner/card-member/user-points/sync"
CERTIFICATES_PATH = "/v3/certificates"
CARDS_PATH = "/v3/brand/partner/card-member/user-cards"
_ITEM = re.compile(r'(\w+)="([^"]*)"')
_SECONDS = re.compile(r"\d{1,12}", re.ASCII)
_TOLERANCE_SECONDS = 300
_BEIJING = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the scheme of its signatures, the name and value of its id, its certificate and key."""

    scheme: str
    id_name: str
    name: str
    serial: str
    key: RSAPublicKey = field(repr=False)

    def items(self, call: Call) -> Mapping[str, str] | None:
        """Return the five items of the Authorization header; None if it is malformed or of another scheme."""
        scheme, _, rest = call.headers.get("authorization", "").partition(" ")
        items = [_ITEM.fullmatch(item) for item in rest.split(",")]
        found = {item[1]: item[2] for item in items if item}
        wanted = {self.id_name, "serial_no", "timestamp", "nonce_str", "signature"}
        return found if scheme == self.scheme and len(items) == len(wanted) and set(found) == wanted else None


class WechatApi:
    """The points sync, the list of a user's cards, and the download of the platform certificates."""

    wrong_serial = Refusal("INVALID_REQUEST", "Http头Wechatpay-Serial错误, 请检查平台证书序列号或微信支付公钥ID")
    throttled = Refusal("RATELIMIT_EXCEEDED", "频率超限", 429, number=268575819)
    replayed = Refusal("SIGN_ERROR", "nonce_str重复使用", 401)

    def __init__(self, identities: Identities, unique_texts: UniqueTexts) -> None:
        self._identities = identities
        self._caller = self._caller_of(identities)
        self._unique_texts = unique_texts
        self._next_is_served = False
        self.rules: Mapping[Api, CallRule] = {
            Api.POINTS: points.rule,
            Api.USER_CARDS: cards_rule,
            Api.WECHATPAY_CERTIFICATES: self._certificates,
        }

    def claim(self, call: Call) -> Claim:
        """Return merchant id and `out_request_no`, as far as readable."""
        mchid = (self._caller.items(call) or {}).get("mchid", "")
        if call.path == CERTIFICATES_PATH:
            return Claim(Api.WECHATPAY_CERTIFICATES, mchid)
        if call.path == CARDS_PATH:
            return Claim(Api.USER_CARDS, mchid)
        return Claim(Api.POINTS, mchid, text(json_object(call.body) or {}, "out_request_no"))

    def admit(self, call: Call, claim: Claim) -> AdmittedRequest | Refusal:
        """Check headers, then the clock, then the signature, as the platform does."""
        items = self._caller.items(call)
        refusal = _header_refusal(call) or self._caller_refusal(call, items)
        if refusal or items is None:
            return refusal or Refusal("SIGN_ERROR", "Authorization格式错误", 401)
        if not crypto.verifies(self._caller.key, items["signature"], _signed_text(call, items)):
            return Refusal("SIGN_ERROR", "签名错误", 401)
        key = self._answering_key(call)
        if key is None:
            return self.wrong_serial
        content = json_object(call.body) if call.method == "POST" else dict(parse_qsl(call.target.partition("?")[2]))
        if content is None:
            return Refusal("PARAM_ERROR", "请求体不是JSON对象")
        return AdmittedRequest(claim, Terms(key), items["nonce_str"], call.body, content)

    def refusal(self, fault: InjectedFault) -> Ruling:
        """Return the fault's code with status 400 or its own."""
        return Refusal(fault.code or "", fault.message or "", fault.status or 400, number=fault.number or 0)

    def unsigned_refusal(self, call: Call, refusal: Refusal) -> Reply:  # noqa: ARG002 - another protocol answers by the call
        """Return an error without `Wechatpay-*` headers, as the platform does for early refusals."""
        return Reply(refusal.status, (*self._headers(refusal.number), *refusal.headers), _error(refusal))

    def answer(self, admission: AdmittedRequest, ruling: Ruling, at: datetime, fault: InjectedFault | None) -> Reply:
        """Sign with the key that the request's `Wechatpay-Serial` names, unless a fault says otherwise."""
        terms = admission.terms
        if fault and fault.kind is FaultKind.UNKNOWN_SERIAL:
            self._next_is_served = self._next_is_served or fault.fetchable
            terms = with_other_key(terms, self._identities.wechatpay_next, fault)
        if is_hit(fault, FaultKind.PLATFORM_CERTIFICATE):
            terms = replace(terms, key=self._identities.wechatpay)
        if is_hit(fault, FaultKind.WRONG_ECHO):
            ruling = with_wrong_echo(ruling, "out_request_no")
        if fault and fault.kind is FaultKind.STALE_TIMESTAMP:
            at -= timedelta(seconds=600 if fault.seconds is None else fault.seconds)
        if isinstance(ruling, Refusal):
            status, number, more, body = ruling.status, ruling.number, ruling.headers, _error(ruling)
        else:
            status, number, more, body = 200, 0, (), orjson.dumps(ruling.content)
        return Reply(status, (*self._headers(number), *more, *self._signature(body, terms, at, fault)), body)

    def _caller_of(self, known: Identities) -> Caller:
        return Caller("WECHATPAY2-SHA256-RSA2048", "mchid", known.mchid, known.merchant_serial, known.merchant_key)

    def _certificates(self, _admission: AdmittedRequest, _memory: Memory) -> tuple[Decision, Ruling]:
        known = self._identities
        served = (known.wechatpay, known.wechatpay_next) if self._next_is_served else (known.wechatpay,)
        return Decision.SERVED, Accepted({"data": [self._sealed(key) for key in served]})

    def _sealed(self, key: PlatformKey) -> dict[str, object]:
        certificate = x509.load_pem_x509_certificate(key.certificate)
        nonce = self._unique_texts.take()[:12]
        return {
            "serial_no": key.name,
            "effective_time": _beijing_text(certificate.not_valid_before_utc),
            "expire_time": _beijing_text(certificate.not_valid_after_utc),
            "encrypt_certificate": {
                "algorithm": "AEAD_AES_256_GCM",
                "nonce": nonce,
                "associated_data": "certificate",
                "ciphertext": crypto.seal(self._identities.apiv3_key, nonce, "certificate", key.certificate),
            },
        }

    def _answering_key(self, call: Call) -> PlatformKey | None:
        known = self._identities
        serial = call.headers.get("wechatpay-serial", known.wechatpay.name)
        keys = (known.wechatpay, known.wechatpay_next, known.wechatpay_public)
        return next((key for key in keys if key.name == serial), None)

    def _caller_refusal(self, call: Call, items: Mapping[str, str] | None) -> Refusal | None:
        if items is None:
            return Refusal("SIGN_ERROR", "Authorization格式错误", 401)
        timestamp = items["timestamp"]
        if not _SECONDS.fullmatch(timestamp):
            return Refusal("SIGN_ERROR", "时间戳格式错误", 401)
        if abs(int(timestamp) - call.wall.timestamp()) > _TOLERANCE_SECONDS:
            return Refusal("SIGN_ERROR", "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟", 401)
        caller = self._caller
        if items[caller.id_name] != caller.name or items["serial_no"] != caller.serial:
            return Refusal("SIGN_ERROR", "商户号或商户证书序列号错误", 401)
        return None

    def _headers(self, number: int) -> tuple[tuple[str, str], ...]:
        request_id = f"{self._unique_texts.take().upper()}-{number}"
        return ("Content-Type", "application/json; charset=utf-8"), ("Request-ID", request_id)

    def _signature(
        self, body: bytes, terms: Terms, at: datetime, fault: InjectedFault | None
    ) -> tuple[tuple[str, str], ...]:
        timestamp, nonce = str(int(at.astimezone(UTC).timestamp())), self._unique_texts.take()
        mark = signature(f"{timestamp}\n{nonce}\n".encode() + body + b"\n", terms, fault)
        if mark.signature is None:
            return ()
        return (
            ("Wechatpay-Timestamp", timestamp),
            ("Wechatpay-Nonce", nonce),
            ("Wechatpay-Serial", mark.name),
            ("Wechatpay-Signature", mark.signature),
            ("Wechatpay-Signature-Type", self._caller.scheme),
        )


def cards_rule(admission: AdmittedRequest, _memory: Memory) -> tuple[Decision, Ruling]:
    """Return the cards of a user, who has none here."""
    if not text(admission.content, "openid"):
        return Decision.REFUSED, Refusal("PARAM_ERROR", "openid不能为空", number=268575635)
    return Decision.SERVED, Accepted({"data": [], "total_count": 0, "offset": 0, "limit": 1})


def _header_refusal(call: Call) -> Refusal | None:
    accepted = call.headers.get("accept", "")
    if not call.headers.get("user-agent"):
        return Refusal("INVALID_REQUEST", "Http头缺少User-Agent")
    if "application/json" not in accepted and "*/*" not in accepted:
        return Refusal("INVALID_REQUEST", "Http头缺少Accept")
    if call.method == "POST" and not call.headers.get("content-type", "").startswith("application/json"):
        return Refusal("INVALID_REQUEST", "Http头Content-Type须为application/json")
    return None


def _signed_text(call: Call, items: Mapping[str, str]) -> bytes:
    head = (call.method, call.target, items["timestamp"], items["nonce_str"])
    return b"".join(line.encode("latin-1") + b"\n" for line in head) + call.body + b"\n"


def _error(refusal: Refusal) -> bytes:
    return orjson.dumps({"code": refusal.code, "message": refusal.message})


def _beijing_text(moment: datetime) -> str:
    return moment.astimezone(_BEIJING).isoformat(timespec="seconds")
