"""`backfill ledger copy`: move a ledger between SQLite and PostgreSQL. No config and no key is read."""

import argparse
from pathlib import Path

from pipeline.cli.terminal.logs import log, set_up_logs
from pipeline.cli.terminal.summary import print_json, print_line
from pipeline.clock import SystemClock
from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.ledger.copying import copy_ledger
from pipeline.ledger.store.lease import this_process
from pipeline.ledger.store.port import Server
from pipeline.settings.ledger import place_of

# Lines after which progress is logged.
_LINES = 200_000


def ledger(args: argparse.Namespace) -> int:
    """Copy the ledger FROM into the empty ledger TO."""
    set_up_logs(args)
    source, target = _place("FROM", args.source), _place("TO", args.target)
    counts = copy_ledger(source, target, SystemClock(), this_process(), tick=_log_progress)
    if args.json:
        print_json({"from": str(source), "to": str(target), "lines": counts})
        return 0
    runs, deliveries = f"{counts['runs']:,}", f"{counts['deliveries']:,}"
    print_line(
        t("copied {runs} runs and {deliveries} deliveries to {target}", runs=runs, deliveries=deliveries, target=target)
    )
    print_line(t("  next: write the new url into [ledger], and keep the old ledger only as a backup"))
    return 0


def _place(name: str, url: str) -> Path | Server:
    faults: list[str] = []
    place = place_of(url, Path.cwd(), faults.append)
    if faults:
        raise SettingsError([f"{name}: {fault}" for fault in faults])
    return place


def _log_progress(table: str, lines: int) -> None:
    if lines % _LINES == 0:
        log.info(t("copied {lines} lines of {table}", lines=f"{lines:,}", table=table))
