"""The two queries of Zhima Go: reports of an agreement, and its state (alipay-v3-cumulation-query.md)."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast
from urllib.parse import parse_qsl

import orjson

from pipeline.simulator.apis.fields import text
from pipeline.simulator.faults.fault import FaultKind, InjectedFault
from pipeline.simulator.ruling import Accepted, AdmittedRequest, Decision, Refusal, Ruling
from pipeline.simulator.state.memory import AppliedReport, Memory

CUMULATE_QUERY_PATH = "/v3/zhima/merchant/zmgo/cumulate/query"
AGREEMENT_QUERY_PATH = "/v3/zhima/credit/pe/zmgo/agreement/query"
# The reports of an answer that is not rendered yet.
_REPORTS = "#reports"
_MOST_ON_PAGE = 20
_NUMBER = re.compile(r"[1-9]\d{0,5}", re.ASCII)
_CENT = Decimal("0.01")


def parameters(query: str) -> dict[str, object]:
    """Return the parameters of a query string."""
    return dict(parse_qsl(query, keep_blank_values=True))


def agreement_rule(admission: AdmittedRequest, _memory: Memory) -> tuple[Decision, Ruling]:
    """Return the state of an agreement: each one is valid."""
    agreement = text(admission.content, "agreement_id")
    if not agreement:
        return Decision.REFUSED, _invalid("agreement_id")
    return Decision.SERVED, Accepted({"agreement_id": agreement, "agreement_status": "Y"})


def cumulate_rule(admission: AdmittedRequest, memory: Memory) -> tuple[Decision, Ruling]:
    """Return the reports of an agreement, which `rendered` makes the answer from."""
    query = admission.content
    wrong = next((name for name in ("agreement_id", "provider_pid") if not text(query, name)), None)
    if wrong is None and query.get("need_detail") == "true" and _page(query) is None:
        wrong = "page_no"
    if wrong is not None:
        return Decision.REFUSED, _invalid(wrong)
    reports = [report for report in memory.reports_of(text(query, "agreement_id")) if _is_wanted(report, query)]
    return Decision.SERVED, Accepted({_REPORTS: reports})


def rendered(admission: AdmittedRequest, ruling: Ruling, at: datetime, fault: InjectedFault | None) -> Ruling:
    """Return the answer to a query at a moment; a fault makes it wrong."""
    if isinstance(ruling, Refusal):
        return ruling
    if fault and fault.kind is FaultKind.AGREEMENT_STATUS and "agreement_status" in ruling.content:
        return Accepted({**ruling.content, "agreement_status": fault.code})
    if _REPORTS not in ruling.content:
        return ruling
    query = admission.content
    reports = _with_fault(cast("list[AppliedReport]", ruling.content[_REPORTS]), fault, at)
    content = _totals(query, reports)
    page = _page(query) if query.get("need_detail") == "true" else None
    if page is not None:
        number, size = page
        entries = [_entry(report) for report in reports[(number - 1) * size : number * size]]
        content |= {"page_no": number, "page_size": size, "detail_list": entries}
    if fault and fault.kind is FaultKind.FAIL_REASON_BESIDE:
        content["fail_reason"] = fault.fail_reason
    return Accepted(content)


def _is_wanted(report: AppliedReport, query: Mapping[str, object]) -> bool:
    users = [name for name in ("user_id", "open_id") if name in query]
    same_user = all(query[name] == report.content.get(name) for name in users)
    return same_user and query["provider_pid"] == report.content["partner_id"]


def _with_fault(reports: Sequence[AppliedReport], fault: InjectedFault | None, at: datetime) -> Sequence[AppliedReport]:
    match fault:
        case InjectedFault(kind=FaultKind.UNLISTED, seconds=None):
            return []
        case InjectedFault(kind=FaultKind.UNLISTED, seconds=float() | int() as seconds):
            return [report for report in reports if at - report.applied_at >= timedelta(seconds=seconds)]
        case InjectedFault(kind=FaultKind.LISTED_TWICE):
            return [report for report in reports for _ in range(2)]
        case InjectedFault(kind=FaultKind.WRONG_AMOUNT):
            return [report.with_more(_CENT) for report in reports]
    return reports


def _page(query: Mapping[str, object]) -> tuple[int, int] | None:
    number, size = text(query, "page_no"), text(query, "page_size")
    if not (_NUMBER.fullmatch(number) and _NUMBER.fullmatch(size)) or int(size) > _MOST_ON_PAGE:
        return None
    return int(number), int(size)


def _totals(query: Mapping[str, object], reports: Sequence[AppliedReport]) -> dict[str, object]:
    return {
        "agreement_id": query["agreement_id"],
        "aggr_amount": _number(sum((report.sign * report.amount for report in reports), Decimal(0))),
        "aggr_discount_amount": _number(sum((report.sign * report.discount for report in reports), Decimal(0))),
        "aggr_times": sum(report.sign * report.times for report in reports),
    }


def _entry(report: AppliedReport) -> dict[str, object]:
    content = report.content
    entry = {
        "out_biz_no": content["out_biz_no"],
        "action_type": "POSITIVE" if report.sign > 0 else "REVERSE",
        "biz_time": content["biz_time"],
        "data_type": "TASK",
        "sub_data_type": "TIMES" if report.times else "AMOUNT",
        "task_times": report.times,
        "task_desc": report.name,
        "task_amount": _number(report.amount),
        "discount_amount": _number(report.discount),
    }
    if "pay_out_biz_no" in content:
        entry["refer_out_biz_no"] = content["pay_out_biz_no"]
    return entry


def _number(amount: Decimal) -> orjson.Fragment:
    """Return a JSON number with two decimals, as in the guide's example."""
    return orjson.Fragment(f"{amount:.2f}".encode())


def _invalid(name: str) -> Refusal:
    return Refusal("INVALID_PARAMETER", f"{name}错误")
