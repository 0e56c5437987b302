"""Reports that Zhima Go accepts (alipay-v3-cumulation.md, sections 1 and 2)."""

import re
from collections.abc import Iterator, Mapping

from pipeline.simulator.apis.fields import child, is_amount, is_id, is_member, is_time, json_object, text
from pipeline.simulator.ruling import Accepted, AdmittedRequest, Decision, Refusal, Ruling
from pipeline.simulator.state.memory import Memory

_ALWAYS = ("agreement_no", "partner_id", "out_biz_no", "biz_time", "request_from", "biz_action", "cumulate_data_type")
_IDS = ("out_biz_no", "open_id", "pay_out_biz_no")
# Examples: 20 digits, and ZMGO_AGR with 28 digits. No other characters: inferred.
_AGREEMENT = re.compile(r"\w+", re.ASCII)
_DISCOUNT_TYPES = frozenset({"exclusiveBenefit", "exclusiveDiscount", "appreciationBenefit", "memberPoint"})
_PAID, _REFUND = "ORDER_PAID", "ORDER_REFUND"


def rule(admission: AdmittedRequest, memory: Memory) -> tuple[Decision, Ruling]:
    """Apply a report, or return the refusal."""
    content = admission.content
    problem = next(_problems(content), None)
    if problem:
        return Decision.REFUSED, problem
    known = memory.compare(admission)
    if known is Decision.CONFLICT:
        return known, Refusal("IDEMPOTENT_ERROR", "幂等号已被其他内容使用, 请更换幂等号")
    if known is None and _lacks_payment(admission, memory):
        return Decision.REFUSED, Refusal("PAY_ORDER_NOT_EXIST", "正向单据不存在")
    decision = known or memory.apply(admission, kind=text(content, "biz_action"))
    if decision is Decision.APPLIED:
        memory.keep_report(admission)
    return decision, Accepted(
        {name: content[name] for name in ("agreement_no", "out_biz_no", "user_id", "open_id") if name in content}
    )


def _lacks_payment(admission: AdmittedRequest, memory: Memory) -> bool:
    content = admission.content
    refund = content["biz_action"] == _REFUND
    return refund and not memory.knows(admission, text(content, "pay_out_biz_no"), kind=_PAID)


def _problems(content: Mapping[str, object]) -> Iterator[Refusal]:
    yield from (_invalid(f"{name}不能为空") for name in _ALWAYS if not text(content, name))
    yield from _id_problems(content)
    if bool(text(content, "user_id")) == bool(text(content, "open_id")):
        yield _invalid("user_id和open_id须且只须传一个")
    if not is_time(text(content, "biz_time")):
        yield _invalid("biz_time格式错误")
    if content["request_from"] != "ExternalMerchantSource":
        yield _invalid("request_from错误")
    if content["biz_action"] not in (_PAID, _REFUND):
        yield Refusal("INVALID_BIZ_ACTION", "biz_action错误")
    if content["biz_action"] == _REFUND and not text(content, "pay_out_biz_no"):
        yield _invalid("pay_out_biz_no不能为空")
    yield from _optional_problems(content)
    yield from _cumulated_problems(content)


def _id_problems(content: Mapping[str, object]) -> Iterator[Refusal]:
    for name in ("user_id", "partner_id"):
        if name in content and not is_member(text(content, name)):
            yield _invalid(f"{name}格式错误")
    if not _AGREEMENT.fullmatch(text(content, "agreement_no")):
        yield _invalid("agreement_no格式错误")
    yield from (_invalid(f"{name}含有非法字符") for name in _IDS if not is_id(text(content, name)))


def _optional_problems(content: Mapping[str, object]) -> Iterator[Refusal]:
    if not isinstance(content.get("has_alipay_trade", False), bool):
        yield _invalid("has_alipay_trade类型错误")
    if "ext_info" in content and json_object(text(content, "ext_info")) is None:
        yield _invalid("ext_info不是JSON")


def _cumulated_problems(content: Mapping[str, object]) -> Iterator[Refusal]:
    kind = text(content, "cumulate_data_type")
    if kind not in ("AMOUNT", "TASK", "AMOUNT_TASK"):
        yield Refusal("INVALID_CUMULATE_TYPE", "cumulate_data_type错误")
    if kind in ("AMOUNT", "AMOUNT_TASK"):
        yield from _amount_problems(child(content, "amount_type_data"))
    task = child(content, "task_type_data")
    if (kind == "TASK" or task is not None) and not text(task or {}, "name"):
        yield _invalid("task_type_data.name不能为空")


def _amount_problems(amount: Mapping[str, object] | None) -> Iterator[Refusal]:
    if amount is None or not text(amount, "name"):
        yield _invalid("amount_type_data.name不能为空")
        return
    trade = child(amount, "trade_info")
    if trade is not None and not text(trade, "trade_no"):
        yield _invalid("trade_info.trade_no不能为空")
    if trade is not None and not is_id(text(trade, "trade_no")):
        yield _invalid("trade_info.trade_no含有非法字符")
    if trade is not None and not is_amount(trade.get("amount")):
        yield Refusal("ORDER_AMOUNT_ILLEGAL", "订单金额错误")
    discounts = amount.get("out_discount_infos", [])
    for discount in discounts if isinstance(discounts, list) else [discounts]:
        yield from _discount_problems(discount)


def _discount_problems(discount: object) -> Iterator[Refusal]:
    if not isinstance(discount, dict):
        yield _invalid("out_discount_infos类型错误")
        return
    if not text(discount, "discount_name") or text(discount, "discount_type") not in _DISCOUNT_TYPES:
        yield _invalid("discount_name或discount_type错误")
    if not is_amount(discount.get("discount_amount")):
        yield Refusal("DISCOUNT_AMOUNT_ILLEGAL", "优惠金额错误")


def _invalid(message: str) -> Refusal:
    return Refusal("INVALID_PARAMETER", message)
