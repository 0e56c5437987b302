"""Inputs: given and configured ones, folders, dates, and every kind of file."""

import bz2
import gzip
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.acceptance.workspace import ZONE, Workspace, order, read_csv


def test_given_inputs_replace_the_jobs_inputs(workspace: Workspace) -> None:
    """Only the given files are read."""
    workspace.export("orders.csv", [order(1)])
    workspace.export("late.csv", [order(2)])
    workspace.export("later.csv", [order(3)])

    ended = workspace.backfill("run", "orders", "late.csv", "later.csv")

    assert (ended.exit_code, sorted(workspace.requests())) == (0, ["A2", "A3"])
    assert [line["source_file"] for line in workspace.outcomes()] == ["late.csv", "later.csv"]


def test_paths_of_the_command_line_are_relative_to_the_working_directory(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs, --config and --report are relative to the working directory; ledger and reports to the config."""
    elsewhere = workspace.folder / "elsewhere"
    elsewhere.mkdir()
    workspace.export("elsewhere/orders.csv", [order(7)])
    workspace.export("orders.csv", [order(1)])
    monkeypatch.chdir(elsewhere)

    named = workspace.backfill("run", "orders", "orders.csv", "--config", "../backfill.toml", "--report", "mine")
    own = workspace.backfill("run", "orders", "--config", "../backfill.toml")

    assert (named.exit_code, own.exit_code, workspace.requests()) == (0, 0, ["A7", "A1"])
    assert [line["request_key"] for line in read_csv(elsewhere / "mine" / "outcome.csv")] == ["A7"]
    assert [line["request_key"] for line in workspace.outcomes()] == ["A1"]
    assert (workspace.folder / "state" / "backfill.db").is_file()


def as_gzip(folder: Path, data: bytes) -> None:
    (folder / "orders.csv.gz").write_bytes(gzip.compress(data))


def as_bz2(folder: Path, data: bytes) -> None:
    (folder / "orders.csv.bz2").write_bytes(bz2.compress(data))


def as_zstd(folder: Path, data: bytes) -> None:
    with pa.CompressedOutputStream(str(folder / "orders.csv.zst"), "zstd") as file:
        file.write(data)


def as_parquet(folder: Path, _data: bytes) -> None:
    pq.write_table(pa.Table.from_pylist([order(1), order(2)]), folder / "orders.parquet")


def as_partitions(folder: Path, _data: bytes) -> None:
    for number in (1, 2):
        rows = [{name: text for name, text in order(number).items() if name != "trade_amount"}]
        part = folder / f"trade_amount=12.{number}0"
        part.mkdir()
        pq.write_table(pa.Table.from_pylist(rows), part / "part-0.parquet")


@pytest.mark.parametrize("write", [as_gzip, as_bz2, as_zstd, as_parquet, as_partitions])
def test_a_folder_of_exports_of_any_kind(write: Callable[[Path, bytes], None], workspace: Workspace) -> None:
    """CSV plain and compressed, Parquet, and folders with hive partitions are read alike."""
    folder = workspace.folder / "exports"
    folder.mkdir()
    write(folder, workspace.export("orders.csv", [order(1), order(2)]).read_bytes())

    ended = workspace.backfill("run", "orders", "exports")

    assert (ended.exit_code, sorted(workspace.requests())) == (0, ["A1", "A2"])


def test_the_date_fills_the_inputs(workspace: Workspace) -> None:
    """{date} is the value of --date, or yesterday in the job's zone."""
    workspace.configure({"jobs.orders": {"input": ["exports/{date}/orders-*.csv"]}})
    yesterday = (datetime.now(ZoneInfo(ZONE)) - timedelta(days=1)).date()
    for number, day in enumerate(("2025-11-20", yesterday.isoformat()), 1):
        (workspace.folder / "exports" / day).mkdir(parents=True)
        workspace.export(f"exports/{day}/orders-1.csv", [order(number)])

    dated = workspace.backfill("run", "orders", "--date", "2025-11-20")
    undated = workspace.backfill("run", "orders")

    assert (dated.exit_code, undated.exit_code, workspace.requests()) == (0, 0, ["A1", "A2"])
