"""`backfill prune`: deleting old runs from the ledger. No key is read, and nothing is sent."""

import argparse
from datetime import timedelta
from typing import Any

from pipeline.cli.history import archive
from pipeline.cli.summary import first_of, print_json, say
from pipeline.clock import SystemClock
from pipeline.ledger.history.prune import Kept, Pruned
from pipeline.ledger.records import RunRecord
from pipeline.ledger.store.space import Space

_WHY = {
    Kept.RUNNING: "it is running",
    Kept.UNFINISHED: "it is not finished; `backfill resume {run}` goes on with it",
    Kept.ROWS_LEFT: "it has rows left; `backfill rerun {run}` sends them",
    Kept.LAST_OF_JOB: "it is the last run of job {job}",
    Kept.FAMILY: "a run that it belongs to (rerun or fix) is kept",
}
_MEGABYTE = 1_000_000


def prune(args: argparse.Namespace) -> int:
    """Delete runs older than --keep days, and deliveries where --deliveries-older-than asks for it."""
    now = SystemClock().now()
    older = args.deliveries_older_than
    with archive(args, only_reads=False) as (_, ledger):
        if ledger is None:
            pruned, space = Pruned(), Space(0, 0, 0)
        else:
            pruned = ledger.prune(
                runs_before=now - timedelta(days=args.keep),
                deliveries_before=None if older is None else now - timedelta(days=older),
            )
            space = ledger.give_back_space()
    if args.json:
        print_json(_as_dict(args, pruned, space))
    else:
        _tell(args, pruned, space)
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


def _tell(args: argparse.Namespace, pruned: Pruned, space: Space) -> None:
    say(f"deleted {_count(len(pruned.runs), 'run')} older than {_count(args.keep, 'day')}; their reports are kept")
    if pruned.kept:
        say(f"  kept {_count(len(pruned.kept), 'older run')}:")
    for line in first_of([_kept(run, reason) for run, reason in pruned.kept]):
        say(f"    {line}")
    if args.deliveries_older_than is None:
        say("  deliveries are kept: no row that was delivered is sent again")
    else:
        older = _count(args.deliveries_older_than, "day")
        say(f"  deleted {pruned.deliveries:,} deliveries older than {older}")
        say("  a row of theirs that comes again in an export is sent again, under the same key")
    say(f"  the ledger takes {_size(space.after)}; {_size(space.freed)} were given back to the disk")
    if space.free:
        say(f"  {_size(space.free)} in the file are free for the next runs{f': {space.reason}' * bool(space.reason)}")


def _kept(run: RunRecord, reason: Kept) -> str:
    return f"{run.run_id}: {_WHY[reason].format(run=run.run_id, job=run.job)}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _size(count: int) -> str:
    return f"{count / _MEGABYTE:,.1f} MB"
