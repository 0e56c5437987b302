"""Rows whose cells are all empty are ignored like blank lines, in every file type."""

import pyarrow as pa
import pytest

from tests.cases.inputs import csv_of, job, order, parquet_of, points, row, run, state, task
from tests.cases.player import Player

BLANK = {"orders": order(0), "tasks": task(0), "states": state(0, ""), "points": points(0, "")}
RIGHT = {"orders": order(1), "tasks": task(1), "states": state(1, "A"), "points": points(1, "10")}
WRONG = {
    "orders": order(2, trade_amount="x"),
    "tasks": task(2, biz_time="x"),
    "states": state(2, ""),
    "points": points(2, "x"),
}


@pytest.mark.parametrize("export", RIGHT)
@pytest.mark.parametrize("blank", ["", " ", "\u3000"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_blank_rows_are_no_rows(kind: str, blank: str, export: str, player: Player) -> None:
    """Blank rows have no outcome and no number, and are not counted."""
    nothing = dict.fromkeys(BLANK[export], blank)
    rows = [nothing, RIGHT[export], nothing, nothing, WRONG[export], nothing]
    name = f"{export}.{kind}"
    player.prepare(job(export, [name]), {name: csv_of(rows) if kind == "csv" else parquet_of(rows)})
    outcomes = [row(name, 1, "succeeded"), row(name, 2, "invalid")]

    player.play(
        [
            run(f"plan {export}", 3, sent=[], says=['"rows": 2']),
            run(
                f"run {export}",
                3,
                outcomes,
                says=['"rows": ?2', r'"skipped": ?0|"counts": \{"succeeded": ?1, ?"invalid"'],
            ),
        ]
    )


def test_a_spreadsheet_s_empty_rows_are_no_rows(player: Player) -> None:
    """Empty rows before the header, or with more cells than it, are no rows."""
    text = csv_of([RIGHT["points"]])
    player.prepare(job("points", ["points.csv"]), {"points.csv": f",,\n{text},,,,,,,,,\n,,,,,,,,,\n"})

    player.play([run("run points", 0, [row("points.csv", 1, "succeeded")])])


def test_a_file_of_blank_rows_is_a_run_of_0_rows(player: Player) -> None:
    """A file with only a header and blank rows, or only a header, is a run of 0 rows."""
    rows = [dict.fromkeys(BLANK["tasks"]) for _ in range(3)]
    types = dict.fromkeys(BLANK["tasks"], pa.string())
    player.prepare(job("tasks", ["tasks.parquet"]), {"tasks.parquet": parquet_of(rows, types)})

    player.play([run("run tasks", 0, [], [])])


def test_a_row_of_null_values_is_a_row(player: Player) -> None:
    """A row of null values is not blank: it is invalid, because its fields are missing."""
    rows = [RIGHT["tasks"], dict.fromkeys(BLANK["tasks"], "NULL")]
    more = '[jobs.tasks.csv]\nnull_values = ["NULL"]\n'
    player.prepare(job("tasks", ["tasks.csv"], more=more), {"tasks.csv": csv_of(rows)})

    player.play(
        [run("run tasks", 3, [row("tasks.csv", 1, "succeeded"), row("tasks.csv", 2, "invalid", "field_missing")])]
    )
