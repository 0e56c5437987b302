"""Files with rows or secrets are readable by their owner alone, and open ones are reported."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.ledger.history.skipped_rows import LAST_ROW
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.simulator import FaultKind, InjectedFault
from pipeline.tables.outcome_page import OutcomePage
from tests.acceptance.workspace import Workspace, order


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """A process without a umask."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o777:o}"


def test_rows_and_ledger_are_readable_by_their_owner_alone(workspace: Workspace) -> None:
    """This holds for rows to fix, the ledger, the files beside it, and the mark beside the config."""
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])
    seen: dict[str, set[str]] = {}

    def note_modes() -> None:
        for path in (*workspace.folder.glob("state/*"), *workspace.folder.glob("reports/*/.rows_to_fix*")):
            seen.setdefault(re.sub(r"\.[0-9a-f]{8}\.part$", "/" * path.is_dir(), path.name), set()).add(mode(path))

    class ObservedLedger(Ledger):
        def outcome_pages(self, run: RunRecord, first: int = 0, last: int = LAST_ROW) -> Iterator[OutcomePage]:
            """Note the modes while the report is written: its files are open."""
            for page in super().outcome_pages(run, first, last):
                note_modes()
                yield page

    workspace.backfill("run", "orders", change=lambda system: replace(system, open_ledger=ObservedLedger))
    note_modes()

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


def test_a_rewritten_report_is_readable_by_its_owner_alone(workspace: Workspace) -> None:
    """Replacing a file that others could read does not keep its permissions."""
    workspace.export("orders.csv", [order(1, trade_amount="x")])
    workspace.backfill("run", "orders")
    to_fix = workspace.reports()[-1] / "rows_to_fix.csv"
    to_fix.chmod(0o644)

    workspace.backfill("report", "last")

    assert mode(to_fix) == "600"


@pytest.mark.parametrize(
    ("file", "bits", "text"),
    [
        pytest.param("backfill.toml", 0o620, "users other than its owner may change it", id="config"),
        pytest.param("backfill.toml", 0o602, "users other than its owner may change it", id="world"),
        pytest.param("keys/app_private_key.pem", 0o640, "users other than its owner may open", id="private key"),
        pytest.param("keys/app_private_key.pem", 0o604, "users other than its owner may open", id="key, world"),
        pytest.param("keys/encrypt_key.txt", 0o640, "users other than its owner may open", id="AES key"),
        pytest.param("state/backfill.db", 0o640, "users other than its owner may open", id="ledger"),
    ],
)
def test_open_files_give_a_warning(workspace: Workspace, file: str, bits: int, text: str) -> None:
    """A plan and a run warn if others may change the config, or read a key or the ledger."""
    workspace.configure({"accounts.zhima": {"encrypt_key_file": "keys/encrypt_key.txt"}})
    workspace.export("orders.csv", [order(1)])
    quiet = workspace.backfill("run", "orders").stderr
    (workspace.folder / file).chmod(bits)
    workspace.export("orders.csv", [order(2)])

    for command in ("plan", "run"):
        ended = workspace.backfill(command, "orders")
        assert (ended.exit_code, "WARNING" in quiet) == (0, False)
        (line,) = [line for line in ended.stderr.splitlines() if "WARNING" in line]
        assert text in line
        assert file.rpartition("/")[2] in line
        assert "; run chmod " in line


def test_keys_of_the_simulator_are_private_and_no_temporary_file_stays(workspace: Workspace) -> None:
    """The simulator's keys are readable by their owner alone, and a run leaves no temporary file."""
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, code="NO", message="no")])
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")

    assert {mode(path) for path in (workspace.folder / "keys").iterdir()} == {"600"}
    assert [path.name for path in workspace.folder.rglob(".*")] == []
