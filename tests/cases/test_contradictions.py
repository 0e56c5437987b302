"""Rows of one run that contradict each other: which one is right nobody can tell, so none of them is sent."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.cases.inputs import agreement, csv_of, job, order, parquet_of, points, row, run, state, task
from tests.cases.player import Player

Rows = Sequence[Mapping[str, Any]]

OPEN = {"user_id": None, "open_id": "oOpen0001"}
AT = {"updated_at": "2025-11-20 10:00:00"}
NOWHEN = {"updated_at": None}

KINDS = [
    pytest.param(
        "orders",
        [order(1), order(2, agreement_no=agreement(1)), order(3)],
        ["invalid contradiction user_id", "invalid contradiction agreement_no", "succeeded"],
        id="an-agreement-of-two-users",
    ),
    pytest.param(
        "orders",
        [order(1), order(2, agreement_no=agreement(1), **OPEN), order(3)],
        ["succeeded", "succeeded", "succeeded"],
        id="one-user-by-two-names",
    ),
    pytest.param(
        "tasks",
        [task(1, **OPEN), task(2, agreement_no=agreement(1), user_id=None, open_id="oOpen0002"), task(3, times="2")],
        ["invalid contradiction open_id", "invalid contradiction open_id", "succeeded"],
        id="an-agreement-of-two-open-ids",
    ),
    pytest.param(
        "points",
        [points(1, 5), points(1, 7, openid="oOpenid0002"), points(1, 9), points(2, 1)],
        [*["invalid contradiction openid"] * 3, "succeeded"],
        id="a-card-of-two-users",
    ),
    pytest.param(
        "points",
        [points(1, 5, **AT), points(1, 7, **NOWHEN), points(2, 1, **NOWHEN), points(3, 1, **AT)],
        ["invalid contradiction updated_at", "invalid contradiction updated_at", "succeeded", "succeeded"],
        id="a-card-with-and-without-times",
    ),
    pytest.param(
        "states",
        [state(1, "FROZEN", **NOWHEN), state(1, "ACTIVE", **AT), state(2, "FROZEN", **AT)],
        ["invalid contradiction updated_at", "invalid contradiction updated_at", "succeeded"],
        id="an-object-with-and-without-times",
    ),
]


@pytest.mark.parametrize("file", [pytest.param(csv_of, id="csv"), pytest.param(parquet_of, id="parquet")])
@pytest.mark.parametrize(("export", "rows", "results"), KINDS)
def test_what_contradicts_is_invalid_in_plan_and_run(
    export: str, rows: Rows, results: Sequence[str], file: Any, player: Player
) -> None:
    """`plan` counts the rows as `run` refuses them, the message names the field and no id, and all others are sent."""
    name = f"{export}.{'csv' if file is csv_of else 'parquet'}"
    player.prepare(
        job(export, [name]), {name: file([{k: v for k, v in each.items() if v is not None} for each in rows])}
    )
    wanted = [row(name, n, *words.split()) for n, words in enumerate(results, 1)]
    invalid = sum(words.startswith("invalid") for words in results)

    planned = json.loads(player.backfill(f"plan {export}").stdout)
    player.play([run(f"run {export}", 3 if invalid else 0, wanted)])

    assert planned["counts"]["invalid"] == invalid
    assert planned["codes"].get("contradiction", 0) == invalid


def test_no_id_is_shown_where_rows_contradict_each_other(player: Player) -> None:
    """Neither the command nor the outcome file shows whose the users are."""
    rows = [order(1, user_id="2088123412341234"), order(2, agreement_no=agreement(1), user_id="2088123412345678")]
    player.prepare(job("orders", ["orders.csv"]), {"orders.csv": csv_of(rows)})

    ended = player.backfill("run orders")
    outcome = next(player.folder.glob("reports/*/outcome.csv")).read_text(encoding="utf-8")

    said = ended.stdout + ended.stderr + outcome
    assert [text for text in ("2088123412341234", "2088123412345678", agreement(1)) if text in said] == []
