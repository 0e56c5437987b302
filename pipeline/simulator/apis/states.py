"""States of business objects that Zhima accepts (alipay-gateway-state-sync.md, sections 2 and 5)."""

from collections.abc import Iterator, Mapping

from pipeline.simulator.apis.fields import is_id, is_member, json_object, text
from pipeline.simulator.ruling import Accepted, AdmittedRequest, Decision, Refusal, Ruling
from pipeline.simulator.state.memory import Memory

_LENGTHS = {
    "out_biz_no": (128, "ZMDATA.OUT_BIZ_NO_NULL"),
    "out_principal_id": (128, "ZMDATA.OUT_PRINCIPAL_ID_ERROR"),
    "biz_state_code": (64, "ZMDATA.BIZ_STATE_CODE_ERROR"),
    "category_code": (64, "ZMDATA.CATEGORY_CODE_ERROR"),
    # The platform spells it without the second A.
    "service_id": (128, "ZMDAT.SERVICE_ID_ERROR"),
    "biz_data": (4096, "ZMDATA.BIZ_DATA_ERROR"),
}


def key_of(content: Mapping[str, object]) -> str:
    """Return the key of a request: the merchant's number and the state code."""
    return f"{text(content, 'out_biz_no')}|{text(content, 'biz_state_code')}"


def rule(admission: AdmittedRequest, memory: Memory) -> tuple[Decision, Ruling]:
    """
    Apply a state, or return the refusal.

    No document names an idempotency key. An object has its last reported state. The same report again changes nothing;
    any other report is a change, even back to an earlier state.
    """
    problem = next(_problems(admission.content), None)
    if problem:
        return Decision.REFUSED, problem
    object_key = f"{text(admission.content, 'out_biz_no')}|{text(admission.content, 'out_principal_id')}"
    is_repeated = memory.compare(admission, key=object_key) is Decision.REPEATED
    decision = Decision.REPEATED if is_repeated else memory.apply(admission, key=object_key)
    return decision, Accepted({"biz_result": "success"})


def _problems(content: Mapping[str, object]) -> Iterator[Refusal]:
    users = [text(content, name) for name in ("user_id", "open_id") if text(content, name)]
    is_right = "open_id" in content or is_member(text(content, "user_id"))
    if len(users) != 1 or len(users[0]) > 128 or not is_right or not is_id(users[0]):
        yield _refusal("ZMDATA.USER_ID_ERROR", "用户ID错误")
    for name, (longest, code) in _LENGTHS.items():
        value = text(content, name)
        if not 0 < len(value) <= longest or (name != "biz_data" and not is_id(value)):
            yield _refusal(code, f"{name}错误")
    if json_object(text(content, "biz_data")) is None:
        yield _refusal("ZMDATA.BIZ_DATA_ERROR", "biz_data不是JSON")


def _refusal(code: str, message: str) -> Refusal:
    return Refusal(code, message, 200)
