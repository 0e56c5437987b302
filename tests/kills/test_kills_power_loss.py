"""Synced data survives a power loss, and a torn write does not keep the ledger from opening."""

import random
import signal
import time
from pathlib import Path

import pytest

from pipeline.simulator import Entry
from tests.kills import promises
from tests.kills.exports import orders
from tests.kills.fixtures import NewWorkspace
from tests.kills.power import Disk, torn
from tests.kills.process_faults import PowerLossAfter

_CONCURRENCY = 2
_TORN = 20
# Not the last commit before the ledger is open: opening syncs the file before the next one.
_COMMITS = (4, 9, 15)


def settled(disk: Disk, folder: Path) -> set[str]:
    """Return the request keys that are succeeded on a disk."""
    lines = (line for line in disk.content(folder) if line.startswith('INSERT INTO "deliveries"'))
    return {line.split(",")[2].strip("'") for line in lines if "'succeeded'" in line}


def keys(entries: tuple[Entry, ...]) -> set[str]:
    return {entry.key for entry in entries}


@pytest.mark.parametrize("commit", _COMMITS)
@pytest.mark.parametrize(
    "pages", [pytest.param(1000, id="all in the log"), pytest.param(4, id="checkpoint by checkpoint")]
)
def test_synced_data_survives_a_power_loss(
    new_workspace: NewWorkspace, tmp_path: Path, pages: int, commit: int
) -> None:
    """With any sectors of the next commit on disk, the ledger opens in its old or new state, and the run is resumed."""
    one = new_workspace(orders(13), concurrency=_CONCURRENCY)
    before, after = tmp_path / "before.db", tmp_path / "after.db"
    assert one.child("run", "orders", fault=PowerLossAfter(commit, pages, before, after)).exit_code == -signal.SIGKILL
    died = time.monotonic()
    sent = len(one.simulator.journal.entries)
    old, new = Disk.read(before), Disk.read(after)
    chance = random.Random(commit)

    for _ in range(_TORN):
        assert torn(old, new, chance).content(tmp_path) in (old.content(tmp_path), new.content(tmp_path))

    torn(old, new, chance).write(one.ledger)
    ended = one.resume_or_run()

    assert ended.exit_code == one.export.exit_code, ended.stderr
    promises.all_rows_are_done(one.export, one.outcomes(), one.simulator.journal.entries)
    assert sum(promises.resent_by_end(one.simulator.journal.entries, [died])) <= 2 * _CONCURRENCY
    assert keys(one.simulator.journal.entries[sent:]) & settled(old, tmp_path) == set()
