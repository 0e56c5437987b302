"""Alipay's gateway on the platform's side (alipay-gateway-state-sync.md)."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import orjson

from pipeline.simulator import crypto
from pipeline.simulator.api import CallRule
from pipeline.simulator.apis import states
from pipeline.simulator.apis.fields import is_time, json_object, text
from pipeline.simulator.apis.gateway_form import charset_of, parameters, signed_text
from pipeline.simulator.faults.answer_signature import UniqueTexts, is_hit, signature, with_other_key
from pipeline.simulator.faults.fault import FaultKind, InjectedFault
from pipeline.simulator.http.messages import Call, Reply
from pipeline.simulator.identities import Identities
from pipeline.simulator.ruling import Accepted, AdmittedRequest, Api, Claim, Decision, Refusal, Ruling, Terms
from pipeline.simulator.state.memory import Memory

PATH = "/gateway.do"
_METHODS = {
    "zhima.data.state.data.sync": Api.STATE,
    "alipay.open.app.alipaycert.download": Api.ALIPAY_CERTIFICATE,
}
_NODES = {api: method.replace(".", "_") + "_response" for method, api in _METHODS.items()}
_NEEDED = {
    "method": "isv.missing-method",
    "sign_type": "isv.missing-signature-type",
    "sign": "isv.missing-signature",
    "timestamp": "isv.missing-timestamp",
    "version": "isv.missing-version",
}
_MESSAGES = {
    "20000": "Service Currently Unavailable",
    "20001": "Insufficient Token Permissions",
    "40001": "Missing Required Arguments",
    "40002": "Invalid Arguments",
    "40003": "Insufficient Conditions",
    "40004": "Business Failed",
    "40005": "Call Limited",
    "40006": "Insufficient Permissions",
}
# No source gives a figure for the gateway; this is that of v3.
_TOLERANCE = timedelta(minutes=10)
_BEIJING = timezone(timedelta(hours=8))


class GatewayApi:
    """The state sync and the certificate download. The gateway always answers with status 200."""

    throttled = Refusal("isv.app-call-limited", "应用调用次数超限", 200)
    # Never used: requests to the gateway carry no nonce.
    replayed = Refusal("isv.invalid-signature", "", 200)

    def __init__(self, identities: Identities, unique_texts: UniqueTexts) -> None:
        self._identities = identities
        self._unique_texts = unique_texts
        self.rules: Mapping[Api, CallRule] = {Api.STATE: states.rule, Api.ALIPAY_CERTIFICATE: self._download}

    def claim(self, call: Call) -> Claim:
        """Return app id, method and key, as far as readable."""
        charset = charset_of(call) or "utf-8"
        given = parameters(call, charset) or {}
        api = _METHODS.get(given.get("method", ""), Api.STATE)
        content = json_object(self._plain(given, charset) or b"") or {}
        key = states.key_of(content) if api is Api.STATE and content else ""
        return Claim(api, given.get("app_id", ""), key)

    def admit(self, call: Call, claim: Claim) -> AdmittedRequest | Refusal:
        """Check the app, then the signature, as the gateway does; then decrypt."""
        charset = charset_of(call)
        if charset is None:
            return Refusal("isv.invalid-charset", "字符集错误, 须在URL中传utf-8或gbk", 200)
        given = parameters(call, charset)
        if given is None:
            return Refusal("isv.invalid-parameter", "参数编码与charset不符或参数重复", 200)
        refusal = self._caller_refusal(given) or _form_refusal(given, call)
        if refusal:
            return refusal
        sha1 = given["sign_type"] == "RSA"
        signed = signed_text(given, charset)
        if not crypto.verifies(self._identities.app_key, given["sign"], signed, sha1=sha1):
            return Refusal("isv.invalid-signature", "验签出错, 建议检查签名字符串或签名私钥与应用公钥是否匹配", 200)
        encrypted = "encrypt_type" in given
        terms = Terms(self._identities.alipay, "app_cert_sn" in given, encrypted, charset, sha1)
        return self._content(given, claim, terms)

    def refusal(self, fault: InjectedFault) -> Ruling:
        """Return the fault's sub code, or a 10000 with biz_result `failed`."""
        if fault.fail_reason is not None:
            return Accepted({"biz_result": "failed"})
        return Refusal(fault.code or "", fault.message or "", 200)

    def unsigned_refusal(self, call: Call, refusal: Refusal) -> Reply:
        """Return an error node without `sign`, as the gateway does for early refusals."""
        charset = charset_of(call) or "utf-8"
        method = (parameters(call, charset) or {}).get("method", "")
        node = _NODES[_METHODS[method]] if method in _METHODS else "error_response"
        body = f'{{"{node}":{_node_text(refusal)}}}'.encode(charset, "replace")
        return Reply(200, (*self._headers(charset), *refusal.headers), body)

    def answer(self, admission: AdmittedRequest, ruling: Ruling, at: datetime, fault: InjectedFault | None) -> Reply:  # noqa: ARG002 - gateway answers bear no time
        """Sign the node's value exactly as sent, in the request's charset, with its sign_type."""
        terms = admission.terms
        if fault and fault.kind is FaultKind.UNKNOWN_SERIAL:
            terms = with_other_key(terms, self._identities.alipay_next, fault)
        if is_hit(fault, FaultKind.REISSUED_CERTIFICATE):
            terms = replace(terms, key=self._identities.alipay_reissued)
        if is_hit(fault, FaultKind.WRONG_ECHO) and isinstance(ruling, Accepted):
            ruling = Accepted({"biz_result": "unclear"})
        value = _node_text(ruling).encode(terms.charset, "replace")
        if terms.encrypted:
            key = self._identities.encrypt_key
            wrong = is_hit(fault, FaultKind.BAD_ENCRYPTION)
            value = b'"' + crypto.encrypt(key[::-1] if wrong else key, value) + b'"'
        mark = signature(value, terms, fault)
        members = [f'"{_NODES[admission.claim.api]}":'.encode() + value]
        if terms.names_key:
            members.append(f'"alipay_cert_sn":"{mark.name}"'.encode())
        if mark.signature is not None:
            members.append(f'"sign":"{mark.signature}"'.encode())
        more = ruling.headers if isinstance(ruling, Refusal) else ()
        return Reply(200, (*self._headers(terms.charset), *more), b"{" + b",".join(members) + b"}")

    def _caller_refusal(self, given: Mapping[str, str]) -> Refusal | None:
        known = self._identities
        if not given.get("app_id"):
            return Refusal("isv.missing-app-id", "缺少AppID参数", 200)
        if given["app_id"] != known.app_id:
            return Refusal("isv.invalid-app-id", "无效的AppID参数", 200)
        if given.get("app_cert_sn", known.app_cert_sn) != known.app_cert_sn:
            return Refusal("isv.app-cert-not-exist", "应用公钥证书不存在", 200)
        if "app_cert_sn" in given and given.get("alipay_root_cert_sn") != known.root_cert_sn:
            return Refusal("isv.missing-alipay-root-cert-sn", "缺少支付宝根证书序列号", 200)
        if "app_cert_sn" in given and given.get("sign_type") == "RSA":
            return Refusal("isv.invalid-signature-type", "证书模式只支持RSA2", 200)
        return None

    def _content(self, given: Mapping[str, str], claim: Claim, terms: Terms) -> AdmittedRequest | Refusal:
        if terms.encrypted and given["encrypt_type"] != "AES":
            return Refusal("isv.invalid-encrypt-type", "加密算法错误", 200)
        plain = self._plain(given, terms.charset)
        if plain is None:
            return Refusal("isv.decryption-error-unknown", "解密出错", 200)
        content = json_object(plain)
        if content is None:
            return Refusal("isv.illegal-json", "biz_content不是JSON", 200)
        return AdmittedRequest(claim, terms, body=plain, content=content)

    def _plain(self, given: Mapping[str, str], charset: str) -> bytes | None:
        content = given.get("biz_content", "").encode()
        if not given.get("encrypt_type"):
            return content
        # The SDK encrypts the bytes of the request's charset (alipay-sdk-java-all, AlipayEncrypt).
        plain = crypto.decrypt(self._identities.encrypt_key, content)
        return plain and plain.decode(charset, "replace").encode()

    def _download(self, admission: AdmittedRequest, _memory: Memory) -> tuple[Decision, Ruling]:
        wanted = text(admission.content, "alipay_cert_sn")
        known = self._identities
        keys = (known.alipay, known.alipay_next, known.alipay_reissued)
        pem = next((key.certificate for key in keys if key.name == wanted), None)
        if pem is None:
            return Decision.REFUSED, Refusal("CERT_NOT_EXIST", "证书不存在", 200)
        return Decision.SERVED, Accepted({"alipay_cert_content": base64.b64encode(pem).decode()})

    def _headers(self, charset: str) -> tuple[tuple[str, str], ...]:
        # The platform declares text/html, although the body is JSON.
        return ("Content-Type", f"text/html;charset={charset}"), ("trace_id", self._unique_texts.take())


def _form_refusal(given: Mapping[str, str], call: Call) -> Refusal | None:
    missing = next((code for name, code in _NEEDED.items() if not given.get(name)), None)
    if missing:
        return Refusal(missing, "缺少必选参数", 200)
    if given["method"] not in _METHODS:
        return Refusal("isv.invalid-method", "不存在的方法名", 200)
    if given["sign_type"] not in ("RSA", "RSA2"):
        return Refusal("isv.invalid-signature-type", "无效的签名类型", 200)
    if given.get("format", "JSON").upper() != "JSON":
        return Refusal("isv.invalid-format", "无效的数据格式", 200)
    if not _is_now(given["timestamp"], call.wall):
        return Refusal("isv.invalid-timestamp", "非法的时间戳参数", 200)
    return None


def _is_now(timestamp: str, now: datetime) -> bool:
    if not is_time(timestamp):
        return False
    return abs(datetime.fromisoformat(timestamp).replace(tzinfo=_BEIJING) - now) <= _TOLERANCE


def _node_text(ruling: Ruling) -> str:
    if isinstance(ruling, Accepted):
        return orjson.dumps({"code": "10000", "msg": "Success", **ruling.content}).decode()
    code = _class_of(ruling.code)
    error = {"code": code, "msg": _MESSAGES[code], "sub_code": ruling.code, "sub_msg": ruling.message}
    return orjson.dumps(error).decode()


def _class_of(sub_code: str) -> str:
    prefix, _, name = sub_code.partition(".")
    if prefix not in ("isv", "isp", "aop"):
        return "40004"
    if name == "unknow-error":
        return "20000"
    if name.endswith("call-limited"):
        return "40005"
    if name.startswith("insufficient") or name in ("self-invoke-forbidden", "ip-forbidden"):
        return "40006"
    if prefix == "aop":
        return "20001"
    return "40001" if name.startswith("missing") else "40002"
