"""What was synced survives a loss of power, and a torn end does not keep the ledger from opening."""

import random
import signal
import time
from pathlib import Path

import pytest

from pipeline.simulator import Entry
from tests.kills import laws
from tests.kills.exports import orders
from tests.kills.fates import PowerLossAfter
from tests.kills.fixtures import MakeScene
from tests.kills.power import Disk, torn

_CONCURRENCY = 2
_TORN = 20
_COMMITS = (4, 9, 13)


def settled(disk: Disk, folder: Path) -> set[str]:
    """Return the request keys that a disk holds as succeeded."""
    lines = (line for line in disk.content(folder) if line.startswith('INSERT INTO "deliveries"'))
    return {line.split(",")[2].strip("'") for line in lines if "'succeeded'" in line}


def keys(entries: tuple[Entry, ...]) -> set[str]:
    return {entry.key for entry in entries}


@pytest.mark.parametrize("commit", _COMMITS)
@pytest.mark.parametrize(
    "pages", [pytest.param(1000, id="all in the log"), pytest.param(4, id="checkpoint by checkpoint")]
)
def test_what_was_synced_survives_a_loss_of_power(scene: MakeScene, tmp_path: Path, pages: int, commit: int) -> None:
    """Whatever sectors of the next commit reached the disk, the ledger opens as it was, and the run goes on."""
    one = scene(orders(13), concurrency=_CONCURRENCY)
    before, after = tmp_path / "before.db", tmp_path / "after.db"
    assert one.child("run", "orders", fate=PowerLossAfter(commit, pages, before, after)).exit_code == -signal.SIGKILL
    died = time.monotonic()
    sent = len(one.simulator.journal.entries)
    old, new = Disk.read(before), Disk.read(after)
    chance = random.Random(commit)

    for _ in range(_TORN):
        assert torn(old, new, chance).content(tmp_path) in (old.content(tmp_path), new.content(tmp_path))

    torn(old, new, chance).write(one.ledger)
    ended = one.carry_on()

    assert ended.exit_code == one.export.exit_code, ended.stderr
    laws.all_is_done(one.export, one.outcomes(), one.simulator.journal.entries)
    assert sum(laws.duplicates_by_end(one.simulator.journal.entries, [died])) <= 2 * _CONCURRENCY
    assert keys(one.simulator.journal.entries[sent:]) & settled(old, tmp_path) == set()
