"""What a job's mapping can't be, whatever the file."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pipeline.map import MappingRules, check_rules
from pipeline.model import Api, Export

Rules = Callable[..., MappingRules]


@pytest.mark.parametrize("export", Export)
def test_the_plainest_mapping_is_in_order(rules: Rules, export: Export) -> None:
    """A job needs no columns, units or constants."""
    assert check_rules(rules(export)) == []


@pytest.mark.parametrize(
    ("export", "changes", "faults"),
    [
        pytest.param(
            Export.ORDERS,
            {"columns": {"partner_id": "pid"}, "constants": {"partner_id": "2088000000000000"}},
            ["partner_id has both a column and a constant; keep one of them"],
            id="column-and-constant",
        ),
        pytest.param(
            Export.ORDERS,
            {"units": {"trade_amount": "cent", "trade_no": "fen"}},
            ['units: trade_amount is in "cent", which is none of yuan, fen', "units: trade_no is no amount"],
            id="units",
        ),
        pytest.param(
            Export.ORDERS, {"constants": {"partner_id": " "}}, ["constants: partner_id is empty"], id="empty-constant"
        ),
        pytest.param(
            Export.ORDERS,
            {"constants": {"biz_action": "PAID", "user_id": "2088\x00"}},
            [
                'constants: biz_action (a constant) "P***D" (4 characters) is not one of ORDER_PAID, ORDER_REFUND',
                "constants: user_id (a constant) (5 characters) is not 2088 and 12 more digits",
            ],
            id="constants-of-the-wrong-kind",
        ),
        pytest.param(
            Export.ORDERS,
            {"constants": {"partner_id": "2.088E+15"}},
            [
                'constants: partner_id (a constant) "2***5" (9 characters) is in scientific notation, so digits may be '
                'lost: export the column as text; if codes really look so, set suspicious_ids = "send" in the job'
            ],
            id="rounded-constant",
        ),
        pytest.param(
            Export.ORDERS,
            {"formats": {"trade_amount": ("epoch_s",), "biz_time": ("%Y/%m/%d", "%H:%M")}},
            ["formats: trade_amount is no time", 'formats: biz_time "%H:%M" names no day; it needs %Y, %m and %d'],
            id="forms",
        ),
        pytest.param(
            Export.ORDERS,
            {"constants": {"partner_id": "2088000000000000", "amount_name": "消费金额", "discount_name": "券"}},
            [],
            id="good-constants",
        ),
    ],
)
def test_a_contradiction_is_told(rules: Rules, export: Export, changes: dict[str, Any], faults: list[str]) -> None:
    """Every fault of a job's mapping is told before a file is opened."""
    assert check_rules(rules(export, **changes)) == faults


def test_an_export_goes_to_its_own_api(rules: Rules) -> None:
    """Points can't be reported as cumulations."""
    assert check_rules(replace(rules(Export.POINTS), api=Api.CUMULATION)) == [
        'export "points" goes to api "wechatpay.points", not to "alipay.cumulation"'
    ]
