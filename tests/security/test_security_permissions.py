"""What holds rows or secrets is its owner's alone, and what others may open is told."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.simulator import InjectedFault, Kind
from tests.acceptance.workspace import Workspace, order


@pytest.fixture(autouse=True)
def generous_umask() -> Iterator[None]:
    """A process that leaves it to each program who may read its files."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o777:o}"


def test_rows_and_ledger_are_the_owners_alone(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows to fix, the ledger, what lies beside it, and the mark beside the config are opened by nobody else."""
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])
    seen: dict[str, set[str]] = {}

    def look(*_: object) -> None:
        for path in (*workspace.folder.glob("state/*"), *workspace.folder.glob("reports/*/.rows_to_fix*")):
            seen.setdefault(re.sub(r"\.[0-9a-f]{8}\.part$", "/" * path.is_dir(), path.name), set()).add(mode(path))

    monkeypatch.setattr("pipeline.report.writing.RowsToFix.add", look)
    workspace.backfill("run", "orders")
    monkeypatch.undo()
    look()

    beside = ["", "-mark", "-quota", "-quota-shm", "-quota-wal", "-shm", "-wal"]
    private = [*(f"backfill.db{name}" for name in beside), ".rows_to_fix.csv", ".rows_to_fix.xlsx"]
    assert seen == {name: {"600"} for name in private} | {".rows_to_fix.xlsx/": {"700"}}
    assert mode(workspace.folder / "backfill.toml-mark") == "600"
    (report,) = workspace.reports()
    assert {path.name: mode(path) for path in report.iterdir()} == {
        "outcome.csv": "666",
        "report.html": "666",
        "rows_to_fix.csv": "600",
        "rows_to_fix.xlsx": "600",
        "summary.json": "666",
    }


def test_a_report_written_again_stays_the_owners(workspace: Workspace) -> None:
    """Taking the place of a file that others could read does not keep it readable."""
    workspace.export("orders.csv", [order(1, trade_amount="x")])
    workspace.backfill("run", "orders")
    to_fix = workspace.reports()[-1] / "rows_to_fix.csv"
    to_fix.chmod(0o644)

    workspace.backfill("report", "last")

    assert mode(to_fix) == "600"


@pytest.mark.parametrize(
    ("file", "bits", "told"),
    [
        pytest.param("backfill.toml", 0o620, "users other than its owner may change it", id="config"),
        pytest.param("backfill.toml", 0o602, "users other than its owner may change it", id="world"),
        pytest.param("keys/app_private_key.pem", 0o640, "users other than its owner may open", id="private key"),
        pytest.param("keys/app_private_key.pem", 0o604, "users other than its owner may open", id="key, world"),
        pytest.param("keys/encrypt_key.txt", 0o640, "users other than its owner may open", id="AES key"),
        pytest.param("state/backfill.db", 0o640, "users other than its owner may open", id="ledger"),
    ],
)
def test_open_files_are_warned_of(workspace: Workspace, file: str, bits: int, told: str) -> None:
    """Of a config that others may change, and a key or ledger that others may read, a plan and a run warn."""
    workspace.configure({"accounts.zhima": {"encrypt_key_file": "keys/encrypt_key.txt"}})
    workspace.export("orders.csv", [order(1)])
    quiet = workspace.backfill("run", "orders").stderr
    (workspace.folder / file).chmod(bits)
    workspace.export("orders.csv", [order(2)])

    for command in ("plan", "run"):
        ended = workspace.backfill(command, "orders")
        assert (ended.exit_code, "WARNING" in quiet) == (0, False)
        (line,) = [line for line in ended.stderr.splitlines() if "WARNING" in line]
        assert told in line
        assert file.rpartition("/")[2] in line
        assert "; run chmod " in line


def test_keys_of_the_simulator_and_drafts_leave_nothing_open(workspace: Workspace) -> None:
    """The keys that the simulator hands out are the owner's, and a run leaves no draft behind."""
    workspace.simulator.set_faults([InjectedFault(Kind.REFUSE, code="NO", message="no")])
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")

    assert {mode(path) for path in (workspace.folder / "keys").iterdir()} == {"600"}
    assert [path.name for path in workspace.folder.rglob(".*")] == []
