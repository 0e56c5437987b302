"""Writing a run's report, in one pass over its outcomes."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.report.advice import Step, next_steps
from pipeline.report.files.folder import PendingFiles, make_folder
from pipeline.report.files.outcome_file import NoFile, OutcomeFile, outcome_file
from pipeline.report.files.record import OutcomeFormat, columns_of
from pipeline.report.files.rows_to_fix import CSV_NAME, WORKBOOK_NAME, Mark, RowsToFix, header_of, left_out_note
from pipeline.report.files.workbook import TextWorkbook
from pipeline.report.page import render_page
from pipeline.report.summary import Summary
from pipeline.report.tally import Tally
from pipeline.tables.outcome_page import OutcomePage


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """
    What was written, what it says in numbers, and what to do next.

    `outcome` and `page` are None where they were not asked for. `notes` are sentences for the log.
    """

    folder: Path
    outcome: Path | None
    rows_to_fix: Path
    workbook: Path
    summary_file: Path
    page: Path | None
    summary: Summary
    next_steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()


def report_names(outcome_format: OutcomeFormat | None) -> tuple[str, ...]:
    """Return the names of the files of a report."""
    outcome = (f"outcome.{outcome_format}",) if outcome_format else ()
    return (*outcome, CSV_NAME, WORKBOOK_NAME, "report.html", "summary.json")


def write_report(
    folder: Path,
    *,
    outcome_format: OutcomeFormat | None,
    run_id: str,
    job: str,
    outcomes: Iterable[OutcomePage],
    columns: Mapping[int, tuple[str, ...]],
    summarise: Callable[[Tally], Summary],
    mark: Mark,
    html: bool = True,
    kept: Iterable[Path] = (),
) -> ReportFiles:
    """
    Write the files of a run's report into a folder, which is made where there is none.

    `outcomes` is read once, in source order, and never held; `columns` are those of each input, by its number;
    `summarise` makes the summary from what the pass has counted, `mark` ties a row to fix to its origin. With no
    `outcome_format` there is no outcome file. Files that are `kept` stay as they are.

    The files take their places together at the end, `summary.json` last: whoever waits for it finds the others. If
    anything fails, no new file is left and the old ones stay. Raises SettingsError where the folder can't be written,
    PipelineError where the disk fails; what `outcomes` and `summarise` raise comes through.
    """
    make_folder(folder)
    outcome_name = outcome_format and f"outcome.{outcome_format}"
    try:
        with PendingFiles(folder, kept) as pending, _workbook(pending, columns) as book:
            rows_to_fix = RowsToFix(pending.begin(CSV_NAME, private=True), book, columns, mark)
            tally = _pass(
                pending=pending,
                outcome_format=outcome_format,
                run_id=run_id,
                job=job,
                outcomes=outcomes,
                rows_to_fix=rows_to_fix,
            )
            summary = summarise(tally)
            book.made_at = datetime.fromisoformat(summary.started_at).replace(tzinfo=None)
            notes = [left_out_note(book.left_out)] if book.left_out else []
            for note in notes:
                book.note(note)
            notes += [f"{path} was given back as an input, and stays as it is" for path in kept]
            if html:
                pending.begin("report.html").write(render_page(summary, tally, outcome_name).encode())
            pending.begin("summary.json").write(summary.as_json())
    except OSError as exc:
        raise PipelineError(
            f"the report can't be written to {folder}: {exc.strerror or exc}; the ledger keeps every outcome: "
            f"make room there, then `backfill report {run_id}` writes it again"
        ) from exc
    return ReportFiles(
        folder=folder,
        outcome=folder / outcome_name if outcome_name else None,
        rows_to_fix=folder / CSV_NAME,
        workbook=folder / WORKBOOK_NAME,
        summary_file=folder / "summary.json",
        page=folder / "report.html" if html else None,
        summary=summary,
        next_steps=tuple(next_steps(summary, tally)),
        notes=tuple(notes),
    )


def _workbook(pending: PendingFiles, columns: Mapping[int, tuple[str, ...]]) -> TextWorkbook:
    file = pending.begin(WORKBOOK_NAME, private=True)
    return TextWorkbook(file, pending.begin_room(WORKBOOK_NAME), header_of(columns))


def _pass(
    pending: PendingFiles,
    outcome_format: OutcomeFormat | None,
    run_id: str,
    job: str,
    outcomes: Iterable[OutcomePage],
    rows_to_fix: RowsToFix,
) -> Tally:
    tally = Tally()
    with _outcome_file(pending, outcome_format) as file:
        for page in outcomes:
            file.add(columns_of(run_id, job, page))
            rows_to_fix.add(page)
            tally.add(page)
    return tally


def _outcome_file(pending: PendingFiles, outcome_format: OutcomeFormat | None) -> AbstractContextManager[OutcomeFile]:
    if outcome_format is None:
        return nullcontext(NoFile())
    return outcome_file(pending.begin(f"outcome.{outcome_format}"), outcome_format)
