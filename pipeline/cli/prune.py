"""`backfill prune`: delete old runs from the ledger. No key is read, and nothing is sent."""

import argparse
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pipeline.assemble.saved_tables import delete_tables
from pipeline.cli.history import archive
from pipeline.cli.summary import first_of, print_json, print_line
from pipeline.clock import SystemClock
from pipeline.ledger.history.prune import Kept, Pruned
from pipeline.ledger.records import RunRecord
from pipeline.ledger.store.space import Space
from pipeline.redact import counted

_WHY = {
    Kept.RUNNING: "it is running",
    Kept.UNFINISHED: "it is not finished; continue it with `backfill resume {run}`",
    Kept.ROWS_LEFT: "it has rows left; send them with `backfill rerun {run}`",
    Kept.LAST_OF_JOB: "it is the last run of job {job}",
    Kept.FAMILY: "it belongs to a run that is kept (rerun or fix)",
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
    runs, days = counted(len(pruned.runs), "run"), counted(args.keep, "day")
    print_line(f"deleted {runs} older than {days}; their reports are kept")
    if pruned.kept:
        print_line(f"  kept {counted(len(pruned.kept), 'older run')}:")
    for line in first_of(kept):
        print_line(f"    {line}")
    if args.deliveries_older_than is None:
        print_line("  deliveries are kept: no delivered row is sent again")
    else:
        older = counted(args.deliveries_older_than, "day")
        print_line(f"  deleted {pruned.deliveries:,} deliveries older than {older}")
        print_line("  if an export has their rows again, they are sent again with the same keys")
    print_line(f"  the ledger has {_size(space.after)}; {_size(space.freed)} were freed")
    if space.free:
        print_line(
            f"  {_size(space.free)} of the file are free for later runs{f': {space.reason}' * bool(space.reason)}"
        )


def _kept(run: RunRecord, reason: Kept, short_id: str) -> str:
    return f"{short_id}: {_WHY[reason].format(run=short_id, job=run.job)}"


def _size(count: int) -> str:
    return f"{count / _MEGABYTE:,.1f} MB"
