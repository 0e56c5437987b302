"""The answer to a query: the reports on one page, with amounts read from the digits as received."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pipeline.reconcile.targets import PAGE_SIZE

# Digits before and after the point: far more than an amount in yuan has, and few enough for exact arithmetic.
_DECIMAL = re.compile(r"[0-9]{1,15}(\.[0-9]{1,10})?")
_NONE = Decimal(0)


@dataclass(frozen=True, slots=True)
class ListedReport:
    """
    A report that the platform lists: key, direction, amounts in yuan, number and name of the task.

    An amount is None if it is no decimal; an absent one is 0.
    """

    key: str = field(repr=False)
    direction: str
    amount: Decimal | None
    discount: Decimal | None
    times: Decimal | None
    task: str


@dataclass(frozen=True, slots=True)
class Page:
    """The reports of one page. `is_last`: no page follows."""

    reports: tuple[ListedReport, ...]
    is_last: bool


def read_page(content: bytes, page_no: int) -> Page | None:
    """Return the page with this number; None if the answer is another page, or has another form."""
    fields = _object(content)
    # Without a list there is no report; a list of another form proves nothing.
    entries = fields.get("detail_list") or [] if fields else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return None
    if fields is None or str(fields.get("page_no")) != str(page_no):
        return None
    return Page(tuple(map(_report, entries)), is_last=len(entries) < PAGE_SIZE)


def agreement_status(content: bytes) -> str | None:
    """Return the platform's letter for the state of an agreement; None if the answer has none."""
    return _text((_object(content) or {}).get("agreement_status")) or None


def _object(content: bytes) -> dict[str, Any] | None:
    """Return a JSON object with numbers as decimals, exactly as their digits say."""
    try:
        value = json.loads(content, parse_float=Decimal, parse_int=Decimal)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _report(entry: Mapping[str, object]) -> ListedReport:
    return ListedReport(
        key=_text(entry.get("out_biz_no")),
        direction=_text(entry.get("action_type")),
        amount=_decimal(entry.get("task_amount")),
        discount=_decimal(entry.get("discount_amount")),
        times=_decimal(entry.get("task_times")),
        task=_text(entry.get("task_desc")),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _decimal(value: object) -> Decimal | None:
    """Return an amount that came as text or as number."""
    if value is None or value == "":
        return _NONE
    # Python writes an integer or decimal of JSON back with the digits that it had.
    text = str(value) if isinstance(value, str | Decimal) else ""
    return Decimal(text) if _DECIMAL.fullmatch(text) else None
