"""`runs`, `show` and `report` on read-only media, as an auditor mounts them."""

import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing

import pytest

from tests.acceptance.night import Ended, Night, order

# A mount that belongs to these commands alone, on which not even the superuser writes.
MOUNT = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && exec "$@"'


@pytest.fixture
def read_only(night: Night) -> Sequence[str]:
    """Return the command that runs another one where the night's folder is read-only."""
    if shutil.which("unshare") is None:
        pytest.skip("there are no mount namespaces here")
    wrapper = ("unshare", "--map-root-user", "--mount", "sh", "-c", MOUNT, str(night.folder))
    if subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mount is allowed here")
    return wrapper


def run_once(night: Night) -> None:
    night.export("orders.csv", [order(1), order(2, trade_amount="x")])
    night.backfill("run", "orders")


def test_past_runs_are_shown_on_read_only_media(night: Night, read_only: Sequence[str]) -> None:
    """What is said is the same as where the files can be written."""
    run_once(night)
    words = (["runs"], ["runs", "--json"], ["show", "last"], ["show", "last", "--json"])

    writable = [night.backfill(*each) for each in words]
    mounted = [night.command(*each, wrapper=read_only) for each in words]

    assert mounted == writable
    assert [ended.exit_code for ended in mounted] == [0] * 4


def test_a_report_is_written_elsewhere(
    night: Night, read_only: Sequence[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """`report --output` names a place that can be written; without it the error names the folder."""
    run_once(night)
    output = tmp_path_factory.mktemp("elsewhere") / "outcome.csv"

    written = night.command("report", "last", "--output", str(output), wrapper=read_only)
    refused = night.command("report", "last", wrapper=read_only)

    assert written == Ended(0, f"{output}\n", "")
    assert output.read_bytes() == (night.reports()[-1] / "outcome.csv").read_bytes()
    assert refused.exit_code == 2
    assert "Traceback" not in refused.stderr


def test_a_log_that_can_not_be_read_there_is_explained(night: Night, read_only: Sequence[str]) -> None:
    """The newest lines may lie in the write-ahead log: nothing older is shown in their place."""
    run_once(night)
    ledger = night.folder / "state" / "backfill.db"
    ledger.with_name("backfill.db-wal").write_bytes(b"frames of a process that was killed")

    ended = night.command("runs", wrapper=read_only)

    assert ended == Ended(
        2,
        "",
        f"backfill: ledger {ledger}: it can't be written, and its newest lines lie in backfill.db-wal, which SQLite "
        "can't read there. Copy backfill.db and backfill.db-wal into a folder that can be written, and name that in "
        "[ledger] url\n",
    )


def test_the_newest_lines_are_read_from_the_log_of_a_live_ledger(night: Night, read_only: Sequence[str]) -> None:
    """With log and shared memory beside it, as while a run is on elsewhere, the ledger is read to its newest line."""
    run_once(night)
    files = [night.folder / "state" / f"backfill.db{end}" for end in ("", "-wal", "-shm")]
    with closing(sqlite3.connect(files[0], isolation_level=None)) as writer:
        writer.execute("UPDATE runs SET job = 'renamed'")
        held = [file.read_bytes() for file in files]
    for file, content in zip(files, held, strict=True):
        file.write_bytes(content)

    assert "renamed" in night.command("runs", wrapper=read_only).stdout
