"""`backfill prune`: delete old runs from the ledger. No key is read, and nothing is sent."""

import argparse
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pipeline.assemble.saved_tables import delete_tables
from pipeline.cli.past_runs.history import archive
from pipeline.cli.terminal.summary import first_of, print_json, print_line
from pipeline.clock import SystemClock
from pipeline.language import counted, later, t
from pipeline.ledger.history.prune import Kept, Pruned
from pipeline.ledger.records import RunRecord
from pipeline.ledger.store.space import Space

_WHY = {
    Kept.RUNNING: later("it is running"),
    Kept.UNFINISHED: later("it is not finished; continue it with `backfill resume {run}`"),
    Kept.ROWS_LEFT: later("it has rows left; send them with `backfill rerun {run}`"),
    Kept.LAST_OF_JOB: later("it is the last run of job {job}"),
    Kept.FAMILY: later("it belongs to a run that is kept (rerun or fix)"),
}
_MEGABYTE = 1_000_000


def prune(args: argparse.Namespace) -> int:
    """Delete runs older than --keep days, and deliveries older than --deliveries-older-than, if given."""
    now = SystemClock().now()
    runs_before, older = now - timedelta(days=args.keep), args.deliveries_older_than
    with archive(args, only_reads=False) as (config, ledger):
        if ledger is None:
            pruned, space = Pruned(), Space(0, 0, 0)
        else:
            pruned = ledger.prune(
                runs_before=runs_before,
                deliveries_before=None if older is None else now - timedelta(days=older),
            )
            delete_tables(config, ledger, runs_before)
            space = ledger.give_back_space()
            kept = [_kept(run, reason, ledger.short_id(run)) for run, reason in pruned.kept]
    if args.json:
        print_json(_as_dict(args, pruned, space))
    else:
        _print(args, pruned, space, kept)
    return 0


def _as_dict(args: argparse.Namespace, pruned: Pruned, space: Space) -> dict[str, Any]:
    return {
        "keep_days": args.keep,
        "runs": [run.run_id for run in pruned.runs],
        "kept": [{"run_id": run.run_id, "job": run.job, "reason": reason} for run, reason in pruned.kept],
        "deliveries_older_than_days": args.deliveries_older_than,
        "deliveries": pruned.deliveries,
        "ledger_bytes": space.after,
        "freed_bytes": space.freed,
        "free_bytes": space.free,
    }


def _print(args: argparse.Namespace, pruned: Pruned, space: Space, kept: Sequence[str]) -> None:
    runs, days = counted(len(pruned.runs), "1 run", "{count:,} runs"), counted(args.keep, "1 day", "{count:,} days")
    print_line(t("deleted {runs} older than {days}; their reports are kept", runs=runs, days=days))
    if pruned.kept:
        print_line(t("  kept {runs}:", runs=counted(len(pruned.kept), "1 older run", "{count:,} older runs")))
    for line in first_of(kept):
        print_line(f"    {line}")
    if args.deliveries_older_than is None:
        print_line(t("  deliveries are kept: no delivered row is sent again"))
    else:
        older = counted(args.deliveries_older_than, "1 day", "{count:,} days")
        print_line(
            t("  deleted {deliveries:,} deliveries older than {older}", deliveries=pruned.deliveries, older=older)
        )
        print_line(t("  if an export has their rows again, they are sent again with the same keys"))
    print_line(t("  the ledger has {after}; {freed} were freed", after=_size(space.after), freed=_size(space.freed)))
    if space.free:
        free = t("  {free} of the file are free for later runs", free=_size(space.free))
        print_line(f"{free}: {space.reason}" if space.reason else free)


def _kept(run: RunRecord, reason: Kept, short_id: str) -> str:
    return f"{short_id}: {t(_WHY[reason], run=short_id, job=run.job)}"


def _size(count: int) -> str:
    return f"{count / _MEGABYTE:,.1f} MB"
