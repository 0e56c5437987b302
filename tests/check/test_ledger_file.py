"""The check of the ledger's file and disk."""

from pathlib import Path

import pytest

from pipeline.check.finding import Finding, Level
from pipeline.check.ledger_file import check_ledger
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


def test_a_file_that_is_no_ledger_is_an_error(tmp_path: Path) -> None:
    """The error of the ledger is the finding, and the disk is not judged."""
    ledger = tmp_path / "backfill.db"
    ledger.write_bytes(b"no database" * 100)

    (found,) = check_ledger(config_with(ledger), MovedClock())

    assert (found.level, found.what) == (Level.ERROR, "ledger")
    assert str(ledger) in found.message
