"""Variants of the case `wrong-mapping`: most rows are invalid, so nothing is sent."""

import gzip
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.cases.inputs import csv_of, job, order, parquet_of, points, row, run, state, task
from tests.cases.player import Player

SAYS = ["too_many_invalid"]


def wanted(file: str, rows: int, right: set[int], code: str = "field_invalid", *message: str) -> list[dict[str, Any]]:
    """Return the outcomes of rows; those with the numbers `right` are valid, but unsent."""
    return [
        row(file, n, "unsent", "too_many_invalid") if n in right else row(file, n, "invalid", code, *message)
        for n in range(1, rows + 1)
    ]


def fault(player: Player) -> Mapping[str, Any]:
    """Return the first fault of the last run's summary."""
    report = max(player.folder.glob("reports/*"))
    found: Mapping[str, Any] = json.loads((report / "summary.json").read_bytes())["faults"][0]
    return found


def test_tasks_with_times_from_a_column_of_days(player: Player) -> None:
    """Invalid times are shown, because they identify nobody; the file is compressed."""
    rows = [task(n, day="2025-13-45" if n > 4 else "2025-11-20 10:00:00") for n in range(1, 41)]
    more = '[jobs.tasks.columns]\nbiz_time = "day"\n'
    player.prepare(job("tasks", ["tasks.csv.gz"], more=more), {"tasks.csv.gz": gzip.compress(csv_of(rows).encode())})
    message = r'^biz_time \(column day\) "2025-13-45" '

    player.play(
        [run("run tasks", 4, wanted("tasks.csv.gz", 40, {1, 2, 3, 4}, "field_invalid", message), [], says=SAYS)]
    )

    assert (fault(player)["column"], fault(player)["rows"], fault(player)["example"]) == (
        "day", 36, {"file": "tasks.csv.gz", "row": 5, "value": "2025-13-45"},
    )  # fmt: skip


def test_balances_taken_from_a_column_of_ids(player: Player) -> None:
    """Ids in place of numbers are masked, also in Parquet."""
    rows = [points(n, f"20880000000000000{n:03d}") for n in range(1, 26)]
    files = {"points.parquet": parquet_of(rows)}
    player.prepare(job("points", ["points.parquet"]), files)
    message = r'^point_balance "2\*\*\*\d" \(20 characters\) '

    player.play([run("run points", 4, wanted("points.parquet", 25, set(), "field_invalid", message), [])])

    assert (fault(player)["field"], fault(player)["rows"]) == ("point_balance", 25)
    assert "208800" not in json.dumps(fault(player))


def test_states_without_a_required_value(player: Player) -> None:
    """An empty column is the commonest fault; a row with another fault is a group of its own."""
    rows = [state(n, "NEW", out_principal_id="" if n > 5 else "P1") for n in range(1, 31)]
    rows[0]["biz_data"] = "[]"
    player.prepare(job("states", ["states.csv"]), {"states.csv": csv_of(rows)})
    outcomes = wanted("states.csv", 30, {2, 3, 4, 5}, "field_missing")
    outcomes[0] = row("states.csv", 1, "invalid", "field_invalid", "biz_data")

    player.play([run("run states", 4, outcomes, [], says=[*SAYS, "out_principal_id"])])

    assert (fault(player)["code"], fault(player)["field"], fault(player)["rows"]) == (
        "field_missing", "out_principal_id", 25,
    )  # fmt: skip


@pytest.mark.parametrize(("invalid", "exit_code"), [(20, 3), (21, 4)])
def test_a_fifth_of_the_rows_may_be_invalid(invalid: int, exit_code: int, player: Player) -> None:
    """The share counts over all files; a run with fewer invalid rows sends the others."""
    rows = [order(n, trade_amount="x" if n <= invalid else "1.00") for n in range(1, 101)]
    files = {"a.csv": csv_of(rows[:30]), "b.csv": csv_of(rows[30:])}
    player.prepare(job("orders", ["a.csv", "b.csv"]), files)
    sent = [] if exit_code == 4 else [{"out_biz_no": f"D{n}"} for n in range(invalid + 1, 101)]

    player.play([run("plan orders", exit_code, sent=[]), run("run orders", exit_code, sent=sent)])


def test_a_limit_in_the_job_that_is_a_number(player: Player) -> None:
    """A limit given as a number has no floor: 3 invalid rows exceed 2, and a resume with more sends the rest."""
    rows = [order(n, biz_time="today" if n <= 3 else "2025-11-20 10:00:00") for n in range(1, 6)]
    player.prepare(job("orders", ["orders.csv"], more="max_invalid = 2"), {"orders.csv": csv_of(rows)})
    sent = [row("orders.csv", n, "invalid" if n <= 3 else "succeeded") for n in range(1, 6)]

    player.play(
        [
            run("run orders", 4, wanted("orders.csv", 5, {4, 5}), [], says=[*SAYS, "biz_time"]),
            run("rerun last", 2, sent=[], runs=1),
            run("resume last --max-invalid 3", 3, sent, [{"out_biz_no": "D4"}, {"out_biz_no": "D5"}], runs=1),
        ]
    )
