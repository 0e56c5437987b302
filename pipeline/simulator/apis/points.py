"""
Point balances that WeChat Pay accepts, from service providers (wechatpay-v3-points.md, section 2) and from brands
(wechatpay-brand-points.md, section 2).
"""

import re
from collections.abc import Iterator, Mapping

from pipeline.simulator.apis.fields import is_id, text
from pipeline.simulator.ruling import Accepted, AdmittedRequest, Decision, Refusal, Ruling
from pipeline.simulator.state.memory import Memory

_TEXTS = {"out_request_no": 128, "brand_id": 16, "card_id": 32, "openid": 128, "user_card_code": 32}
_REQUEST_NO = re.compile(r"[0-9A-Za-z_-]+", re.ASCII)
_CARD_CODE = re.compile(r"[!-~]+", re.ASCII)
# The greatest integer that JSON numbers carry exactly.
_HIGHEST = 2**53 - 1
# The inner error number of a field that the document lacks.
_UNKNOWN_FIELD = 270924358


def rule(admission: AdmittedRequest, memory: Memory) -> tuple[Decision, Ruling]:
    """Apply a balance that a service provider sends, or return the refusal."""
    return _decide(admission, memory, _TEXTS)


def brand_rule(admission: AdmittedRequest, memory: Memory) -> tuple[Decision, Ruling]:
    """Apply a balance that a brand sends, or return the refusal: the header has the brand, so the body must not."""
    decision, ruling = _decide(admission, memory, {name: most for name, most in _TEXTS.items() if name != "brand_id"})
    if isinstance(ruling, Accepted):
        ruling = Accepted({**ruling.content, "brand_id": admission.claim.merchant})
    return decision, ruling


def _decide(admission: AdmittedRequest, memory: Memory, texts: Mapping[str, int]) -> tuple[Decision, Ruling]:
    unknown = sorted(admission.content.keys() - {*texts, "point_balance"})
    if unknown:
        return Decision.REFUSED, Refusal("PARAM_ERROR", f"参数{unknown[0]}不存在", number=_UNKNOWN_FIELD)
    problem = next(_problems(admission.content, texts), None)
    if problem:
        return Decision.REFUSED, Refusal("PARAM_ERROR", problem)
    known = memory.compare(admission)
    if known is Decision.CONFLICT:
        return known, Refusal("ALREADY_EXISTS", "out_request_no已被其他内容使用")
    echoed = {name: admission.content[name] for name in (*texts, "point_balance")}
    return known or memory.apply(admission), Accepted(echoed)


def _problems(content: Mapping[str, object], texts: Mapping[str, int]) -> Iterator[str]:
    if any(value is None for value in content.values()):
        yield "参数不能为null"
    for name, longest in texts.items():
        value = text(content, name)
        if not 0 < len(value) <= longest:
            yield f"{name}为空、类型错误或超长"
        if any(ord(character) > 0xFFFF for character in value):
            yield f"{name}含有四字节字符"
        if not is_id(value):
            yield f"{name}含有非法字符"
    if not _REQUEST_NO.fullmatch(text(content, "out_request_no")):
        yield "out_request_no含有非法字符"
    if not _CARD_CODE.fullmatch(text(content, "user_card_code")):
        yield "user_card_code含有非法字符"
    balance = content.get("point_balance")
    if type(balance) is not int or not 0 <= balance <= _HIGHEST:
        yield "point_balance须为非负整数"
