"""The report's files appear whole or not at all, and memory does not grow with the rows."""

import resource
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import pyarrow.parquet  # noqa: F401 - imported before memory is measured
import pytest

from pipeline.errors import PipelineError, SettingsError
from pipeline.model import Status
from pipeline.report import OutcomeFormat, ReportFiles, Summary, Tally, make_folder
from pipeline.tables.outcome_page import Outcome

EVERY_FORMAT = pytest.mark.parametrize("outcome_format", list(OutcomeFormat))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: writing on fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_files_of_a_report(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """A report is four files and no others, in a folder that is made with its parents."""
    folder = tmp_path / "reports" / "of today"

    files = report(folder, [outcome()])

    assert files == ReportFiles(
        folder=folder,
        outcome=folder / "outcome.csv",
        rows_to_fix=folder / "rows_to_fix.csv",
        workbook=folder / "rows_to_fix.xlsx",
        summary_file=folder / "summary.json",
        page=folder / "report.html",
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


def test_a_page_that_is_not_wanted_is_not_written(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """Without a page there are the three files for scripts."""
    assert report(tmp_path, [outcome()], html=False).page is None
    assert sorted(contents(tmp_path)) == ["outcome.csv", "rows_to_fix.csv", "rows_to_fix.xlsx", "summary.json"]


def test_writing_again_gives_the_same_files(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """The same outcomes give the same bytes, in place of those from before."""
    outcomes = [outcome(), outcome(status=Status.REJECTED, cells='["A-1","x"]')]
    report(tmp_path, outcomes)
    before = contents(tmp_path)

    report(tmp_path, outcomes)

    assert contents(tmp_path) == before


def test_what_a_killed_process_left_is_cleared_away(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """Drafts of a process that died are gone once a report is written there again; other files stay."""
    for name in (".outcome.csv.0123abcd.part", ".summary.json.00000000.part", ".mine.part", "notes.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".rows_to_fix.xlsx.0123abcd.part").mkdir()
    (tmp_path / ".rows_to_fix.xlsx.0123abcd.part" / "rows").write_text("x")

    report(tmp_path, [outcome()])

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".mine.part", "notes.txt", "outcome.csv", "report.html", "rows_to_fix.csv", "rows_to_fix.xlsx",
        "summary.json",
    ]  # fmt: skip


def test_drafts_of_a_process_that_still_writes_stay(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """Two processes may write to one folder at once: each report is whole, and the last one stays."""
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
def test_outcomes_that_break_off_leave_nothing_new(
    tmp_path: Path,
    report: Callable[..., ReportFiles],
    outcome: Callable[..., Outcome],
    outcome_format: OutcomeFormat,
) -> None:
    """When the outcomes break off midway the files from before stay as they were, and no others are left."""
    report(tmp_path, [outcome()], outcome_format=outcome_format)
    before = contents(tmp_path)

    def breaking_off() -> Iterator[Outcome]:
        yield from repeat(outcome(code="NEW"), 30_000)
        raise LookupError("the ledger is gone")

    with pytest.raises(LookupError, match="the ledger is gone"):
        report(tmp_path, breaking_off(), outcome_format=outcome_format)

    assert contents(tmp_path) == before


def test_a_summary_that_does_not_add_up_leaves_nothing(
    tmp_path: Path,
    report: Callable[..., ReportFiles],
    outcome: Callable[..., Outcome],
    summary_of: Callable[..., Summary],
) -> None:
    """Counts that do not add up stop the report before any of its files is seen."""

    def miscounted(tally: Tally) -> Summary:
        return replace(summary_of(tally), rows=tally.rows + 1)

    with pytest.raises(ValueError, match="2 rows were read"):
        report(tmp_path, [outcome()], summarise=miscounted)

    assert contents(tmp_path) == {}


@EVERY_FORMAT
def test_a_full_disk_leaves_nothing_and_says_what_to_do(
    tmp_path: Path,
    report: Callable[..., ReportFiles],
    outcome: Callable[..., Outcome],
    run_id: str,
    outcome_format: OutcomeFormat,
) -> None:
    """A disk that takes no more is told with its cause and the command that writes the report again."""
    outcomes = (outcome(source_row=n, message=f"{n * n:x} {n**7:x}") for n in range(40_000))

    with room_for(100_000), pytest.raises(PipelineError) as failure:
        report(tmp_path, outcomes, outcome_format=outcome_format)

    assert str(failure.value) == (
        f"the report can't be written to {tmp_path}: File too large; the ledger keeps every outcome: "
        f"make room there, then `backfill report {run_id}` writes it again"
    )
    assert contents(tmp_path) == {}


def test_a_folder_that_can_not_be_made_is_told_before_anything_is_sent(
    tmp_path: Path, report: Callable[..., ReportFiles]
) -> None:
    """Where a file stands in the folder's place, the error names the folder and the option that names another."""
    (tmp_path / "taken").touch()
    folder = tmp_path / "taken" / "report"
    told = (f"the report folder {folder} can't be written: Not a directory; name another one with --report",)

    with pytest.raises(SettingsError) as early:
        make_folder(folder)
    with pytest.raises(SettingsError) as late:
        report(folder, [])

    assert early.value.faults == late.value.faults == told


def test_making_a_folder_leaves_nothing_in_it(tmp_path: Path) -> None:
    """The proof that a folder can be written leaves no trace, and a folder that is there already is fine."""
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")

    assert contents(tmp_path / "a" / "b") == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("outcome_format", "most_bytes"),
    [
        pytest.param(OutcomeFormat.CSV, 1_000_000, id="csv"),
        pytest.param(OutcomeFormat.PARQUET, 8_000_000, id="parquet-one-row-group"),
    ],
)
def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path,
    report: Callable[..., ReportFiles],
    outcome: Callable[..., Outcome],
    outcome_format: OutcomeFormat,
    most_bytes: int,
) -> None:
    """Two hundred thousand outcomes pass through less memory than a list of them alone would take."""
    outcomes = repeat(outcome(status=Status.REJECTED, cells='["A-1","x"]'), 200_000)

    tracemalloc.start()
    try:
        report(tmp_path, outcomes, outcome_format=outcome_format)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < most_bytes
