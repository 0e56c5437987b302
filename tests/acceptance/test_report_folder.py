"""The place for a report is asked for before anything is sent."""

from pathlib import Path

from tests.acceptance.night import Night, order


def test_a_report_folder_that_can_not_be_written_ends_the_run_before_it_sends(night: Night, tmp_path: Path) -> None:
    """Where --report names something that is no folder, the command ends with 2, says so, and nothing was sent."""
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    night.configure()
    night.export("orders.csv", [order(1)])

    end = night.backfill("run", "orders", "--report", str(tmp_path / "taken"))

    assert end.exit_code == 2
    assert "taken" in end.stderr
    assert night.requests() == []
