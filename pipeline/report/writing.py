"""Writing a run's report, in one pass over its outcomes."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.outcome import Outcomes
from pipeline.report.advice import Step, next_steps
from pipeline.report.folder import Drafts, make_folder
from pipeline.report.outcome_file import NoFile, OutcomeFile, outcome_file
from pipeline.report.page import render_page
from pipeline.report.record import OutcomeFormat, columns_of
from pipeline.report.rows_to_fix import RowsToFix
from pipeline.report.summary import Summary
from pipeline.report.tally import Tally


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """
    What was written, what it says in numbers, and what to do next.

    `outcome` and `page` are None where they were not asked for.
    """

    folder: Path
    outcome: Path | None
    rows_to_fix: Path
    summary_file: Path
    page: Path | None
    summary: Summary
    next_steps: tuple[Step, ...]


def write_report(
    folder: Path,
    *,
    outcome_format: OutcomeFormat | None,
    run_id: str,
    job: str,
    outcomes: Iterable[Outcomes],
    columns: Mapping[int, tuple[str, ...]],
    summarise: Callable[[Tally], Summary],
    html: bool = True,
) -> ReportFiles:
    """
    Write the files of a run's report into a folder, which is made where there is none.

    `outcomes` is read once, in source order, and never held; `columns` are those of each input, by its number;
    `summarise` makes the summary from what the pass has counted. With no `outcome_format` there is no outcome file.

    The files take their places together at the end, `summary.json` last: whoever waits for it finds the others. If
    anything fails, no new file is left and the old ones stay. Raises SettingsError where the folder can't be written,
    PipelineError where the disk fails; what `outcomes` and `summarise` raise comes through.
    """
    make_folder(folder)
    outcome_name = outcome_format and f"outcome.{outcome_format}"
    try:
        with Drafts(folder) as drafts:
            tally = _pass(
                drafts=drafts, outcome_format=outcome_format, run_id=run_id, job=job, outcomes=outcomes, columns=columns
            )
            summary = summarise(tally)
            if html:
                drafts.begin("report.html").write(render_page(summary, tally, outcome_name).encode())
            drafts.begin("summary.json").write(summary.as_json())
    except OSError as exc:
        raise PipelineError(
            f"the report can't be written to {folder}: {exc.strerror or exc}; the ledger keeps every outcome: "
            f"make room there, then `backfill report {run_id}` writes it again"
        ) from exc
    return ReportFiles(
        folder=folder,
        outcome=folder / outcome_name if outcome_name else None,
        rows_to_fix=folder / "rows_to_fix.csv",
        summary_file=folder / "summary.json",
        page=folder / "report.html" if html else None,
        summary=summary,
        next_steps=tuple(next_steps(summary, tally)),
    )


def _pass(
    drafts: Drafts,
    outcome_format: OutcomeFormat | None,
    run_id: str,
    job: str,
    outcomes: Iterable[Outcomes],
    columns: Mapping[int, tuple[str, ...]],
) -> Tally:
    tally = Tally()
    with _outcome_file(drafts, outcome_format) as file:
        rows_to_fix = RowsToFix(drafts.begin("rows_to_fix.csv", private=True), columns)
        for page in outcomes:
            file.add(columns_of(run_id, job, page))
            rows_to_fix.add(page)
            tally.add(page)
    return tally


def _outcome_file(drafts: Drafts, outcome_format: OutcomeFormat | None) -> AbstractContextManager[OutcomeFile]:
    if outcome_format is None:
        return nullcontext(NoFile())
    return outcome_file(drafts.begin(f"outcome.{outcome_format}"), outcome_format)
