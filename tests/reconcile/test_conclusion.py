"""What a list of reports proves about one report that was sent."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest

from pipeline.reconcile.conclusion import Conclusion, conclude
from pipeline.reconcile.listing import ListedReport

ORDER: dict[str, Any] = {
    "out_biz_no": "A1",
    "biz_action": "ORDER_PAID",
    "cumulate_data_type": "AMOUNT",
    "amount_type_data": {
        "name": "消费金额",
        "trade_info": {"trade_no": "T1", "amount": "12.50"},
        "out_discount_infos": [{"discount_amount": "0.10"}, {"discount_amount": "0.20"}],
    },
}
TASK: dict[str, Any] = {
    "out_biz_no": "A1",
    "biz_action": "ORDER_PAID",
    "cumulate_data_type": "TASK",
    "task_type_data": {"name": "签到"},
}
LISTED_ORDER = ListedReport("A1", "POSITIVE", Decimal("12.5"), Decimal("0.3"), Decimal(0), "消费金额")
LISTED_TASK = ListedReport("A1", "POSITIVE", Decimal(0), Decimal(0), Decimal(1), "签到")


@pytest.mark.parametrize(
    ("sent", "listed"),
    [
        pytest.param(ORDER, LISTED_ORDER, id="order: amount, and the sum of its discounts"),
        pytest.param(TASK, LISTED_TASK, id="task: one, by name"),
        pytest.param(
            ORDER | {"biz_action": "ORDER_REFUND"}, replace(LISTED_ORDER, direction="REVERSE"), id="refund: reverse"
        ),
        pytest.param(
            ORDER | {"cumulate_data_type": "AMOUNT_TASK", "task_type_data": {"name": "签到"}},
            replace(LISTED_ORDER, times=Decimal(1), task="签到"),
            id="order with a task: its amounts",
        ),
        pytest.param(
            ORDER | {"amount_type_data": {"out_discount_infos": [{"discount_amount": "0.30"}]}},
            replace(LISTED_ORDER, amount=Decimal(0)),
            id="a discount alone",
        ),
    ],
)
def test_a_report_that_is_listed_as_it_was_sent_was_applied(sent: dict[str, Any], listed: ListedReport) -> None:
    """Direction and amounts, or the task, are those of the body; reports under other keys do not matter."""
    other = replace(listed, key="A2")

    assert conclude(orjson.dumps(sent), [other, listed, other]) is Conclusion.APPLIED


@pytest.mark.parametrize(
    ("sent", "listed"),
    [
        pytest.param(ORDER, replace(LISTED_ORDER, amount=Decimal("12.51")), id="amount"),
        pytest.param(ORDER, replace(LISTED_ORDER, amount=None), id="no amount"),
        pytest.param(ORDER, replace(LISTED_ORDER, discount=Decimal("0.30000000000000004")), id="a float's discount"),
        pytest.param(ORDER, replace(LISTED_ORDER, direction="REVERSE"), id="direction"),
        pytest.param(ORDER, replace(LISTED_ORDER, direction=""), id="no direction"),
        pytest.param(ORDER, LISTED_TASK, id="a task instead of an amount"),
        pytest.param(TASK, replace(LISTED_TASK, times=Decimal(2)), id="two tasks"),
        pytest.param(TASK, replace(LISTED_TASK, task="签退"), id="another task"),
        pytest.param(TASK, replace(LISTED_TASK, amount=Decimal("0.01")), id="a task with an amount"),
    ],
)
def test_other_content_under_the_key_settles_nothing(sent: dict[str, Any], listed: ListedReport) -> None:
    """The key may have been used for something else: a person decides."""
    assert conclude(orjson.dumps(sent), [listed]) is Conclusion.DIFFERS


def test_absence_proves_nothing() -> None:
    """A report that is not listed may be listed later."""
    assert conclude(orjson.dumps(ORDER), [replace(LISTED_ORDER, key="A2")]) is Conclusion.ABSENT


def test_two_entries_settle_nothing() -> None:
    """One key is never to be listed twice, not even with equal content."""
    assert conclude(orjson.dumps(ORDER), [LISTED_ORDER, LISTED_ORDER]) is Conclusion.TWICE
