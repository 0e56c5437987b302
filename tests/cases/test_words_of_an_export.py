"""Variants of the case `values-formats-filter`: words, filters and defaults in the config."""

from typing import Any

import pyarrow as pa

from tests.cases.inputs import csv_of, job, order, parquet_of, points, row, run, state, task
from tests.cases.player import Player

SHOP = """
[jobs.orders.values.biz_action]
"退款" = "ORDER_REFUND"
"支付" = "ORDER_PAID"
"-" = ""
[jobs.orders.filter]
"状态" = ["已完成", "已退款"]
[jobs.orders.defaults]
trade_amount = "0"
"""


def amount(yuan: str) -> dict[str, Any]:
    return {"amount_type_data": {"trade_info": {"amount": yuan}}}


def test_orders_with_words_for_their_actions(player: Player) -> None:
    """A word that is not listed stays; a filtered row is neither invalid nor a duplicate, and has its key."""
    orders = [
        order(1, biz_action="支付", 状态="已完成"),
        order(1, biz_action="支付", 状态="待付款", trade_amount="9.99"),
        order(2, biz_action="无效", 状态="已关闭", user_id="", biz_time="soon", trade_amount="x"),
        order(3, biz_action="退款", 状态=" 已退款\u3000", out_biz_no="R1", pay_out_biz_no="D1"),
        order(4, biz_action="ORDER_PAID", 状态="已完成", trade_amount=""),
        order(5, biz_action="-", 状态="已完成"),
        order(6, biz_action="换货", 状态="已完成"),
    ]
    player.prepare(job("orders", ["orders.csv"], more=SHOP), {"orders.csv": csv_of(orders)})
    sent = [
        {"out_biz_no": "D1", "biz_action": "ORDER_PAID", **amount("1.00")},
        {"out_biz_no": "R1", "biz_action": "ORDER_REFUND", "pay_out_biz_no": "D1"},
        {"out_biz_no": "D4", "biz_action": "ORDER_PAID", **amount("0.00")},
        {"out_biz_no": "D5", "biz_action": "ORDER_PAID"},
    ]
    outcomes = [
        row("orders.csv", 1, "succeeded"),
        row("orders.csv", 2, "skipped", "filtered"),
        row("orders.csv", 3, "skipped", "filtered"),
        row("orders.csv", 4, "succeeded"),
        row("orders.csv", 5, "succeeded"),
        row("orders.csv", 6, "succeeded"),
        row("orders.csv", 7, "invalid", "field_invalid", "biz_action"),
    ]

    player.play(
        [
            run("plan orders", 3, sent=[], says=['"filtered": 2', '"to.send": 4', '"skipped": 2']),
            run("run orders", 3, outcomes, sent, says=[",D1,skipped,filtered,", ",D2,skipped,filtered,"]),
            {"edit": "rows_to_fix.csv", "save_as": "fixed.csv", "cells": [[1, "biz_action", "支付"]]},
            run("run orders fixed.csv", 0, [row("fixed.csv", 1, "succeeded")], [{"out_biz_no": "D6"}]),
        ]
    )


def test_tasks_of_a_warehouse(player: Player) -> None:
    """In Parquet: words of a number column, a boolean to filter by, and a default for a null."""
    words = """
    [jobs.tasks.columns]
    biz_action = "kind"
    [jobs.tasks.values.biz_action]
    "1" = "ORDER_PAID"
    "2" = "ORDER_REFUND"
    [jobs.tasks.filter]
    "Is_Test" = ["false"]
    [jobs.tasks.defaults]
    task_name = "签到"
    """
    rows = [
        task(1, kind=1, is_test=False),
        task(2, kind=None, is_test=False, task_name=None),
        task(3, kind=1, is_test=True),
        task(4, kind=2, is_test=None),
        task(5, kind=2, is_test=False, out_biz_no="R1", pay_out_biz_no="K1"),
    ]
    types = {"kind": pa.int8()}
    player.prepare(job("tasks", ["tasks.parquet"], more=words), {"tasks.parquet": parquet_of(rows, types)})
    outcomes = [
        row("tasks.parquet", 1, "succeeded"),
        row("tasks.parquet", 2, "succeeded"),
        row("tasks.parquet", 3, "skipped", "filtered"),
        row("tasks.parquet", 4, "skipped", "filtered"),
        row("tasks.parquet", 5, "succeeded"),
    ]
    sent: list[dict[str, Any]] = [
        {"out_biz_no": "K1", "biz_action": "ORDER_PAID"},
        {"out_biz_no": "K2", "biz_action": "ORDER_PAID", "task_type_data": {"name": "签到"}},
        {"out_biz_no": "R1", "biz_action": "ORDER_REFUND", "pay_out_biz_no": "K1"},
    ]

    player.play([run("run tasks", 0, outcomes, sent)])


def test_filtered_balances(player: Player) -> None:
    """A filtered balance does not supersede another one, and an empty cell gets the job's default."""
    words = """
    [jobs.points.filter]
    status = ["1", ""]
    source = ["pos"]
    [jobs.points.defaults]
    point_balance = 0
    """
    rows = [
        points(1, 10, status="1", source="pos"),
        points(1, 20, status="2", source="pos"),
        points(2, 30, status="", source="pos"),
        points(3, 40, status="1", source="app"),
        points(4, "", status="1", source="pos"),
    ]
    player.prepare(job("points", ["points.csv"], more=words), {"points.csv": csv_of(rows)})
    outcomes = [
        row("points.csv", 1, "succeeded"),
        row("points.csv", 2, "skipped", "filtered"),
        row("points.csv", 3, "succeeded"),
        row("points.csv", 4, "skipped", "filtered"),
        row("points.csv", 5, "succeeded"),
    ]
    sent = [
        {"user_card_code": "000000000001", "point_balance": 10},
        {"user_card_code": "000000000002", "point_balance": 30},
        {"user_card_code": "000000000004", "point_balance": 0},
    ]

    player.play([run("run points", 0, outcomes, sent), run("run points", 0, sent=[])])


def test_states_with_codes_of_a_system(player: Player) -> None:
    """Words may be numbers with leading zeros, and parts of biz_data may have their own words."""
    words = """
    [jobs.states.values.biz_state_code]
    "01" = "SIGNED"
    "02" = "CLOSED"
    [jobs.states.values.biz_data.city]
    "沪" = "上海"
    [jobs.states.filter]
    biz_state_code = ["01", "02"]
    """
    rows = [
        state(1, "01") | {"biz_data": "", "biz_data.city": "沪"},
        state(2, "03") | {"biz_data": "", "biz_data.city": "沪"},
        state(3, "02") | {"biz_data": "", "biz_data.city": "杭州"},
    ]
    player.prepare(
        job("states", ["states.csv"], more=words), {"states.csv": csv_of(rows, delimiter=",").encode("gb18030")}
    )
    outcomes = [
        row("states.csv", 1, "succeeded"),
        row("states.csv", 2, "skipped", "filtered"),
        row("states.csv", 3, "succeeded"),
    ]
    sent = [
        {"out_biz_no": "S1", "biz_state_code": "SIGNED", "biz_data": '{"city":"上海"}'},
        {"out_biz_no": "S3", "biz_state_code": "CLOSED", "biz_data": '{"city":"杭州"}'},
    ]

    player.play([run("run states", 0, outcomes, sent)])


def test_a_share_of_failures_counts_wanted_rows_only(player: Player) -> None:
    """Filtered rows count neither as failures nor in the total."""
    rows = [task(number, state="x") for number in range(8)] + [task(8, state="ok"), task(9, state="ok", user_id="")]
    words = '[jobs.tasks.filter]\nstate = ["ok"]\n'
    player.prepare(job("tasks", ["tasks.csv"], more=words), {"tasks.csv": csv_of(rows)})

    player.play(
        [
            run("run tasks --max-failures 40%", 4, sent=[], says=["1 rows failed, more than --max-failures allows"]),
            run("run tasks --max-failures 50%", 3, sent=[{"out_biz_no": "K8"}]),
        ]
    )


def test_a_filter_without_its_column_is_refused(player: Player) -> None:
    """The message names the missing column and the nearest one, and nothing is sent."""
    words = '[jobs.tasks.filter]\n"订单状态" = ["已完成"]\n'
    player.prepare(job("tasks", ["tasks.csv"], more=words), {"tasks.csv": csv_of([task(1, 单状态="已完成")])})

    player.play([run("run tasks", 2, sent=[], says=['no column "订单状态" for the filter', "单状态"])])
