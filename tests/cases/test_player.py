"""The player asserts all expectations of a step."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.cases.inputs import csv_of, job, order, row, run
from tests.cases.player import Player

ROWS = [row("orders.csv", 1, "succeeded"), row("orders.csv", 2, "invalid", "field_invalid", "at most two decimals")]
SENT = [{"out_biz_no": "D1", "pay_out_biz_no": None, "amount_type_data": {"trade_info": {"amount": "1.00"}}}]
RIGHT = run("run orders", 3, ROWS, SENT, says=["trade_amount"], runs=1)


@pytest.fixture
def ready(player: Player) -> Player:
    """A player with one valid and one invalid row."""
    player.prepare(job("orders", ["orders.csv"]), {"orders.csv": csv_of([order(1), order(2, trade_amount="12.345")])})
    return player


def test_a_step_with_correct_expectations_passes(ready: Player) -> None:
    """A step passes if exit code, outcomes, requests, words and runs are as expected."""
    ready.play([RIGHT])


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"exit": 0}, id="exit code"),
        pytest.param({"rows": ROWS[:1]}, id="a row too few"),
        pytest.param({"rows": [ROWS[0], row("orders.csv", 2, "rejected")]}, id="status"),
        pytest.param({"rows": [ROWS[0], row("orders.csv", 2, "invalid", "field_missing")]}, id="code"),
        pytest.param({"rows": [ROWS[0], row("orders.csv", 2, "invalid", None, "no such word")]}, id="message"),
        pytest.param({"sent": []}, id="a request too many"),
        pytest.param({"sent": [*SENT, {"out_biz_no": "D2"}]}, id="a request too few"),
        pytest.param({"sent": [{"amount_type_data": {"trade_info": None}}]}, id="a field that is there"),
        pytest.param({"says": ["no such word"]}, id="words"),
        pytest.param({"runs": 2}, id="runs"),
    ],
)
def test_a_step_with_a_wrong_expectation_fails(wrong: Mapping[str, Any], ready: Player) -> None:
    """A step fails if one of its expectations is wrong."""
    with pytest.raises(AssertionError):
        ready.play([{**RIGHT, **wrong}])


def test_a_row_is_fixed_between_two_runs(ready: Player) -> None:
    """An edit changes a cell of the last report's file, and saves it as an input of the next run."""
    ready.play(
        [
            RIGHT,
            {"edit": "rows_to_fix.csv", "save_as": "fixed.csv", "cells": [[1, "trade_amount", "12.34"]]},
            run("run orders fixed.csv", 0, [row("fixed.csv", 1, "succeeded")], [{"out_biz_no": "D2"}]),
        ]
    )
