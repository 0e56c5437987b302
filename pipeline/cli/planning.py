"""`backfill plan`."""

import argparse
import os
import random
import sys

import orjson

from pipeline.assemble.ledgers import config_path
from pipeline.assemble.opening import open_config
from pipeline.assemble.planning import plan as make_plan
from pipeline.assemble.wishes import Wishes
from pipeline.assemble.working_folder import working_folder
from pipeline.cli.talk import set_up_logs
from pipeline.cli.telling import say
from pipeline.clock import SystemClock
from pipeline.run.plan import Plan


def plan(args: argparse.Namespace) -> int:
    """Tell what a run would do; exit 3 where rows could not be sent as they are."""
    clock = SystemClock()
    set_up_logs(args.log_format)
    config = open_config(config_path(args.config, os.environ), os.environ, clock, args.job)
    wishes = Wishes(day=args.date, limit=args.limit)
    made = make_plan(
        config, args.job, args.inputs, wishes,
        clock=clock, chance=random.SystemRandom(), folder=working_folder(), show_ids=args.show_ids,
    )  # fmt: skip
    if args.json:
        sys.stdout.write(orjson.dumps(_as_dict(args.job, made), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _tell(args.job, made, show_ids=args.show_ids)
    return 3 if made.counts["invalid"] else 0


def _as_dict(job: str, made: Plan) -> dict[str, object]:
    problems = [
        {"source_file": p.source_file, "source_row": p.source_row, "code": p.code, "message": p.message}
        for p in made.problems
    ]
    return {
        "job": job, "rows": made.rows, "counts": made.counts, "codes": made.codes, "requests": made.to_send,
        "lanes": made.lanes, "seconds": round(made.seconds, 1), "problems": problems,
        "samples": [orjson.loads(sample) for sample in made.samples],
    }  # fmt: skip


def _tell(job: str, made: Plan, *, show_ids: bool) -> None:
    say(f"plan of job {job}: nothing was sent")
    say(f"  {'rows':<10} {made.rows:>9,}")
    for what, count in made.counts.items():
        say(f"  {what:<10} {count:>9,}")
    say(f"  {made.to_send:,} requests in {made.lanes:,} lanes, {_duration(made.seconds)} at the quota")
    for code, count in made.codes.items():
        say(f"  {count:>9,} {code}")
    if made.problems:
        say("first problems:")
    for problem in made.problems:
        say(f"  {problem.source_file}:{problem.source_row} {problem.code}: {problem.message}")
    if made.samples:
        say("sample payloads:" if show_ids else "sample payloads (users' ids left out; --show-ids shows them):")
    for sample in made.samples:
        say(f"  {sample}")


def _duration(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {left:02d} s"
