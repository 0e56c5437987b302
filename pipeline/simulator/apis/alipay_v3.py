"""Alipay's protocol v3 on the platform's side (alipay-v3-cumulation.md, sections 2 and 3)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import orjson

from pipeline.simulator import crypto
from pipeline.simulator.api import CallRule, with_wrong_echo
from pipeline.simulator.apis import cumulation, zmgo_queries
from pipeline.simulator.apis.fields import json_object, text
from pipeline.simulator.faults.answer_signature import UniqueTexts, is_hit, signature, with_other_key
from pipeline.simulator.faults.fault import FaultKind, InjectedFault
from pipeline.simulator.http.messages import Call, Reply
from pipeline.simulator.identities import Identities
from pipeline.simulator.ruling import Accepted, AdmittedRequest, Api, Claim, Refusal, Ruling, Terms

PATH = "/v3/zhima/credit/pe/zmgo/cumulation/sync"
_QUERIES = {
    zmgo_queries.CUMULATE_QUERY_PATH: Api.CUMULATE_QUERY,
    zmgo_queries.AGREEMENT_QUERY_PATH: Api.AGREEMENT_QUERY,
}
_SCHEME = "ALIPAY-SHA256withRSA "
# A third party's reading of the documents: section 3.2.
_TOLERANCE = timedelta(minutes=10)
_MILLISECONDS = re.compile(r"\d{13}", re.ASCII)
_LINKS = [{"link": "https://open.alipay.com/", "desc": "解决方案"}]


@dataclass(frozen=True, slots=True)
class _Authorization:
    signed: str
    items: Mapping[str, str]
    signature: str


class V3Api:
    """POST of the cumulation sync, and GET of the two queries, in key mode or certificate mode."""

    throttled = Refusal("app-call-limited", "应用调用次数超限", 429)
    replayed = Refusal("invalid-signature", "nonce重复使用", 401)

    def __init__(self, identities: Identities, unique_texts: UniqueTexts) -> None:
        self._identities = identities
        self._unique_texts = unique_texts
        self.rules: Mapping[Api, CallRule] = {
            Api.CUMULATION: cumulation.rule,
            Api.CUMULATE_QUERY: zmgo_queries.cumulate_rule,
            Api.AGREEMENT_QUERY: zmgo_queries.agreement_rule,
        }

    def claim(self, call: Call) -> Claim:
        """Return app id and `out_biz_no`, or the agreement that is asked for, as far as readable."""
        authorization = _authorization(call)
        app_id = authorization.items.get("app_id", "") if authorization else ""
        if call.path in _QUERIES:
            return Claim(_QUERIES[call.path], app_id, text(zmgo_queries.parameters(call.query), "agreement_id"))
        content = json_object(self._plain(call) or b"") or {}
        return Claim(Api.CUMULATION, app_id, text(content, "out_biz_no"))

    def admit(self, call: Call, claim: Claim) -> AdmittedRequest | Refusal:
        """Check the caller, then the signature, then decrypt."""
        authorization = _authorization(call)
        if authorization is None:
            return Refusal("missing-signature", "缺少签名参数", 401)
        refusal = self._caller_refusal(call, authorization) or _clock_refusal(call, authorization)
        if refusal:
            return refusal
        if not crypto.verifies(self._identities.app_key, authorization.signature, _signed_text(call, authorization)):
            return Refusal("invalid-signature", "验签失败", 401)
        return self._content(call, claim, authorization)

    def refusal(self, fault: InjectedFault) -> Ruling:
        """Return the fault's code with status 400, or a 200 with `fail_reason`."""
        if fault.fail_reason is not None:
            return Accepted({"fail_reason": fault.fail_reason})
        return Refusal(fault.code or "", fault.message or "", fault.status or 400)

    def unsigned_refusal(self, call: Call, refusal: Refusal) -> Reply:  # noqa: ARG002 - another protocol answers by the call
        """Return an error without `alipay-signature`, as the platform does for early refusals."""
        return Reply(refusal.status, (*self._headers(), *refusal.headers), _error(refusal))

    def answer(self, admission: AdmittedRequest, ruling: Ruling, at: datetime, fault: InjectedFault | None) -> Reply:
        """Sign every answer; encrypt those with status 200."""
        terms = admission.terms
        if admission.claim.api is not Api.CUMULATION:
            ruling = zmgo_queries.rendered(admission, ruling, at, fault)
        if fault and fault.kind is FaultKind.UNKNOWN_SERIAL:
            terms = with_other_key(terms, self._identities.alipay_next, fault)
        if is_hit(fault, FaultKind.REISSUED_CERTIFICATE):
            terms = replace(terms, key=self._identities.alipay_reissued)
        if is_hit(fault, FaultKind.WRONG_ECHO):
            ruling = with_wrong_echo(with_wrong_echo(ruling, "out_biz_no"), "agreement_id")
        if fault and fault.kind is FaultKind.STALE_TIMESTAMP:
            at -= timedelta(seconds=600 if fault.seconds is None else fault.seconds)
        status, body = (
            (ruling.status, _error(ruling)) if isinstance(ruling, Refusal) else (200, orjson.dumps(ruling.content))
        )
        if terms.encrypted and status == 200:
            key = self._identities.encrypt_key
            body = crypto.encrypt(key[::-1] if is_hit(fault, FaultKind.BAD_ENCRYPTION) else key, body)
        more = ruling.headers if isinstance(ruling, Refusal) else ()
        return Reply(status, (*self._headers(), *more, *self._signature(body, terms, at, fault)), body)

    def _caller_refusal(self, call: Call, authorization: _Authorization) -> Refusal | None:
        items, known = authorization.items, self._identities
        if not items.get("app_id"):
            return Refusal("missing-app-id", "缺少AppID参数")
        if items["app_id"] != known.app_id:
            return Refusal("invalid-app-id", "无效的AppID参数")
        if items.get("app_cert_sn", known.app_cert_sn) != known.app_cert_sn:
            return Refusal("app-cert-not-exist", "应用公钥证书不存在")
        if call.headers.get("alipay-root-cert-sn", known.root_cert_sn) != known.root_cert_sn:
            return Refusal("invalid-alipay-root-cert-sn", "支付宝根证书序列号错误")
        return None

    def _content(self, call: Call, claim: Claim, authorization: _Authorization) -> AdmittedRequest | Refusal:
        if call.method == "GET":
            return self._query(call, claim, authorization)
        encrypted = "alipay-encrypt-type" in call.headers
        if encrypted and call.headers["alipay-encrypt-type"] != "AES":
            return Refusal("invalid-encrypt-type", "加密算法错误")
        expected = "text/plain" if encrypted else "application/json"
        if not call.headers.get("content-type", "").startswith(expected):
            return Refusal("invalid-format", f"Content-Type须为{expected}")
        plain = self._plain(call)
        if plain is None:
            return Refusal("decryption-error-unknown", "解密出错")
        content = json_object(plain)
        if content is None:
            return Refusal("illegal-json", "请求体不是JSON")
        terms = Terms(self._identities.alipay, names_key="app_cert_sn" in authorization.items, encrypted=encrypted)
        return AdmittedRequest(claim, terms, authorization.items["nonce"], plain, content)

    def _query(self, call: Call, claim: Claim, authorization: _Authorization) -> AdmittedRequest | Refusal:
        if call.body:
            return Refusal("invalid-format", "GET请求不能有请求体")
        terms = Terms(self._identities.alipay, names_key="app_cert_sn" in authorization.items)
        return AdmittedRequest(claim, terms, authorization.items["nonce"], content=zmgo_queries.parameters(call.query))

    def _plain(self, call: Call) -> bytes | None:
        if "alipay-encrypt-type" not in call.headers:
            return call.body
        return crypto.decrypt(self._identities.encrypt_key, call.body)

    def _headers(self) -> tuple[tuple[str, str], ...]:
        return ("Content-Type", "application/json;charset=utf-8"), ("alipay-trace-id", self._unique_texts.take())

    def _signature(
        self, body: bytes, terms: Terms, at: datetime, fault: InjectedFault | None
    ) -> tuple[tuple[str, str], ...]:
        timestamp, nonce = str(int(at.timestamp() * 1000)), self._unique_texts.take()
        mark = signature(f"{timestamp}\n{nonce}\n".encode() + body + b"\n", terms, fault)
        headers = [("alipay-timestamp", timestamp), ("alipay-nonce", nonce)]
        if terms.names_key:
            headers.append(("alipay-sn", mark.name))
        if mark.signature is not None:
            headers.append(("alipay-signature", mark.signature))
        return tuple(headers)


def _authorization(call: Call) -> _Authorization | None:
    header = call.headers.get("authorization", "")
    signed, comma, signature = header.removeprefix(_SCHEME).rpartition(",sign=")
    if not header.startswith(_SCHEME) or not comma:
        return None
    return _Authorization(signed, dict(item.partition("=")[::2] for item in signed.split(",")), signature)


def _clock_refusal(call: Call, authorization: _Authorization) -> Refusal | None:
    timestamp = authorization.items.get("timestamp", "")
    if not timestamp:
        return Refusal("missing-timestamp", "缺少时间戳参数")
    if not _MILLISECONDS.fullmatch(timestamp):
        return Refusal("invalid-timestamp", "非法的时间戳参数")
    if abs(int(timestamp) / 1000 - call.wall.timestamp()) > _TOLERANCE.total_seconds():
        return Refusal("illegal-timestamp", "时间戳超出允许范围")
    if not authorization.items.get("nonce"):
        return Refusal("invalid-signature", "缺少nonce", 401)
    return None


def _signed_text(call: Call, authorization: _Authorization) -> bytes:
    lines = [authorization.signed.encode("latin-1"), call.method.encode(), call.target.encode("latin-1"), call.body]
    if "alipay-app-auth-token" in call.headers:
        lines.append(call.headers["alipay-app-auth-token"].encode("latin-1"))
    return b"".join(line + b"\n" for line in lines)


def _error(refusal: Refusal) -> bytes:
    return orjson.dumps({"code": refusal.code, "message": refusal.message, "links": _LINKS})
