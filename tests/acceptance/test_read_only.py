"""`runs`, `show`, `totals` and `report` on read-only media."""

import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing

import pytest

from tests.acceptance.workspace import CommandResult, Workspace, order

# A mount that belongs to these commands alone, on which not even the superuser writes.
MOUNT = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && exec "$@"'


@pytest.fixture
def read_only(workspace: Workspace) -> Sequence[str]:
    """Return a command prefix that makes the workspace's folder read-only."""
    wrapper = ("unshare", "--map-root-user", "--mount", "sh", "-c", MOUNT, str(workspace.folder))
    mounted = subprocess.run([*wrapper, "true"], check=False, capture_output=True, encoding="utf-8")
    assert mounted.returncode == 0, f"this test needs a mount namespace; run it as root: {mounted.stderr}"
    return wrapper


def run_once(workspace: Workspace) -> None:
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])
    workspace.backfill("run", "orders")


def test_past_runs_are_shown_on_read_only_media(workspace: Workspace, read_only: Sequence[str]) -> None:
    """The output is the same as on writable media."""
    run_once(workspace)
    words = (["runs"], ["runs", "--json"], ["show", "last"], ["show", "last", "--json"], ["totals", "--show-ids"])

    writable = [workspace.backfill(*each) for each in words]
    mounted = [workspace.command(*each, wrapper=read_only) for each in words]

    assert mounted == writable
    assert [ended.exit_code for ended in mounted] == [0] * 5


def test_a_report_is_written_elsewhere(
    workspace: Workspace, read_only: Sequence[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """`report --output` may name a writable place; without it, the error names the folder."""
    run_once(workspace)
    output = tmp_path_factory.mktemp("elsewhere") / "outcome.csv"

    written = workspace.command("report", "last", "--output", str(output), wrapper=read_only)
    refused = workspace.command("report", "last", wrapper=read_only)

    assert written == CommandResult(0, f"{output}\n", "")
    assert output.read_bytes() == (workspace.reports()[-1] / "outcome.csv").read_bytes()
    assert refused.exit_code == 2
    assert "Traceback" not in refused.stderr


def test_an_unreadable_write_ahead_log_is_reported(workspace: Workspace, read_only: Sequence[str]) -> None:
    """If the newest rows are in an unreadable write-ahead log, older ones are not shown instead."""
    run_once(workspace)
    ledger = workspace.folder / "state" / "backfill.db"
    ledger.with_name("backfill.db-wal").write_bytes(b"frames of a process that was killed")

    ended = workspace.command("runs", wrapper=read_only)

    assert ended == CommandResult(
        2,
        "",
        f"backfill: ledger {ledger}: it can't be written, and its newest lines lie in backfill.db-wal, which SQLite "
        "can't read there. Copy backfill.db and backfill.db-wal into a folder that can be written, and name that in "
        "[ledger] url\n",
    )


def test_the_newest_rows_are_read_from_the_write_ahead_log(workspace: Workspace, read_only: Sequence[str]) -> None:
    """With write-ahead log and shared memory, as during a run elsewhere, the ledger is read to its newest row."""
    run_once(workspace)
    files = [workspace.folder / "state" / f"backfill.db{end}" for end in ("", "-wal", "-shm")]
    with closing(sqlite3.connect(files[0], isolation_level=None)) as writer:
        writer.execute("UPDATE runs SET job = 'renamed'")
        held = [file.read_bytes() for file in files]
    for file, content in zip(files, held, strict=True):
        file.write_bytes(content)

    assert "renamed" in workspace.command("runs", wrapper=read_only).stdout


def test_check_warns_of_a_report_folder_on_read_only_media(workspace: Workspace, read_only: Sequence[str]) -> None:
    """A run would refuse to begin; `check` writes nothing to find that out."""
    checked = workspace.command("check", wrapper=read_only)

    assert f"{workspace.folder / 'reports'} can't be written; give runs --report DIR" in checked.stdout
