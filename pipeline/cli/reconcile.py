"""`backfill reconcile`: ask the platform what it holds for the unknown rows of a run."""

import argparse
import os

from pipeline.assemble.parts.ledgers import config_path, open_the_ledger
from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.parts.system import System
from pipeline.assemble.reconcile import Reconciled
from pipeline.assemble.reconcile import reconcile as ask_platform
from pipeline.cli.run import draining_signals
from pipeline.cli.terminal.logs import log, set_up_logs
from pipeline.cli.terminal.summary import first_of, print_json, print_line
from pipeline.clock import SystemClock
from pipeline.language import counted, t
from pipeline.reconcile.reconciliation import ReconciledRow
from pipeline.redact import masked, shown_row
from pipeline.settings import secrets, warnings


def reconcile(args: argparse.Namespace) -> int:
    """Ask the platform, settle the rows that it lists, and print what is left."""
    clock = SystemClock()
    set_up_logs(args)
    again = t("run `backfill reconcile {run}` again", run=args.run)
    with draining_signals(args.log_format, again) as active:
        config = open_config(config_path(args.config, os.environ), os.environ, clock)
        set_up_logs(args, secrets(config))
        for warning in warnings(config, at=clock.now()):
            log.warning(warning)
        ledger = open_the_ledger(config, clock)
        try:
            ledger.refuse_if_behind()
            done = ask_platform(
                config,
                ledger,
                System.real(clock),
                ledger.find(args.run),
                agreement_status=args.agreement_status,
                begun=lambda _run, control: active.follow(control),
            )
            short_id = ledger.short_id(done.run)
        finally:
            ledger.close()
    if args.json:
        print_json(_as_dict(done))
    else:
        _print(done, short_id)
    return done.exit_code


def _as_dict(done: Reconciled) -> dict[str, object]:
    return {
        "run_id": done.run.run_id,
        "job": done.run.job,
        "exit_code": done.exit_code,
        "asked": len(done.findings),
        "settled": sum(finding.settles for finding in done.findings),
        "left": done.left,
        "reason": done.reason or done.obstacle,
        "open": [_finding_as_dict(finding) for finding in done.findings if not finding.settles],
        "agreements": [_finding_as_dict(finding) for finding in done.agreements],
        "report": str(done.report.folder) if done.report else None,
    }


def _finding_as_dict(finding: ReconciledRow) -> dict[str, object]:
    return {"file": finding.due.file, "row": finding.due.source_row, "text": finding.text}


def _print(done: Reconciled, short_id: str) -> None:
    print_line(
        t(
            "run {run_id} of job {job}: exit code {exit_code}",
            run_id=short_id,
            job=done.run.job,
            exit_code=done.exit_code,
        )
    )
    for reason in filter(
        None, (done.reason, done.obstacle and t("nothing was settled: {obstacle}", obstacle=done.obstacle))
    ):
        print_line(f"  {reason}")
    if done.findings:
        settled = sum(finding.settles for finding in done.findings)
        print_line(
            t(
                "  deliveries in doubt: {findings:,}; found at the platform, now succeeded: {settled:,}",
                findings=len(done.findings),
                settled=settled,
            )
        )
    elif not done.obstacle and not done.reason:
        print_line(t("  no row is unknown: there is nothing to ask for"))
    for line in first_of([_shown(finding) for finding in done.findings if not finding.settles]):
        print_line(f"    {line}")
    for line in first_of([_shown(finding) for finding in done.agreements]):
        print_line(f"    {line}")
    if done.left:
        rows = counted(done.left, "1 row of the run is left", "{count:,} rows of the run are left")
        print_line(t("  {rows}; `backfill show {run_id}` says what to do", rows=rows, run_id=short_id))
    if done.report:
        print_line(t("  report: {report}", report=done.report.folder))


def _shown(finding: ReconciledRow) -> str:
    due = finding.due
    row = shown_row(due.file, due.source_row, due.file_line)
    return t(
        "{row}, key {request_key}: {finding}", row=row, request_key=masked(due.due.request_key), finding=finding.text
    )
