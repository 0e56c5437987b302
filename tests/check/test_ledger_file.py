"""The check of the ledger's file and disk."""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.check.finding import Finding, Level
from pipeline.check.ledger_file import check_ledger
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.lease import this_process
from pipeline.settings import Config
from tests.moved_clock import MovedClock


def config_with(ledger: Path) -> Config:
    """Return a config with this ledger."""
    return Config(path=ledger.parent / "backfill.toml", ledger_path=ledger, accounts={}, jobs={})


@pytest.mark.parametrize(
    ("free", "level", "text"),
    [
        (200_000_000, Level.ERROR, "200 MB are free on the disk of {folder}; a run stops below 268 MB: free space"),
        (1_500_000_000, Level.WARNING, "1,500 MB are free on the disk of {folder}"),
        (50_000_000_000, Level.OK, "50,000 MB are free on the disk of {folder}"),
    ],
)
def test_free_disk_is_judged(tmp_path: Path, free: int, level: Level, text: str) -> None:
    """A missing ledger is fine and is not created; its disk needs more space than a run reserves."""
    ledger = tmp_path / "state" / "backfill.db"

    found = list(check_ledger(config_with(ledger), MovedClock(), lambda _folder: free))

    assert found == [
        Finding(Level.OK, "ledger", f"{ledger} does not exist yet; the first run creates it"),
        Finding(level, "ledger", text.format(folder=tmp_path)),
    ]
    assert not ledger.parent.exists()


@pytest.mark.parametrize(
    ("age", "level", "text"),
    [
        (timedelta(hours=20), Level.OK, "{copy}: the copy of the ledger is 20 hours old"),
        (timedelta(hours=49), Level.WARNING, "{copy}: the copy of the ledger is 49 hours old"),
        (None, Level.WARNING, "{copy}: there is no copy of the ledger; see docs/how-to/backup-and-restore.md"),
    ],
)
def test_the_age_of_the_copy_is_judged(tmp_path: Path, age: timedelta | None, level: Level, text: str) -> None:
    """A copy that is missing or older than 48 hours is a warning; without a ledger none is looked for."""
    clock, config = MovedClock(), config_with(tmp_path / "backfill.db")
    copy = tmp_path / "backup.db"
    config = replace(config, backup_path=copy)
    if age is not None:
        copy.touch()
        written = (clock.now() - age).timestamp()
        os.utime(copy, (written, written))

    before = [found.message for found in check_ledger(config, clock)]
    Ledger(config.ledger_path, clock, this_process()).close()
    after = list(check_ledger(config, clock))

    assert len(before) == 2
    assert after[1] == Finding(level, "ledger", text.format(copy=copy))


def test_a_file_that_is_no_ledger_is_an_error(tmp_path: Path) -> None:
    """The error of the ledger is the finding, and the disk is not judged."""
    ledger = tmp_path / "backfill.db"
    ledger.write_bytes(b"no database" * 100)

    (found,) = check_ledger(config_with(ledger), MovedClock())

    assert (found.level, found.what) == (Level.ERROR, "ledger")
    assert str(ledger) in found.message
