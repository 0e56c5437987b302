"""A full disk stops the run first, is reported in one line, and loses nothing that was delivered."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.kills import promises
from tests.kills.exports import orders
from tests.kills.fixtures import NewWorkspace
from tests.kills.workspace import Workspace
from tests.ledger_faults.disk import FullAt

_FULL = "the disk is full; free space and resume the run: what was delivered is kept (SQLITE_FULL)"
# The least number of writes of a run of four orders before it returns its job. That last write may fail.
_WRITES = 71


class Mount(Protocol):
    """Mounts a disk of a size, as `mount` writes it, over a folder; or changes its size."""

    def __call__(self, folder: Path, size: str, *, again: bool = False) -> None: ...


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mount small disks; unmount them at the end."""
    mounted: list[Path] = []

    def make(folder: Path, size: str, *, again: bool = False) -> None:
        folder.mkdir(exist_ok=True)
        options = f"remount,size={size}" if again else f"size={size}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, check=False, encoding="utf-8")
        assert done.returncode == 0, f"this test mounts a small disk; run it as root: {done.stderr}"
        mounted.append(folder)

    yield make
    for folder in set(mounted):
        subprocess.run(["umount", "--lazy", folder], check=True)


def messages(one: Workspace) -> list[str]:
    """Return the possible messages: a write to the ledger failed, or to the quotas beside it."""
    return [f"backfill: ledger {one.ledger}{beside}: {_FULL}" for beside in ("", "-quota")]


# Every seventh write, alternately full for good and once, meets each kind of write. FullAt takes any.
@pytest.mark.parametrize("write", range(1, _WRITES + 1, 7))
def test_a_disk_may_be_full_at_any_write(new_workspace: NewWorkspace, write: int) -> None:
    """Whichever write fails, the command reports it and exits with 1; the next one completes the run."""
    one = new_workspace(orders(4), concurrency=1)
    struck = one.child("run", "orders", fault=FullAt(write, stays=write % 2 == 0))
    ends = [time.monotonic()]

    assert struck.exit_code == 1
    assert struck.stderr.splitlines()[-1] in messages(one)
    promises.nothing_counts_twice(one.simulator.journal.entries)
    assert one.resume_or_run().exit_code == one.export.exit_code
    promises.all_rows_are_done(one.export, one.outcomes(), one.simulator.journal.entries)
    assert promises.resent_by_end(one.simulator.journal.entries, ends)[0] <= 2 * one.concurrency


@pytest.mark.parametrize(
    ("size", "has_sent"),
    [pytest.param("512k", False, id="while it stages"), pytest.param("1536k", True, id="while it sends")],
)
def test_a_small_disk_really_fills_up(new_workspace: NewWorkspace, mount: Mount, size: str, *, has_sent: bool) -> None:
    """A ledger on a disk that is too small stops the run; once there is room the run goes on."""
    one = new_workspace(orders(300))
    mount(one.ledger.parent, size)
    struck = one.command("run", "orders")
    ends = [time.monotonic()]

    assert (struck.exit_code, struck.stdout) == (1, "")
    assert struck.stderr.splitlines()[-1] in messages(one)
    assert bool(one.simulator.journal.entries) == has_sent
    mount(one.ledger.parent, "64m", again=True)
    assert one.command("resume", "last").exit_code == one.export.exit_code
    promises.all_rows_are_done(one.export, one.outcomes(), one.simulator.journal.entries)
    assert promises.resent_by_end(one.simulator.journal.entries, ends)[0] <= 2 * one.concurrency


def test_a_disk_may_be_full_when_the_report_is_written(new_workspace: NewWorkspace, mount: Mount) -> None:
    """All was delivered and is in the ledger: no partial report is left, and `report` writes it once there is room."""
    one = new_workspace(orders(200))
    mount(one.folder / "reports", "16k")
    struck = one.command("run", "orders")
    (folder,) = (one.folder / "reports").iterdir()

    assert (struck.exit_code, struck.stdout) == (1, "")
    assert struck.stderr.splitlines()[-1] == (
        f"backfill: can't write the report to {folder}: No space left on device. The ledger has every outcome: "
        f"free space there, then write the report with `backfill report {folder.name}`"
    )
    assert list(folder.iterdir()) == []
    mount(one.folder / "reports", "64m", again=True)
    assert one.command("report", folder.name).exit_code == 0
    promises.all_rows_are_done(one.export, one.outcomes(), one.simulator.journal.entries)
    assert promises.resent_by_end(one.simulator.journal.entries, []) == []
