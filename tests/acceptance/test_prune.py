"""`backfill prune`: what it deletes, keeps and says, and what runs know afterwards."""

import json
import sqlite3
from contextlib import closing

import pytest

from pipeline.simulator import InjectedFault, Kind
from tests.acceptance.night import Night, balance, order


@pytest.fixture
def three(night: Night) -> Night:
    """Three nights: one that is done, one with a row left, and the last one."""
    night.export("orders.csv", [order(number) for number in range(120)])
    night.backfill("run", "orders")
    night.simulator.set_faults([InjectedFault(Kind.CUT_BODY, key="A5000")])
    night.export("orders.csv", [order(5000)])
    night.backfill("run", "orders")
    night.simulator.set_faults([])
    night.export("orders.csv", [order(6000)])
    night.backfill("run", "orders")
    return night


def test_prune_deletes_old_runs_and_says_what_it_kept(three: Night) -> None:
    """Runs that are done are deleted, others are named with the reason; reports stay, and the file becomes smaller."""
    first, second, last = (report.name for report in three.reports())

    ended = three.backfill("prune", "--keep", "0")

    assert (ended.exit_code, ended.stderr) == (0, "")
    *said, size = ended.stdout.splitlines()
    assert said == [
        "deleted 1 run older than 0 days; their reports are kept",
        "  kept 2 older runs:",
        f"    {second}: it has rows left; `backfill rerun {second}` sends them",
        f"    {last}: it is the last run of job orders",
        "  deliveries are kept: no row that was delivered is sent again",
    ]
    assert size.endswith("MB were given back to the disk")
    assert len(three.reports()) == 3
    assert first not in three.backfill("runs").stdout


def test_a_pruned_run_is_no_sign_of_a_ledger_that_is_behind(three: Night) -> None:
    """The report of a pruned run lies there, and the next run takes it for what it is; nothing is sent twice."""
    three.backfill("prune", "--keep", "0")
    three.export("orders.csv", [order(number) for number in range(10)])
    before = len(three.requests())

    assert three.backfill("run", "orders").exit_code == 0
    assert set(three.fates()) == {"skipped already_succeeded"}
    assert len(three.requests()) == before


def test_prune_prints_json(three: Night) -> None:
    """--json has the ids, the reasons and the bytes."""
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


def test_prune_keeps_three_months_where_nothing_is_said(three: Night) -> None:
    """Without --keep nothing younger than 90 days is deleted, or named."""
    ended = three.backfill("prune")

    assert ended.stdout.splitlines()[0] == "deleted 0 runs older than 90 days; their reports are kept"
    assert len(ended.stdout.splitlines()) == 3


def test_deleted_deliveries_are_sent_again(three: Night) -> None:
    """--deliveries-older-than says what it means, and the rows go out again under the same keys."""
    three.backfill("prune", "--keep", "0")
    with closing(sqlite3.connect(three.folder / "state" / "backfill.db")) as ledger:
        ledger.execute("UPDATE deliveries SET intended_at = intended_at - 86400 * 11")
        ledger.commit()
    ended = three.backfill("prune", "--keep", "0", "--deliveries-older-than", "10")
    three.export("orders.csv", [order(1), order(5000), order(6000)])
    before = len(three.requests())
    three.backfill("run", "orders")

    assert "  deleted 120 deliveries older than 10 days\n" in ended.stdout
    assert "a row of theirs that comes again in an export is sent again, under the same key\n" in ended.stdout
    # The delivery in doubt and the last run are kept with their runs; what is in doubt is sent again anyway.
    assert sorted(three.requests()[before:]) == ["A1", "A5000"]


def test_a_restored_ledger_is_not_pruned(night: Night) -> None:
    """A ledger that is behind is left as it is until a resync."""
    for points in (100, 200):
        night.export("points.csv", [balance(1, points)])
        night.backfill("run", "points")
        if points == 100:
            copy = (night.folder / "state" / "backfill.db").read_bytes()
    (night.folder / "state" / "backfill.db").write_bytes(copy)

    ended = night.backfill("prune")

    assert (ended.exit_code, ended.stdout) == (2, "")


def test_an_old_file_is_written_anew_once(three: Night) -> None:
    """A ledger of an older version gives space back, too: the file is written anew where there is room."""
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
