"""Diagnosis: find the condition of the retry matrix that an answer is in."""

from dataclasses import dataclass

from pipeline.language import t
from pipeline.model import Api, Lost, Opened, Reply, Trust
from pipeline.write.answers.answer_content import AnswerContent, parse_answer, with_inner_number
from pipeline.write.answers.catalogue import BY_LOSS, BY_STATUS, BY_TRUST, RULES, find_codes
from pipeline.write.answers.masking import safe_text
from pipeline.write.answers.matrix.condition import Codes, Condition, Rule
from pipeline.write.answers.sent_request import JsonScalar, SentRequest

_CONFIRMED = {api: "10000" if api is Api.STATE else "SUCCESS" for api in Api}
_FAILED = {api: "BIZ_RESULT_FAILED" if api is Api.STATE else "FAIL_REASON" for api in Api}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The rule of an answer's condition, with the platform's code and message."""

    rule: Rule
    code: str
    message: str = ""
    codes: Codes | None = None
    status: int | None = None
    asks_for_new_key: bool = False


def diagnose(sent: SentRequest, answer: Reply | Lost, opened: Opened | None) -> Diagnosis:
    """Return the rule of the condition that the answer is in."""
    if isinstance(answer, Lost):
        rule = BY_LOSS[answer.cause]
        return Diagnosis(rule, rule.code, safe_text(answer.detail, sent.private))
    content = parse_answer(sent.api, opened.content if opened else None, sent.private)
    content = with_inner_number(sent.api, content, answer)
    trust = opened.trust if opened else Trust.MISSING_SIGNATURE
    return (
        _by_signature(sent.api, answer, trust, content)
        or _by_code(sent.api, answer, content)
        or (_by_success(sent, content) if answer.status == 200 else _by_status(sent.api, answer, content))
    )


def names_request(sent: SentRequest, opened: Opened | None) -> bool:
    """Return whether an answer repeats values of its request, which proves that it belongs to this request."""
    content = parse_answer(sent.api, opened.content) if opened else None
    return sent.is_echoed and content is not None and not _echo_differences(sent, content)


def _by_signature(api: Api, reply: Reply, trust: Trust, content: AnswerContent | None) -> Diagnosis | None:
    """
    Return the finding for a bad signature; None if the answer may be read.

    A success is read only if verified. An error may be unsigned, since early refusals are. WeChat Pay's own libraries
    verify no error, so its errors are always read.
    """
    is_wechat = api.platform == "wechatpay"
    if trust is Trust.VERIFIED:
        return None
    if reply.status == 200 and not _is_gateway_error(api, content):
        rule = BY_TRUST[trust]
    elif not is_wechat and trust in {Trust.BAD_SIGNATURE, Trust.PROBE}:
        rule = RULES[Condition.ERROR_FORGED]
    elif not is_wechat and trust in {Trust.UNKNOWN_SERIAL, Trust.STALE}:
        rule = BY_TRUST[trust]
    else:
        return None
    return Diagnosis(rule, rule.code, status=reply.status)


def _is_gateway_error(api: Api, content: AnswerContent | None) -> bool:
    """Return whether this is an error answer of the gateway. Its errors have status 200, like its successes."""
    return api is Api.STATE and content is not None and content.codes != () and content.codes[-1] != _CONFIRMED[api]


def _by_code(api: Api, reply: Reply, content: AnswerContent | None) -> Diagnosis | None:
    """Return the finding for the first known code. Codes precede the status, and a sub code precedes its code."""
    if content is None:
        return None
    known = filter(None, (find_codes(api, code, content.message) for code in content.codes))
    codes = next(known, None)
    if codes is None:
        return None
    return _finding(codes.condition, content.code, content, codes=codes, status=reply.status)


def _by_success(sent: SentRequest, content: AnswerContent | None) -> Diagnosis:
    """Return the finding for a trusted answer with status 200 and no known code."""
    if content is None:
        return Diagnosis(BY_TRUST[Trust.UNREADABLE], BY_TRUST[Trust.UNREADABLE].code, status=200)
    if sent.api is Api.STATE:
        return _gateway_result(sent.api, content)
    if content.fields.get("fail_reason") not in (None, ""):
        return _finding(Condition.NOT_TAKEN, _FAILED[sent.api], content)
    if different := _echo_differences(sent, content):
        rule = RULES[Condition.ECHO_DIFFERS]
        return Diagnosis(rule, rule.code, t("{names} missing or different", names=", ".join(different)), status=200)
    return Diagnosis(RULES[Condition.SUCCESS], _CONFIRMED[sent.api])


def _echo_differences(sent: SentRequest, content: AnswerContent) -> list[str]:
    """Return the names of the fields that an answer does not repeat as they were sent."""
    different = [name for name, value in sent.echo.items() if not _is_same(content.fields.get(name), value)]
    names_other_brand = sent.brand_id is not None and content.fields.get("brand_id") not in (None, sent.brand_id)
    return [*different, "brand_id"] if names_other_brand else different


def _gateway_result(api: Api, content: AnswerContent) -> Diagnosis:
    match content.codes, content.fields.get("biz_result"):
        case ("10000",), "success":
            return Diagnosis(RULES[Condition.SUCCESS], _CONFIRMED[api])
        case ("10000",), "failed":
            return _finding(Condition.NOT_TAKEN, _FAILED[api], content)
        case (*_, code), _ if code != "10000":
            return _finding(Condition.UNKNOWN_CODE, content.code, content)
        case _:
            return _finding(Condition.RESULT_NOT_DESCRIBED, RULES[Condition.RESULT_NOT_DESCRIBED].code, content)


def _finding(
    condition: Condition, code: str, content: AnswerContent, *, codes: Codes | None = None, status: int = 200
) -> Diagnosis:
    return Diagnosis(
        RULES[condition],
        code,
        message=content.message,
        codes=codes,
        status=status,
        asks_for_new_key=content.asks_for_new_key,
    )


def _is_same(echoed: object, sent: JsonScalar) -> bool:
    """Compare as JSON does: 1 equals 1.0, but neither true nor "1"."""
    return echoed == sent and isinstance(echoed, bool) == isinstance(sent, bool)


def _by_status(api: Api, reply: Reply, content: AnswerContent | None) -> Diagnosis:
    """Return the finding for a status without a known code. An unknown code is kept in it."""
    code = content.code if content else ""
    rule = BY_STATUS.get(reply.status, RULES[Condition.STATUS_NOT_DESCRIBED])
    match rule.condition:
        case Condition.NO_SUCH_PATH | Condition.CLIENT_ERROR if code:
            rule = RULES[Condition.UNKNOWN_CODE]
        # A wrong method fails for each row, with any body. A page not found may come from a proxy.
        case Condition.NO_SUCH_PATH if reply.status == 404 and reply.body.strip():
            rule = RULES[Condition.CLIENT_ERROR]
        # WeChat Pay lists 501 as a server fault that no retry fixes.
        case Condition.SERVER_ERROR if reply.status == 501 and api.platform == "wechatpay" and not code:
            rule = RULES[Condition.NO_SUCH_PATH]
        case Condition.SERVER_ERROR | Condition.SERVER_UNAVAILABLE if code:
            rule = RULES[Condition.UNKNOWN_CODE_5XX]
    message, asks = (content.message, content.asks_for_new_key) if content else ("", False)
    return Diagnosis(rule, code or f"http_{reply.status}", message, status=reply.status, asks_for_new_key=asks)
