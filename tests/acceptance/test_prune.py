"""`backfill prune`: runs that it deletes and keeps, its output, and later runs."""

import json
import sqlite3
from contextlib import closing

import pytest

from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import Workspace, balance, order


@pytest.fixture
def three(workspace: Workspace) -> Workspace:
    """Return a workspace with 3 runs: one done, one with a row left, and the last one."""
    workspace.export("orders.csv", [order(number) for number in range(120)])
    workspace.backfill("run", "orders")
    workspace.simulator.set_faults([InjectedFault(FaultKind.CUT_BODY, key="A5000")])
    workspace.export("orders.csv", [order(5000)])
    workspace.backfill("run", "orders")
    workspace.simulator.set_faults([])
    workspace.export("orders.csv", [order(6000)])
    workspace.backfill("run", "orders")
    return workspace


def test_prune_deletes_old_runs_and_lists_kept_ones(three: Workspace) -> None:
    """Done runs are deleted, others are listed with the reason; reports stay, and the ledger file shrinks."""
    first, second, last = (report.name for report in three.reports())

    ended = three.backfill("prune", "--keep", "0")

    assert (ended.exit_code, ended.stderr) == (0, "")
    short_second, short_last = map(three.short_id, (second, last))
    *said, size = ended.stdout.splitlines()
    assert said == [
        "deleted 1 run older than 0 days; their reports are kept",
        "  kept 2 older runs:",
        f"    {short_second}: it has rows left; send them with `backfill rerun {short_second}`",
        f"    {short_last}: it is the last run of job orders",
        "  deliveries are kept: no delivered row is sent again",
    ]
    assert size.endswith("MB were freed")
    assert len(three.reports()) == 3
    assert first[:8] not in three.backfill("runs").stdout.replace(short_second, "").replace(short_last, "")


def test_a_pruned_run_is_no_evidence_of_a_lost_ledger(three: Workspace) -> None:
    """The report of a pruned run is no evidence of a lost ledger: the next run starts, and sends nothing twice."""
    three.backfill("prune", "--keep", "0")
    three.export("orders.csv", [order(number) for number in range(10)])
    before = len(three.requests())

    assert three.backfill("run", "orders").exit_code == 0
    assert set(three.results()) == {"skipped already_succeeded"}
    assert len(three.requests()) == before


def test_prune_prints_json(three: Workspace) -> None:
    """--json prints ids, reasons and bytes."""
    first, second, last = (report.name for report in three.reports())

    messages = json.loads(three.backfill("prune", "--keep", "0", "--json").stdout)

    assert messages.pop("freed_bytes") > 30_000
    assert messages.pop("ledger_bytes") == sum(
        file.stat().st_size for file in three.folder.glob("state/backfill.db*") if file.suffix in (".db", ".db-wal")
    )
    assert messages == {
        "keep_days": 0,
        "runs": [first],
        "kept": [
            {"run_id": second, "job": "orders", "reason": "rows_left"},
            {"run_id": last, "job": "orders", "reason": "last_of_job"},
        ],
        "deliveries_older_than_days": None,
        "deliveries": 0,
        "free_bytes": 0,
    }


def test_prune_keeps_90_days_by_default(three: Workspace) -> None:
    """Without --keep, runs younger than 90 days are neither deleted nor listed."""
    ended = three.backfill("prune")

    assert ended.stdout.splitlines()[0] == "deleted 0 runs older than 90 days; their reports are kept"
    assert len(ended.stdout.splitlines()) == 3


def test_deleted_deliveries_are_sent_again(three: Workspace) -> None:
    """--deliveries-older-than prints a warning, and the rows are sent again with the same keys."""
    three.backfill("prune", "--keep", "0")
    with closing(sqlite3.connect(three.folder / "state" / "backfill.db")) as ledger:
        ledger.execute("UPDATE deliveries SET intended_at = intended_at - 86400 * 11")
        ledger.commit()
    ended = three.backfill("prune", "--keep", "0", "--deliveries-older-than", "10")
    three.export("orders.csv", [order(1), order(5000), order(6000)])
    before = len(three.requests())
    three.backfill("run", "orders")

    assert "  deleted 120 deliveries older than 10 days\n" in ended.stdout
    assert "if an export has their rows again, they are sent again with the same keys\n" in ended.stdout
    # The delivery in doubt and the last run are kept with their runs; what is in doubt is sent again anyway.
    assert sorted(three.requests()[before:]) == ["A1", "A5000"]


def test_a_restored_ledger_is_not_pruned(workspace: Workspace) -> None:
    """A ledger that is behind is not changed until a resync."""
    for points in (100, 200):
        workspace.export("points.csv", [balance(1, points)])
        workspace.backfill("run", "points")
        if points == 100:
            copy = (workspace.folder / "state" / "backfill.db").read_bytes()
    (workspace.folder / "state" / "backfill.db").write_bytes(copy)

    ended = workspace.backfill("prune")

    assert (ended.exit_code, ended.stdout) == (2, "")


def test_an_old_file_is_rewritten_once(three: Workspace) -> None:
    """A ledger of an older version shrinks too: the file is rewritten if the disk has space."""
    path = three.folder / "state" / "backfill.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as ledger:
        ledger.execute("PRAGMA journal_mode = DELETE").fetchall()
        ledger.execute("PRAGMA auto_vacuum = NONE")
        ledger.execute("VACUUM")
        assert ledger.execute("PRAGMA auto_vacuum").fetchone() == (0,)

    messages = json.loads(three.backfill("prune", "--keep", "0", "--json").stdout)

    assert (messages["freed_bytes"] > 30_000, messages["free_bytes"]) == (True, 0)
    with closing(sqlite3.connect(path)) as ledger:
        assert ledger.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert ledger.execute("PRAGMA integrity_check").fetchone() == ("ok",)
