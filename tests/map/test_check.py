"""The check of a job's mapping rules."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pipeline.map import MappingRules, check_rules
from pipeline.model import Api, Export

Rules = Callable[..., MappingRules]


@pytest.mark.parametrize("export", Export)
def test_minimal_rules_are_valid(rules: Rules, export: Export) -> None:
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
            ['units: trade_amount has the unit "cent"; write yuan or fen', "units: trade_no is not an amount"],
            id="units",
        ),
        pytest.param(
            Export.TASKS,
            {
                "constants": {"partner_id": "2088000000000000", "task_name": "签到"},
                "defaults": {"partner_id": "2088000000000001", "user_id": " "},
                "values": {"task_name": {"a": "b"}, "biz_action": {"\u3000": "ORDER_PAID", " NULL": "ORDER_REFUND"}},
            },
            [
                "partner_id has both a default and a constant; keep one of them",
                "task_name has both values and a constant; keep one of them",
                "defaults: user_id is empty",
                "values: a word of biz_action is blank; use defaults for empty cells",
                'values: "NULL" of biz_action is a null value; use defaults, or other csv.null_values',
            ],
            id="words-that-can-not-be",
        ),
        pytest.param(
            Export.ORDERS,
            {
                "defaults": {"biz_action": "PAID", "trade_amount": "free", "ext_info": "[]"},
                "values": {
                    "biz_time": {"开业": "soon", "x": "soon"},
                    "has_alipay_trade": {"是": "true", "否": "perhaps"},
                },
            },
            [
                'defaults: biz_action "PAID" is not one of ORDER_PAID, ORDER_REFUND',
                'defaults: trade_amount "f***e" (4 characters) is not an amount in yuan with at most two decimals',
                'defaults: ext_info "[***]" (2 characters) is not a JSON object',
                'values: biz_time "s***n" (4 characters) is not a time such as 2024-05-01 12:00:00',
                'values: has_alipay_trade "perhaps" is not one of true, yes, y, 1, false, no, n, 0',
            ],
            id="texts-of-the-wrong-kind",
        ),
        pytest.param(
            Export.STATES,
            {
                "defaults": {"biz_data.city": "杭州", "open_id": "x" * 129},
                "values": {"biz_state_code": {"a": "x" * 65, "b": " "}, "biz_data.city": {"沪": "上海"}},
            },
            [
                "defaults: open_id (129 characters) is longer than the 128 characters allowed",
                'values: biz_state_code "x***x" (65 characters) is longer than the 64 characters allowed',
            ],
            id="texts-that-are-too-long",
        ),
        pytest.param(
            Export.ORDERS,
            {
                "columns": {"biz_action": "动作"},
                "defaults": {"pay_out_biz_no": "A-1", "trade_no": "T", "discount_name": "券", "task_name": "签到"},
                "values": {"biz_action": {"退款": "ORDER_REFUND", "无": ""}, "pay_out_biz_no": {"甲": "A-1"}},
                "filter": {"状态": ("已完成",)},
            },
            [],
            id="texts-that-need-others",
        ),
        pytest.param(
            Export.ORDERS, {"constants": {"partner_id": " "}}, ["constants: partner_id is empty"], id="empty-constant"
        ),
        pytest.param(
            Export.ORDERS,
            {"constants": {"biz_action": "PAID", "user_id": "2088\x00"}},
            [
                'constants: biz_action (a constant) "PAID" is not one of ORDER_PAID, ORDER_REFUND',
                "constants: user_id (a constant) (5 characters) is not 2088 and 12 more digits",
            ],
            id="constants-of-the-wrong-kind",
        ),
        pytest.param(
            Export.ORDERS,
            {"constants": {"partner_id": "2.088E+15"}},
            [
                'constants: partner_id (a constant) "2***5" (9 characters) is in scientific notation, so '
                "digits may be lost: export the column as text; "
                'if codes really look like this, set suspicious_ids = "send" in the job'
            ],
            id="rounded-constant",
        ),
        pytest.param(
            Export.ORDERS,
            {"formats": {"trade_amount": ("epoch_s",), "biz_time": ("%Y/%m/%d", "%H:%M")}},
            ["formats: trade_amount is not a time", 'formats: biz_time "%H:%M" names no day; it needs %Y, %m and %d'],
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
def test_a_contradiction_is_reported(rules: Rules, export: Export, changes: dict[str, Any], faults: list[str]) -> None:
    """All faults of a job's mapping rules are returned."""
    assert check_rules(rules(export, **changes)) == faults


def test_an_export_goes_to_its_own_api(rules: Rules) -> None:
    """Points can't go to the cumulation API."""
    assert check_rules(replace(rules(Export.POINTS), api=Api.CUMULATION)) == [
        'export "points" goes to api "wechatpay.points" or "wechatpay.brand_points", not to "alipay.cumulation"'
    ]


def test_a_constant_brand_is_the_account_s(rules: Rules) -> None:
    """With a brand's own account, a constant brand_id must be the account's; without one, nothing is missing."""
    own = replace(rules(Export.POINTS), api=Api.BRAND_POINTS, brand_id="40001")

    assert check_rules(own) == check_rules(replace(own, constants={"brand_id": "40001"})) == []
    assert check_rules(replace(own, constants={"brand_id": "40002"})) == [
        'constants: brand_id (a constant) "4***2" (5 characters) is not the brand_id of the account; '
        "send this row by a job with that brand's account"
    ]
