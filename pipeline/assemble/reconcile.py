"""`reconcile`: ask the platform about the rows of a run that are in doubt."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast

from pipeline.assemble.parts.new_run import job_of
from pipeline.assemble.parts.platform import merchant_of
from pipeline.assemble.parts.sender import permits_of, services_of
from pipeline.assemble.parts.system import System
from pipeline.assemble.reports.reporting import RunReport, report_folder
from pipeline.assemble.reports.totals import row_reader
from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Phase, RunRecord, RunState
from pipeline.ledger.run_ledger import RunLedger
from pipeline.model import Api
from pipeline.reconcile.queries import Queries, QuerySigner
from pipeline.reconcile.reconciliation import ReconciledRow, Reconciliation
from pipeline.report import OutcomeFormat, ReportFiles
from pipeline.settings import Config, Job
from pipeline.write.brakes.run_control import Ending, RunControl

T = TypeVar("T")

_ALL_DONE, _ROWS_LEFT, _STOPPED, _INTERRUPTED = 0, 3, 4, 5


@dataclass(frozen=True, slots=True)
class Reconciled:
    """
    What was asked about a run, and found.

    - `findings`: one for each delivery that was asked for; `agreements`: one for each row refused for its agreement
    - `obstacle`: why the query proves nothing; None if it was calibrated, or nothing was asked
    - `reason`: why it ended early
    - `left`: rows of the run that are not done; `report`: None if the run has not ended yet
    """

    run: RunRecord
    exit_code: int
    left: int
    findings: list[ReconciledRow] = field(repr=False)
    agreements: list[ReconciledRow] = field(repr=False)
    obstacle: str | None = None
    reason: str | None = None
    report: ReportFiles | None = None


def reconcile(
    config: Config,
    ledger: Ledger,
    system: System,
    run: RunRecord,
    *,
    agreement_status: bool = False,
    begun: Callable[[RunRecord, RunControl], None] = lambda _run, _control: None,
) -> Reconciled:
    """
    Ask the platform what it holds for a run's rows in doubt, settle those that it lists, and write the report again.

    With `agreement_status` it is also asked for the agreements of rows that were refused for them. `begun` is called
    once the run has its job. Raises SettingsError if the platform cannot be asked, RunHeld if a run of the job is
    active, and LedgerError.
    """
    job = _job_with_query(config, run)
    held = ledger.hold(run, merchant_of(config.accounts[job.account]))
    try:
        control = RunControl(system.clock)
        begun(run, control)
        report = _report_of(config, ledger, held.run, job)
        questions = _reconciliation(config, job, held, ledger, control, system)
        if held.run.phase is not Phase.STAGING:
            _ask(questions, held, control, agreement_status=agreement_status)
        files = _report_again(report, held)
    finally:
        held.leave()
    left = ledger.left(run).total()
    return Reconciled(
        run=run,
        exit_code=_exit_code(control, left),
        left=left,
        findings=sorted(questions.findings, key=_place),
        agreements=sorted(questions.agreements, key=_place),
        obstacle=None if control.ending else questions.obstacle,
        reason=control.reason,
        report=files,
    )


def _job_with_query(config: Config, run: RunRecord) -> Job:
    job = job_of(config, run)
    if job.api is not Api.CUMULATION:
        fault = t(
            "RUN {run_id} is of job {job} ({api}): the platform has no query for what it holds; "
            "`backfill rerun {run_id}` sends the unknown rows again, with the same keys and bytes",
            run_id=run.run_id, job=run.job, api=job.api,
        )  # fmt: skip
        raise SettingsError([fault])
    return job


def _reconciliation(
    config: Config, job: Job, held: RunLedger, ledger: Ledger, control: RunControl, system: System
) -> Reconciliation:
    account = config.accounts[job.account]
    services = services_of(job, account, permits_of(job, account, ledger.quotas(), system), control, system)
    # The signer of cumulation signs all calls of Alipay v3.
    queries = Queries(services, cast("QuerySigner", services.signer), held.keep_job)

    def for_each(tasks: Iterator[T], work: Callable[[T], None]) -> None:
        """Do tasks as the sender does, and keep the lease."""
        system.engine.run(tasks, work, workers=job.concurrency, tick=held.heartbeat, give_up=control.give_up)

    return Reconciliation(held, queries, for_each)


def _ask(questions: Reconciliation, held: RunLedger, control: RunControl, *, agreement_status: bool) -> None:
    if next(held.dues_in_doubt(), None) is not None and questions.calibrate():
        questions.settle()
    if agreement_status and control.ending is None:
        questions.ask_for_agreements()
    held.heartbeat()


def _report_of(config: Config, ledger: Ledger, run: RunRecord, job: Job) -> RunReport | None:
    """Return the report of a run that has ended. Raises SettingsError if its folder can't be written."""
    if run.phase is not Phase.CONCLUDED:
        return None
    folder = report_folder(config, run)
    known = (each for each in OutcomeFormat if (folder / f"outcome.{each}").exists())
    report = RunReport(ledger, folder, next(known, OutcomeFormat.CSV), row_reader(config), job)
    report.prepare()
    return report


def _report_again(report: RunReport | None, held: RunLedger) -> ReportFiles | None:
    """Write the report and the exit code of a run as they are now. Only a completed run's exit code may change."""
    if report is None:
        return None
    is_completed = held.run.state is RunState.COMPLETED
    files = report.write(replace(held.run, exit_code=None) if is_completed else held.run, held.heartbeat)
    held.finish(files.summary.exit_code)
    return files


def _place(finding: ReconciledRow) -> int:
    return finding.due.due.due_no


def _exit_code(control: RunControl, left: int) -> int:
    match control.ending:
        case None:
            return _ROWS_LEFT if left else _ALL_DONE
        case Ending.STOPPED:
            return _STOPPED
        case _:
            return _INTERRUPTED
