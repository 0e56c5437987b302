"""The report of a run, written in one pass over its outcomes; other processes may have written parts of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson

from pipeline.errors import PipelineError
from pipeline.language import t
from pipeline.report.advice import Step, next_steps
from pipeline.report.files.folder import PendingFiles, make_folder
from pipeline.report.files.outcome_file import NoFile, OutcomeFile, outcome_file
from pipeline.report.files.record import OutcomeFormat, columns_of
from pipeline.report.files.rows_to_fix import (
    CSV_NAME,
    WORKBOOK_NAME,
    RowNote,
    RowsToFix,
    RowsToFixFiles,
    header_of,
    left_out_note,
)
from pipeline.report.files.workbook import TextWorkbook
from pipeline.report.page import PageContext, render_page
from pipeline.report.parts import ReportPart
from pipeline.report.summary import Summary
from pipeline.report.tally import Tally
from pipeline.tables.outcome_page import OutcomePage

_NO_CONTEXT = PageContext()


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """
    A written report, its summary and the next steps.

    `outcome` is None if not wanted. `notes` are sentences for the log.
    """

    folder: Path
    outcome: Path | None
    summary: Summary
    next_steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()


def report_names(outcome_format: OutcomeFormat | None) -> tuple[str, ...]:
    """Return the names of a report's files."""
    outcome = (f"outcome.{outcome_format}",) if outcome_format else ()
    return (*outcome, CSV_NAME, WORKBOOK_NAME, "report.html", "summary.json")


def write_report(
    folder: Path,
    *,
    outcome_format: OutcomeFormat | None,
    run_id: str,
    job: str,
    outcomes: Iterable[OutcomePage | ReportPart],
    columns: Mapping[int, tuple[str, ...]],
    summarise: Callable[[Tally], Summary],
    mark: RowNote,
    context: PageContext = _NO_CONTEXT,
    kept: Iterable[Path] = (),
) -> ReportFiles:
    """
    Write the files of a run's report into a folder; make the folder if it is missing.

    - `outcomes`: read once, in source order, by pages and parts
    - `columns`: the columns of each input, by the input's number
    - `summarise`: makes the summary from the counts
    - `mark`: makes the row mark of a row to fix
    - `outcome_format`: None writes no outcome file
    - `context`: what `report.html` shows beside the run in numbers
    - `kept`: files that are not replaced

    All files appear together at the end, `summary.json` last, so that a script that waits for it finds the others.
    If anything fails, no new file is left and the old files stay. Raises SettingsError if the folder can't be
    written, PipelineError if the disk fails, and any exception of `outcomes` and `summarise`.
    """
    make_folder(folder)
    outcome_name, tally = outcome_format and f"outcome.{outcome_format}", Tally()
    with _clear_errors(folder, run_id), PendingFiles(folder, kept) as pending, _workbook(pending, columns) as workbook:
        rows_to_fix = RowsToFix(columns, mark)
        fix_files = RowsToFixFiles(pending.begin(CSV_NAME, private=True), workbook, columns)
        with _outcome_file(pending, outcome_format) as file:
            for each in outcomes:
                if isinstance(each, ReportPart):
                    _append(each, file, fix_files, rows_to_fix, tally)
                    continue
                file.add(columns_of(run_id, job, each))
                for cells in rows_to_fix.among(each):
                    fix_files.add(cells)
                tally.add(each)
        summary = summarise(tally)
        workbook.made_at = datetime.fromisoformat(summary.started_at).replace(tzinfo=None)
        notes = [left_out_note(workbook.left_out)] if workbook.left_out else []
        for note in notes:
            workbook.note(note)
        notes += [t("{path} is an input of a run and was not changed", path=path) for path in kept]
        pending.begin("report.html").write(render_page(summary, tally, outcome_name, context).encode())
        pending.begin("summary.json").write(summary.as_json())
    outcome = folder / outcome_name if outcome_name else None
    return ReportFiles(folder, outcome, summary, tuple(next_steps(summary, tally)), tuple(notes))


def _append(
    part: ReportPart, file: OutcomeFile, fix_files: RowsToFixFiles, rows_to_fix: RowsToFix, tally: Tally
) -> None:
    with part.outcome.open("rb") as outcome, part.rows_to_fix.open("rb") as lines:
        file.append(outcome)
        for line in lines:
            fix_files.add(orjson.loads(line))
    rows = tally.rows
    tally.add_json(part.tally.read_bytes())
    rows_to_fix.skip(tally.rows - rows)


@contextmanager
def _clear_errors(folder: Path, run_id: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise PipelineError(
            t(
                "can't write the report to {folder}: {reason}. The ledger has every outcome: free space there, "
                "then write the report with `backfill report {run_id}`",
                folder=folder,
                reason=exc.strerror or exc,
                run_id=run_id,
            )
        ) from exc


def _workbook(pending: PendingFiles, columns: Mapping[int, tuple[str, ...]]) -> TextWorkbook:
    file = pending.begin(WORKBOOK_NAME, private=True)
    return TextWorkbook(file, pending.begin_temporary_folder(WORKBOOK_NAME), header_of(columns))


def _outcome_file(pending: PendingFiles, outcome_format: OutcomeFormat | None) -> AbstractContextManager[OutcomeFile]:
    if outcome_format is None:
        return nullcontext(NoFile())
    return outcome_file(pending.begin(f"outcome.{outcome_format}"), outcome_format)
