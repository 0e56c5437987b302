"""The report of a run, made from the ledger."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.assemble.page_context import page_context
from pipeline.assemble.protected_files import ProtectedFiles
from pipeline.assemble.traces import reports_folder
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Phase, RunRecord, RunState
from pipeline.report import (
    InputFile,
    Language,
    OutcomeFormat,
    QuotaUse,
    ReportFiles,
    Summary,
    Tally,
    make_folder,
    report_names,
    write_report,
)
from pipeline.run.exit_code import exit_code_of
from pipeline.settings import Config, Job
from pipeline.tables.outcome_page import OutcomePage


@dataclass(frozen=True, slots=True)
class RunReport:
    """
    Folder and format of a run's report, the run's job and the language of its page.

    `protected` are the files that it does not overwrite.
    """

    ledger: Ledger
    folder: Path
    outcome_format: OutcomeFormat
    protected: ProtectedFiles
    job: Job
    language: Language

    def prepare(self) -> Path:
        """Make the report's folder and return it. Raises SettingsError if that fails."""
        make_folder(self.folder)
        return self.folder

    def write(self, run: RunRecord, tick: Callable[[], None]) -> ReportFiles:
        """Write the report of a concluded run; call `tick` between pages."""
        kept = self.protected.inputs_among(self.folder / name for name in report_names(self.outcome_format))
        return report_on(
            self.ledger,
            run,
            self.folder,
            self.outcome_format,
            job=self.job,
            language=self.language,
            kept=kept,
            tick=tick,
        )


def report_folder(config: Config, run: RunRecord) -> Path:
    """Return the default report folder of a run, beside the config."""
    return reports_folder(config) / run.run_id


def report_on(
    ledger: Ledger,
    run: RunRecord,
    folder: Path,
    outcome_format: OutcomeFormat | None,
    *,
    job: Job | None = None,
    language: Language = Language.ENGLISH,
    html: bool = True,
    kept: Iterable[Path] = (),
    tick: Callable[[], None] = lambda: None,
) -> ReportFiles:
    """
    Write the report of a run from the ledger, at any time; call `tick` between pages.

    `job`, whose settings the page shows, is None if the config no longer has it.
    """
    return write_report(
        folder,
        outcome_format=outcome_format,
        run_id=run.run_id,
        job=run.job,
        outcomes=_ticking(ledger.outcome_pages(run), tick),
        columns={source.file_no: source.columns for source in ledger.inputs(run)},
        summarise=summarising(ledger, run, folder, tick),
        mark=ledger.marks(run),
        html=html,
        context=page_context(ledger, run, job, language),
        kept=kept,
    )


def summary_of(ledger: Ledger, run: RunRecord, folder: Path) -> tuple[Summary, Tally]:
    """Return the current summary and tally of a run; `folder` is its report folder."""
    tally = Tally()
    for page in ledger.outcome_pages(run):
        tally.add(page)
    return summarising(ledger, run, folder)(tally), tally


def _ticking(pages: Iterable[OutcomePage], tick: Callable[[], None]) -> Iterator[OutcomePage]:
    for page in pages:
        tick()
        yield page


def summarising(
    ledger: Ledger, run: RunRecord, folder: Path, tick: Callable[[], None] = lambda: None
) -> Callable[[Tally], Summary]:
    """Return a function that makes a run's summary from its tally. A run without a state counts as interrupted."""
    state = run.state or RunState.INTERRUPTED
    # A run killed while reading has reported no rows.
    is_unread = run.phase is Phase.STAGING and run.state is None
    inputs = tuple(InputFile(s.name, 0 if is_unread else s.rows, s.sha256, s.encoding) for s in ledger.inputs(run))

    def summarise(tally: Tally) -> Summary:
        sent_per_s = tally.attempts / _quota_seconds(run, tally.attempts)
        return Summary(
            run_id=run.run_id,
            parent=run.parent,
            date=run.options.get("date"),
            job=run.job,
            api=run.api,
            account=run.account,
            state=state,
            exit_code=exit_code_of(state, tally.counts) if run.exit_code is None else run.exit_code,
            inputs=inputs,
            rows=tally.rows,
            # If every row is done, reruns and fixes need no look-up.
            left=ledger.left(run, tick).total() if tally.left and ledger.has_family(run) else tally.left,
            counts=tally.counts,
            codes=tally.codes,
            faults=tally.faults,
            attempts=tally.attempts,
            started_at=run.started_at,
            finished_at=run.finished_at,
            elapsed_s=run.elapsed_s,
            sent_per_s=sent_per_s,
            quota=QuotaUse(run.limit_per_s, sent_per_s / run.limit_per_s, run.throttled),
            # A path may have bytes that are not UTF-8; JSON can't.
            report=os.fsencode(folder).decode(errors="replace"),
            reason=run.reason,
            waits=run.waits,
        )

    return summarise


def _quota_seconds(run: RunRecord, attempts: int) -> float:
    """
    Return the seconds in which the run used its quota: from first to last request, plus one interval.

    At least the time of the requests at the limit, because the first second allows a burst: otherwise a short run would
    seem to exceed its quota.
    """
    return max(run.sending_s + 1.0 / run.limit_per_s, attempts / run.limit_per_s)
