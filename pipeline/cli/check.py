"""`backfill check`."""

import argparse
import os
from collections import Counter
from dataclasses import asdict

from pipeline.assemble.parts.ledgers import config_path
from pipeline.assemble.parts.system import System
from pipeline.check import Check, Level, exit_code
from pipeline.check import check as check_jobs
from pipeline.cli.terminal.logs import set_up_logs
from pipeline.cli.terminal.summary import print_json, print_line
from pipeline.clock import SystemClock
from pipeline.language import counted, t
from pipeline.run.input_columns import shown_columns


def check(args: argparse.Namespace) -> int:
    """Print all findings; return 2 if something must be fixed, 3 if there are warnings, else 0."""
    set_up_logs(args)
    found = check_jobs(
        config_path(args.config, os.environ), os.environ, System.real(SystemClock()),
        only_job=args.job, day=args.date, show_ids=args.show_ids, online=args.online,
    )  # fmt: skip
    code = exit_code(found.findings)
    if args.json:
        print_json({"exit_code": code, **_as_dict(found)})
    else:
        _print(found)
    return code


def _as_dict(found: Check) -> dict[str, object]:
    return {
        "findings": [asdict(finding) for finding in found.findings],
        "columns": {job: asdict(columns) for job, columns in found.columns.items()},
    }


def _print(found: Check) -> None:
    for job, columns in found.columns.items():
        print_line(t("columns of job {job}, in {file}:", job=job, file=columns.file))
        for line in shown_columns(columns):
            print_line(f"  {line}")
    for finding in found.findings:
        print_line(f"{finding.level:<7} {finding.what}: {finding.message}")
    levels = Counter(finding.level for finding in found.findings)
    print_line(
        t(
            "{to_fix} to fix, {warnings}, {ok} ok: nothing was sent",
            to_fix=levels[Level.ERROR],
            warnings=counted(levels[Level.WARNING], "1 warning", "{count:,} warnings"),
            ok=levels[Level.OK],
        )
    )
