"""A full ledger equals that of a run that delivered row by row."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import full_ledger, instant_platform
from benchmarks.exports import ORDER_COLUMNS, POINT_COLUMNS, Cells, orders, points, write
from benchmarks.scene import JOBS
from pipeline.model import Reply, SignedRequest
from pipeline.simulator import client_config, write_client_keys
from pipeline.write.ports import at_once

ROWS = 120
TRACE_ID = "21461ccb16945632771521234e0a3b00"
# Columns that depend on time or chance: only their form is compared.
BY_CHANCE = {
    "accounts": {"confirmed_report"},
    "runs": {"run_id", "started_at", "finished_at", "elapsed_s", "sending_s", "limit_per_s", "concluded_at"},
    "jobs": {"run_id", "holder"},
    "generations": {"name", "begun_at", "sequence"},
    "dues": {"first_sent_at", "finished_at", "latency_ms", "trace_id"},
    "deliveries": {"intended_at"},
    "cards": {"sent_at"},
}


class Traced(instant_platform.InstantPlatform):
    """A platform whose answers have a trace id, as those of the real platforms."""

    def send(self, request: SignedRequest, depart: Callable[[], None] = at_once, *, fresh: bool = False) -> Reply:
        return replace(super().send(request, depart), headers={"alipay-trace-id": TRACE_ID, "request-id": TRACE_ID})


def workspace(folder: Path, columns: Cells, rows: Iterator[Cells]) -> Path:
    """Return a folder with a config and an export."""
    write_client_keys(folder / "keys")
    config = client_config("http://127.0.0.1:9") + JOBS.format(settings="")
    (folder / "backfill.toml").write_text(config, encoding="utf-8")
    write(folder / "export.csv", columns, rows)
    return folder


def content_of(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the content of a ledger, table by table."""
    with closing(sqlite3.connect(folder / "state" / "backfill.db")) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: lines(connection, table, folder) for table in tables}


def lines(connection: sqlite3.Connection, table: str, folder: Path) -> list[dict[str, Any]]:
    by_chance = BY_CHANCE.get(table, set())
    columns = len(connection.execute(f"SELECT * FROM {table}").description)
    found = connection.execute(f"SELECT * FROM {table} ORDER BY {', '.join(map(str, range(1, columns + 1)))}")
    names = [name for name, *_ in found.description]
    return [
        {name: comparable(value, folder, name in by_chance) for name, value in zip(names, line, strict=True)}
        for line in found
    ]


def comparable(value: object, folder: Path, is_by_chance: bool) -> object:
    """Return a value that does not depend on the folder and the time."""
    if not isinstance(value, str):
        return type(value) if is_by_chance else value
    return re.sub(r"\w", "x", value) if is_by_chance else value.replace(str(folder), "FOLDER")


@pytest.mark.parametrize(
    ("job", "columns", "rows"),
    [
        pytest.param("orders", ORDER_COLUMNS, lambda: orders(ROWS), id="orders, refunds among them"),
        pytest.param("points", POINT_COLUMNS, lambda: points(ROWS), id="points"),
        pytest.param("points", POINT_COLUMNS, lambda: points(0), id="no rows at all"),
    ],
)
def test_a_full_ledger_equals_that_of_a_run(
    job: str, columns: Cells, rows: Callable[[], Iterator[Cells]], tmp_path: Path
) -> None:
    """Every table of the ledger equals that of a run that sent every row."""
    made, run = workspace(tmp_path / "made", columns, rows()), workspace(tmp_path / "run", columns, rows())

    codes = (full_ledger.make(made, job, "export.csv"), instant_platform.run(run, job, "export.csv", Traced()))

    assert codes == (0, 0)
    assert content_of(made) == content_of(run)


def test_deliveries_of_pruned_runs_are_known_to_the_next_run(tmp_path: Path) -> None:
    """The last rows of the first run are left; the ledger has key and content of all others, and more keys."""
    made, whole = (workspace(tmp_path / name, ORDER_COLUMNS, orders(ROWS)) for name in ("made", "whole"))
    write(made / "first.csv", ORDER_COLUMNS, orders(20))

    codes = (full_ledger.make(made, "orders", "first.csv", left=5), full_ledger.make(whole, "orders", "export.csv"))
    full_ledger.add_pruned(made, "orders", "export.csv", after=20, others=ROWS + 2)

    assert codes == (5, 0)
    known, delivered = ([known_of(line) for line in content_of(one)["deliveries"]] for one in (made, whole))
    assert known[:-2] == delivered[:15] + delivered[20:]
    assert [identity for _, _, identity, *_ in known[-2:]] == ["D20251120000000120", "D20251120000000121"]
    assert [due["status"] for due in content_of(made)["dues"]] == ["succeeded"] * 15 + ["unsent"] * 5


def known_of(line: dict[str, Any]) -> tuple[Any, ...]:
    """Return what the next run compares its rows with."""
    return tuple(line[name] for name in ("account_no", "api", "identity", "digest", "state", "successor"))
