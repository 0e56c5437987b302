"""The exports of the benchmarks."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.exports import ORDER_COLUMNS, POINT_COLUMNS, Cells, orders, points, shuffle, write, write_blocks
from benchmarks.scene import JOBS
from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.parts.run_options import RunOptions
from pipeline.assemble.parts.system import System
from pipeline.assemble.plan import plan
from pipeline.run.plan import Plan
from pipeline.simulator import client_config, write_client_keys
from tests.moved_clock import MovedClock

ROWS = 300


def planned(folder: Path, job: str, name: str, columns: Cells, rows: Iterator[Cells]) -> Plan:
    """Return the plan of an export."""
    write_client_keys(folder / "keys")
    config = client_config("http://127.0.0.1:9") + JOBS.format(settings="")
    (folder / "backfill.toml").write_text(config, encoding="utf-8")
    write(folder / name, columns, rows)
    clock = MovedClock()
    opened = open_config(folder / "backfill.toml", {}, clock, job)
    system = replace(System.real(clock), chance=random.Random(1), folder=folder)
    return plan(opened, job, [name], RunOptions(), system)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        pytest.param("orders.csv", orders(ROWS), id="CSV"),
        pytest.param("orders.parquet", orders(ROWS), id="Parquet"),
        pytest.param("orders.csv", orders(ROWS, json_discounts=True), id="discounts as JSON"),
    ],
)
def test_every_order_can_be_sent(name: str, rows: Iterator[Cells], tmp_path: Path) -> None:
    """An export without errors has no invalid rows, in any format."""
    made = planned(tmp_path, "orders", name, ORDER_COLUMNS, rows)

    assert made.counts == {"to_send": ROWS, "skipped": 0, "invalid": 0}


def test_a_share_of_errors_makes_as_many_rows_invalid(tmp_path: Path) -> None:
    """Only spoilt rows are invalid."""
    spoilt = sum(sound != given for sound, given in zip(orders(ROWS), orders(ROWS, errors=0.1), strict=True))
    made = planned(tmp_path, "orders", "orders.csv", ORDER_COLUMNS, orders(ROWS, errors=0.1))

    assert made.counts["invalid"] <= spoilt
    assert 0.05 * ROWS < made.counts["invalid"] < 0.15 * ROWS


def test_every_balance_can_be_sent(tmp_path: Path) -> None:
    """Each card has one balance, which can be sent."""
    made = planned(tmp_path, "points", "points.csv", POINT_COLUMNS, points(ROWS))

    assert made.counts == {"to_send": ROWS, "skipped": 0, "invalid": 0}


def test_a_longer_export_begins_with_the_shorter_one() -> None:
    """A longer export begins with the rows of a shorter one."""
    assert list(orders(2 * ROWS))[:ROWS] == list(orders(ROWS))


def test_a_share_of_balances_changes() -> None:
    """Changed rows differ in balance and time only."""
    changed = [(old, new) for old, new in zip(points(ROWS), points(ROWS, changed=0.1), strict=True) if old != new]

    assert 0.05 * ROWS < len(changed) < 0.15 * ROWS
    assert {old[:4] == new[:4] and old[4] < new[4] and old[5] < new[5] for old, new in changed} == {True}


def test_blocks_repeat_the_first_rows_under_keys_that_go_on(tmp_path: Path) -> None:
    """The second block has rows of the first, with the keys of 100 to 179; its refunds are of its own payments."""
    write(tmp_path / "orders.csv", ORDER_COLUMNS, orders(100))
    write_blocks(tmp_path / "blocks.csv", 180, block_rows=100)
    header, *block = (tmp_path / "orders.csv").read_text(encoding="utf-8").splitlines()
    second = [row.replace("202511200000000", "202511200000001") for row in block[:80]]

    assert (tmp_path / "blocks.csv").read_text(encoding="utf-8").splitlines() == [header, *block, *second]


def test_shuffled_rows_are_some_of_the_rows(tmp_path: Path) -> None:
    """Each row comes once, in another order; the header stays the first line."""
    write_blocks(tmp_path / "blocks.csv", 100)
    header, *rows = (tmp_path / "blocks.csv").read_text(encoding="utf-8").splitlines()
    shuffle(tmp_path / "blocks.csv", 80)
    first, *shuffled = (tmp_path / "blocks.csv").read_text(encoding="utf-8").splitlines()

    assert (first, len(set(shuffled)), set(shuffled) - set(rows)) == (header, 80, set())
    assert shuffled != [row for row in rows if row in set(shuffled)]
