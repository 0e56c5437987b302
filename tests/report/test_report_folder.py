"""The report folder: files appear whole or not at all, and memory does not grow with the rows."""

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import pyarrow.parquet  # noqa: F401 - imported before memory is measured
import pytest

from pipeline.errors import PipelineError, SettingsError
from pipeline.model import Status
from pipeline.report import OutcomeFormat, ReportFiles, Summary, Tally, make_folder
from pipeline.tables.outcome_page import Outcome
from tests.report.report_files import file_size_limit

EVERY_FORMAT = pytest.mark.parametrize("outcome_format", list(OutcomeFormat))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_files_of_a_report(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """A report is exactly 5 files, in a folder that is made with its parents."""
    folder = tmp_path / "reports" / "of today"

    files = report(folder, [outcome()])

    assert files == ReportFiles(
        folder=folder,
        outcome=folder / "outcome.csv",
        summary=files.summary,
        next_steps=(),
    )
    assert sorted(contents(folder)) == [
        "outcome.csv",
        "report.html",
        "rows_to_fix.csv",
        "rows_to_fix.xlsx",
        "summary.json",
    ]
    assert (folder / "summary.json").read_bytes() == files.summary.as_json()


def test_writing_again_gives_the_same_files(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """The same outcomes give the same bytes again."""
    outcomes = [outcome(), outcome(status=Status.REJECTED, cells='["A-1","x"]')]
    report(tmp_path, outcomes)
    before = contents(tmp_path)

    report(tmp_path, outcomes)

    assert contents(tmp_path) == before


def test_temporary_files_of_a_killed_process_are_removed(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """The next report removes temporary files of a dead process; other files stay."""
    for name in (".outcome.csv.0123abcd.part", ".summary.json.00000000.part", ".mine.part", "notes.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".rows_to_fix.xlsx.0123abcd.part").mkdir()
    (tmp_path / ".rows_to_fix.xlsx.0123abcd.part" / "rows").write_text("x")

    report(tmp_path, [outcome()])

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".mine.part", "notes.txt", "outcome.csv", "report.html", "rows_to_fix.csv", "rows_to_fix.xlsx",
        "summary.json",
    ]  # fmt: skip


def test_temporary_files_of_a_live_process_stay(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """2 reports may be written to one folder at once: each is whole, and the last one stays."""
    first, last = outcome(request_key="first"), outcome(request_key="last")

    def interrupted() -> Iterator[Outcome]:
        report(tmp_path, [first])
        yield last

    report(tmp_path, interrupted())

    assert b"last" in (tmp_path / "outcome.csv").read_bytes()
    assert sorted(contents(tmp_path)) == [
        "outcome.csv",
        "report.html",
        "rows_to_fix.csv",
        "rows_to_fix.xlsx",
        "summary.json",
    ]


@EVERY_FORMAT
def test_an_error_midway_leaves_the_old_files(
    tmp_path: Path,
    report: Callable[..., ReportFiles],
    outcome: Callable[..., Outcome],
    outcome_format: OutcomeFormat,
) -> None:
    """If reading the outcomes fails midway, the old files stay unchanged and no new ones appear."""
    report(tmp_path, [outcome()], outcome_format=outcome_format)
    before = contents(tmp_path)

    def failing_midway() -> Iterator[Outcome]:
        yield from repeat(outcome(code="NEW"), 30_000)
        raise LookupError("the ledger is gone")

    with pytest.raises(LookupError, match="the ledger is gone"):
        report(tmp_path, failing_midway(), outcome_format=outcome_format)

    assert contents(tmp_path) == before


def test_a_summary_that_does_not_add_up_leaves_nothing(
    tmp_path: Path,
    report: Callable[..., ReportFiles],
    outcome: Callable[..., Outcome],
    summary_of: Callable[..., Summary],
) -> None:
    """Counts that do not add up stop the report before any file appears."""

    def miscounted(tally: Tally) -> Summary:
        return replace(summary_of(tally), rows=tally.rows + 1)

    with pytest.raises(ValueError, match="2 rows were read"):
        report(tmp_path, [outcome()], summarise=miscounted)

    assert contents(tmp_path) == {}


@EVERY_FORMAT
def test_a_full_disk_leaves_no_files_and_says_what_to_do(
    tmp_path: Path,
    report: Callable[..., ReportFiles],
    outcome: Callable[..., Outcome],
    run_id: str,
    outcome_format: OutcomeFormat,
) -> None:
    """The error on a full disk names the cause and the command that writes the report again."""
    outcomes = (outcome(source_row=n, message=f"{n * n:x} {n**7:x}") for n in range(40_000))

    with file_size_limit(100_000), pytest.raises(PipelineError) as failure:
        report(tmp_path, outcomes, outcome_format=outcome_format)

    assert str(failure.value) == (
        f"can't write the report to {tmp_path}: File too large. The ledger has every outcome: "
        f"free space there, then write the report with `backfill report {run_id}`"
    )
    assert contents(tmp_path) == {}


def test_a_folder_that_can_not_be_made_is_reported_early(tmp_path: Path, report: Callable[..., ReportFiles]) -> None:
    """If the path is a file, the error names the path and the option that chooses another one."""
    (tmp_path / "taken").touch()
    folder = tmp_path / "taken" / "report"
    faults = (f"can't write to the report folder {folder}: Not a directory; choose another one with --report",)

    with pytest.raises(SettingsError) as early:
        make_folder(folder)
    with pytest.raises(SettingsError) as late:
        report(folder, [])

    assert early.value.faults == late.value.faults == faults


def test_making_a_folder_leaves_nothing_in_it(tmp_path: Path) -> None:
    """The write test leaves no file, and an existing folder is accepted."""
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")

    assert contents(tmp_path / "a" / "b") == {}


@pytest.mark.slow
@pytest.mark.parametrize("outcome_format", [OutcomeFormat.CSV, OutcomeFormat.PARQUET])
def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path,
    report: Callable[..., ReportFiles],
    outcome: Callable[..., Outcome],
    outcome_format: OutcomeFormat,
) -> None:
    """A report of 20,000 outcomes takes less memory than a list of their lines, of 3 MB."""
    outcomes = repeat(outcome(status=Status.REJECTED, cells='["A-1","x"]'), 20_000)

    tracemalloc.start()
    try:
        report(tmp_path, outcomes, outcome_format=outcome_format)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 1_000_000
