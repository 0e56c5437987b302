"""What the platform's list proves about one report. No effects."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any

import orjson

from pipeline.language import later
from pipeline.reconcile.listing import ListedReport

# The platform's words for the direction of a report.
_DIRECTIONS = {"ORDER_PAID": "POSITIVE", "ORDER_REFUND": "REVERSE"}
_NONE, _ONE = Decimal(0), Decimal(1)


class Conclusion(StrEnum):
    """What a complete list proves about a report. Only `APPLIED` settles it."""

    APPLIED = later("listed as it was sent")
    ABSENT = later("not listed, which proves nothing; `backfill rerun` sends the same bytes under the same key")
    DIFFERS = later("listed with another amount, task or direction; compare it at the platform")
    TWICE = later("listed more than once; compare it at the platform")


def conclude(body: bytes, listed: Iterable[ListedReport]) -> Conclusion:
    """Return what all reports that are listed for its agreement prove about the report that was sent with this body."""
    fields = orjson.loads(body)
    found = [report for report in listed if report.key == fields["out_biz_no"]]
    match found:
        case []:
            return Conclusion.ABSENT
        case [report]:
            return Conclusion.APPLIED if _is_same(report, fields) else Conclusion.DIFFERS
        case _:
            return Conclusion.TWICE


def _is_same(report: ListedReport, fields: Mapping[str, Any]) -> bool:
    """Return whether a listed report has the direction and the amounts or the task of the one that was sent."""
    if report.direction != _DIRECTIONS.get(fields["biz_action"]):
        return False
    if (report.amount, report.discount) != _amounts(fields.get("amount_type_data", {})):
        return False
    is_task = fields["cumulate_data_type"] == "TASK"
    return not is_task or (report.times, report.task) == (_ONE, fields["task_type_data"]["name"])


def _amounts(sent: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    """Return the amount and the sum of discounts of a report, in yuan."""
    trade: Mapping[str, str] = sent.get("trade_info", {})
    discounts: Sequence[Mapping[str, str]] = sent.get("out_discount_infos", [])
    amount = Decimal(trade["amount"]) if trade else _NONE
    return amount, sum((Decimal(each["discount_amount"]) for each in discounts), _NONE)
