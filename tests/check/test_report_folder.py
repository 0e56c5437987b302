"""The check of the report folder."""

from pathlib import Path

import pytest

from pipeline.check.finding import Finding, Level
from pipeline.check.report_folder import check_reports
from pipeline.settings import Config


def found_beside(folder: Path) -> list[Finding]:
    config = Config(path=folder / "backfill.toml", ledger_path=folder / "backfill.db", accounts={}, jobs={})
    return list(check_reports(config))


@pytest.mark.parametrize("name", [".", "reports"])
def test_a_folder_that_can_be_written_is_fine(tmp_path: Path, name: str) -> None:
    """Also if it does not exist yet; it is not made."""
    (tmp_path / name).mkdir(exist_ok=True)

    assert found_beside(tmp_path) == []
    assert (tmp_path / "reports").exists() == (name == "reports")


def test_a_file_in_its_place_is_named(tmp_path: Path) -> None:
    """A run would refuse it at its start."""
    reports = tmp_path / "reports"
    reports.touch()

    text = f"{reports} can't be written; give runs --report DIR"
    assert found_beside(tmp_path) == [Finding(Level.WARNING, "reports", text)]
