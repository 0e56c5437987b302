"""Variants of the case `columns-of-one-name`, and names that differ from those in the job."""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cases.inputs import csv_of, job, order, points, row, run, state, task
from tests.cases.player import Player


def parquet(columns: Sequence[tuple[str, Any]]) -> bytes:
    """Return one row, in columns that may share a name."""
    file = io.BytesIO()
    table = pa.Table.from_arrays([pa.array([value]) for _, value in columns], names=[name for name, _ in columns])
    pq.write_table(table, file)
    return file.getvalue()


def csv_line_of(columns: Sequence[tuple[str, Any]]) -> bytes:
    """Return one row, in columns that may share a name."""
    return f"{','.join(name for name, _ in columns)}\n{','.join(value for _, value in columns)}\n".encode()


def json_line_of(columns: Sequence[tuple[str, Any]]) -> bytes:
    """Return one row, as an object that may repeat a name."""
    pairs = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in columns)
    return f"{{{', '.join(pairs)}}}\n".encode()


WRITTEN = {"csv": csv_line_of, "jsonl": json_line_of, "parquet": parquet}
TWICE = [("备注", "x"), ("备注", "y"), ("", "z"), ("", "")]


@pytest.mark.parametrize(
    ("export", "columns", "more", "sent"),
    [
        pytest.param("orders", order(1), "", {"out_biz_no": "D1"}, id="orders"),
        pytest.param("states", state(1, "A", biz_data="{}"), "", {"out_biz_no": "S1"}, id="states"),
        pytest.param(
            "points",
            points(1, "10"),
            '[jobs.points.filter]\nbrand_id = ["B001"]',
            {"user_card_code": "000000000001", "point_balance": 10},
            id="points with a filter",
        ),
        pytest.param(
            "tasks",
            task(1) | {"partner_id": "2088000000000001"},
            "",
            {"partner_id": "2088000000000000"},
            id="tasks with a constant of that name",
        ),
    ],
)
@pytest.mark.parametrize("kind", list(WRITTEN))
def test_columns_of_one_name_that_no_field_uses_are_read(
    kind: str, export: str, columns: Mapping[str, str], more: str, sent: Mapping[str, Any], player: Player
) -> None:
    """Repeated and empty names do no harm if no field uses them."""
    extra = [*TWICE, ("partner_id", "a"), ("partner_id", "b")] if export == "tasks" else TWICE
    name, content = f"{export}.{kind}", WRITTEN[kind]([*columns.items(), *extra])
    player.prepare(job(export, [name], more=more), {name: content})

    player.play([run(f"run {export}", 0, [row(name, 1, "succeeded")], [sent])])


@pytest.mark.parametrize(
    ("extra", "more", "says"),
    [
        pytest.param([("point_balance", "1")], "", '2 columns are named "point_balance"', id="field"),
        pytest.param([("Updated_At", ""), ("updated_at ", "")], "", '"Updated_At" and "updated_at "', id="near names"),
        pytest.param(
            [("积分", "1"), ("积分", "2")],
            '[jobs.points.columns]\npoint_balance = "积分"',
            '2 columns are named "积分", but point_balance needs one',
            id="named column",
        ),
        pytest.param(
            [("state", "1"), ("state", "1")],
            '[jobs.points.filter]\nState = ["1"]',
            '2 columns are named "state", but the filter',
            id="filter",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_of_one_name_that_are_used_are_refused(
    kind: str, extra: Sequence[tuple[str, str]], more: str, says: str, player: Player
) -> None:
    """The message names the column and its field, and nothing is sent."""
    name = f"points.{kind}"
    content = WRITTEN[kind]([*points(1, "10").items(), *extra])
    player.prepare(job("points", [name], more=more), {name: content})

    player.play([run("run points", 2, sent=[], says=[name, says])])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_names_are_found_without_regard_to_case_and_blanks(kind: str, player: Player) -> None:
    """Marks and blanks around a name, and its case, do not matter if only one column matches."""
    spelled = {"out_biz_no": "\ufeff订单号 ", "user_id": " User_ID", "trade_amount": "TRADE_AMOUNT\u200b"}
    columns = [(spelled.get(name, name), value) for name, value in order(1).items()]
    content = WRITTEN[kind](columns)
    more = '[jobs.orders.columns]\nout_biz_no = "订单号"\n'
    player.prepare(job("orders", [f"orders.{kind}"], more=more), {f"orders.{kind}": content})
    sent = {"out_biz_no": "D1", "user_id": "2088000000000001", "amount_type_data": {"trade_info": {"amount": "1.00"}}}

    player.play([run("run orders", 0, [row(f"orders.{kind}", 1, "succeeded")], [sent])])


def test_an_object_with_a_used_name_twice_is_invalid(player: Player) -> None:
    """In JSON lines each object has its own names: a repeated one that a field uses makes only its row invalid."""
    rows = [json_line_of([*points(1, "10").items(), ("point_balance", "11")]), json_line_of([*points(2, "2").items()])]
    player.prepare(job("points", ["in.jsonl"]), {"in.jsonl": b"".join(rows)})

    wanted = [row("in.jsonl", 1, "invalid", "not_decodable", "point_balance twice"), row("in.jsonl", 2, "succeeded")]
    player.play([run("run points", 3, wanted, [{"point_balance": 2}])])


def test_rows_to_fix_may_have_columns_of_one_name(player: Player) -> None:
    """`rows_to_fix` has all of these columns, and the fixed row is sent."""
    columns = [*points(1, "x").items(), ("id", "1"), ("id", "2")]
    player.prepare(job("points", ["points.csv"]), {"points.csv": csv_line_of(columns)})

    player.play(
        [
            run("run points", 3, [row("points.csv", 1, "invalid")], []),
            {"edit": "rows_to_fix.csv", "save_as": "fixed.csv", "cells": [[1, "point_balance", "10"]]},
            run("run points fixed.csv", 0, [row("fixed.csv", 1, "succeeded")], [{"point_balance": 10}]),
        ]
    )
    lines = (player.folder / "fixed.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith("brand_id,card_id,openid,user_card_code,point_balance,id,id,")


def test_missing_columns_are_reported_with_the_present_ones(player: Player) -> None:
    """The message names the missing columns, the present ones without marks, and the nearest name."""
    rows = [{{"biz_time": " Biz_Tme "}.get(name, name): value for name, value in task(1).items()}]
    player.prepare(job("tasks", ["tasks.csv"]), {"tasks.csv": csv_of(rows)})

    player.play(
        [run("run tasks", 2, sent=[], says=['feeds biz_time; did you mean "Biz_Tme"', "these columns: .*, Biz_Tme, "])]
    )
