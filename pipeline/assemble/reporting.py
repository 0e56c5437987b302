"""The report of a run, from the ledger alone."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.assemble.protected_files import ProtectedFiles
from pipeline.assemble.traces import reports_folder
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Phase, RunRecord, RunState
from pipeline.report import (
    InputFile,
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
from pipeline.settings import Config
from pipeline.tables.outcome_page import OutcomePage


@dataclass(frozen=True, slots=True)
class RunReport:
    """Where and how a run's report is written. `protected` are the files that it does not overwrite."""

    ledger: Ledger
    folder: Path
    outcome_format: OutcomeFormat
    protected: ProtectedFiles

    def prepare(self) -> Path:
        """Make the report's folder and return it; raise SettingsError if that fails."""
        make_folder(self.folder)
        return self.folder

    def write(self, run: RunRecord, tick: Callable[[], None]) -> ReportFiles:
        """Write the report of a concluded run; call `tick` on the way."""
        kept = self.protected.given_back(self.folder / name for name in report_names(self.outcome_format))
        return report_on(self.ledger, run, self.folder, self.outcome_format, kept=kept, tick=tick)


def report_folder(config: Config, run: RunRecord) -> Path:
    """Return where a run's report lies where nothing else is asked for: beside the config."""
    return reports_folder(config) / run.run_id


def report_on(
    ledger: Ledger,
    run: RunRecord,
    folder: Path,
    outcome_format: OutcomeFormat | None,
    *,
    html: bool = True,
    kept: Iterable[Path] = (),
    tick: Callable[[], None] = lambda: None,
) -> ReportFiles:
    """Write the report of a run, from the ledger alone; may be done again at any time. `tick` is called on the way."""
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
        kept=kept,
    )


def summary_of(ledger: Ledger, run: RunRecord, folder: Path) -> tuple[Summary, Tally]:
    """Return the summary of a run as it is now, and what its outcomes count; `folder` is where its report lies."""
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
    """Return what makes a run's summary from its counted outcomes. A run that nobody concluded was interrupted."""
    state = run.state or RunState.INTERRUPTED
    # A run that was killed while it read has told nobody of its rows.
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
            # Where every row is done nobody need look at other runs.
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
            # A path may hold bytes that are no letters, and JSON can't.
            report=os.fsencode(folder).decode(errors="replace"),
            reason=run.reason,
            waits=run.waits,
        )

    return summarise


def _quota_seconds(run: RunRecord, attempts: int) -> float:
    """
    Return how long the run drew on its quota: from the first request to the last, and the place that one takes.

    It is no less than the requests take at the limit. Until the first second is full they come a little faster, and a
    run that kept the limit would seem to have exceeded it.
    """
    return max(run.sending_s + 1.0 / run.limit_per_s, attempts / run.limit_per_s)
