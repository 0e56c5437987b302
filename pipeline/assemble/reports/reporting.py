"""The report of a run, made from the ledger."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.assemble.parts.ledgers import reports_folder
from pipeline.assemble.reports.page_context import page_context
from pipeline.assemble.reports.protected_files import inputs_among
from pipeline.assemble.reports.shared_outcomes import ReportProcesses
from pipeline.assemble.reports.totals import no_agreement
from pipeline.ledger.history.totals import ReadRow
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
from pipeline.settings import Config, Job
from pipeline.tables.agreement_totals import OpenAgreements


@dataclass(frozen=True, slots=True)
class RunReport:
    """
    The report of a run: its folder, and the format of its outcome file if one is wanted.

    - `read_row`: reads the agreements of invalid rows
    - `job`: the run's job, whose settings the page shows; None if the config no longer has it
    - `named`: the folder that summary and page name, if only one file of `folder` is kept
    - `processes`: the processes that write it
    """

    ledger: Ledger
    folder: Path
    outcome_format: OutcomeFormat | None
    read_row: ReadRow = no_agreement
    job: Job | None = None
    named: Path | None = None
    processes: ReportProcesses = field(default_factory=ReportProcesses)

    def prepare(self) -> Path:
        """Make the report's folder and return it. Raises SettingsError if that fails."""
        make_folder(self.folder)
        return self.folder

    def write(self, run: RunRecord, tick: Callable[[], None] = lambda: None) -> ReportFiles:
        """
        Write the report from the ledger; keep files that a run has read. Calls `tick` between pages.

        Raises SettingsError, and writes nothing, if the run is pruned meanwhile.
        """
        named = self.named or self.folder
        make_folder(self.folder)
        with self.processes.outcomes(self.ledger, run, self.folder, self.outcome_format, tick) as outcomes:
            return write_report(
                self.folder,
                outcome_format=self.outcome_format,
                run_id=run.run_id,
                job=run.job,
                outcomes=outcomes,
                columns={source.file_no: source.columns for source in self.ledger.inputs(run)},
                summarise=lambda tally: self._summarise(run, named, tally, tick),
                mark=self.ledger.marks(run),
                context=page_context(self.ledger, run, self.job),
                kept=inputs_among(self.ledger, (self.folder / name for name in report_names(self.outcome_format))),
            )

    def _summarise(self, run: RunRecord, named: Path, tally: Tally, tick: Callable[[], None]) -> Summary:
        # Prune deletes the run before its rows: while it is found, all rows that were read before were there.
        self.ledger.find(run.run_id)
        return summarise(self.ledger, run, named, tally, tick, read_row=self.read_row)


def report_folder(config: Config, run: RunRecord) -> Path:
    """Return the default report folder of a run, beside the config."""
    return reports_folder(config) / run.run_id


def summary_of(
    ledger: Ledger, run: RunRecord, folder: Path, *, read_row: ReadRow = no_agreement
) -> tuple[Summary, Tally]:
    """Return the current summary and tally of a run; `folder` is its report folder."""
    tally = Tally()
    for page in ledger.outcome_pages(run):
        tally.add(page)
    return summarise(ledger, run, folder, tally, read_row=read_row), tally


def summarise(
    ledger: Ledger,
    run: RunRecord,
    folder: Path,
    tally: Tally,
    tick: Callable[[], None] = lambda: None,
    *,
    read_row: ReadRow = no_agreement,
) -> Summary:
    """Return the summary of a run from its tally. A run without a state counts as interrupted."""
    state = run.state or RunState.INTERRUPTED
    # A run killed while reading has reported no rows.
    is_unread = run.phase is Phase.STAGING and run.state is None
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
        inputs=tuple(InputFile(s.name, 0 if is_unread else s.rows, s.sha256, s.encoding) for s in ledger.inputs(run)),
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
        open_agreements=ledger.open_agreements(run, read_row) if tally.left else OpenAgreements(),
    )


def _quota_seconds(run: RunRecord, attempts: int) -> float:
    """
    Return the seconds in which the run used its quota: from first to last request, plus one interval.

    At least the time of the requests at the limit, because the first second allows a burst: otherwise a short run would
    seem to exceed its quota.
    """
    return max(run.sending_s + 1.0 / run.limit_per_s, attempts / run.limit_per_s)
