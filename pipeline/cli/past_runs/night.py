"""`backfill report --night`: one report over all runs of a day."""

import argparse
import os
from pathlib import Path
from urllib.parse import quote

from pipeline.assemble.parts.ledgers import reports_folder
from pipeline.assemble.reports.protected_files import ProtectedFiles
from pipeline.assemble.reports.reporting import report_folder, summary_of
from pipeline.assemble.reports.totals import row_reader
from pipeline.cli.terminal.summary import print_line
from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.report import NIGHT_NAMES, Night, NightRun, write_night
from pipeline.settings import Config


def report_night(args: argparse.Namespace, config: Config, ledger: Ledger) -> int:
    """Write the report of a night, and print its folder."""
    if args.run is not None or args.format is not None or args.processes is not None:
        raise SettingsError([t("--night covers all runs of a day; leave RUN, --format and --processes out")])
    found = ledger.on_day(args.night)
    if not found:
        raise SettingsError([t("no run is of {date}; `backfill runs` shows the date of each", date=args.night)])
    folder = (args.output or reports_folder(config) / f"night-{args.night}").absolute()
    if args.output is not None:
        ProtectedFiles(config, ledger).check((folder / name for name in NIGHT_NAMES), f"--output {args.output}")
    write_night(folder, Night(args.night, [_run_of(config, ledger, run, folder) for run in found]))
    print_line(str(args.output or folder))
    return 0


def _run_of(config: Config, ledger: Ledger, run: RunRecord, folder: Path) -> NightRun:
    own = report_folder(config, run)
    summary, _ = summary_of(ledger, run, own, read_row=row_reader(config))
    page = own / "report.html"
    link = quote(os.path.relpath(page, folder)) if page.exists() else None
    return NightRun(summary, run.is_rerun, run.state is None and ledger.is_live(run), link)
