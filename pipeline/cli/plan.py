"""`backfill plan`."""

import argparse
import os
import random
import sys

import orjson

from pipeline.assemble.ledgers import config_path
from pipeline.assemble.opening import open_config
from pipeline.assemble.plan import plan as make_plan
from pipeline.assemble.run_options import RunOptions
from pipeline.assemble.working_folder import working_folder
from pipeline.cli.logs import log, set_up_logs
from pipeline.cli.summary import first_of, print_faults, say
from pipeline.clock import SystemClock
from pipeline.ledger.records import InputRecord
from pipeline.run.plan import Plan
from pipeline.settings import secrets, warnings


def plan(args: argparse.Namespace) -> int:
    """Tell what a run would do; exit 3 where rows could not be sent as they are, 4 where the run would send none."""
    clock = SystemClock()
    set_up_logs(args.log_format)
    config = open_config(config_path(args.config, os.environ), os.environ, clock, args.job)
    set_up_logs(args.log_format, secrets(config))
    for warning in warnings(config, at=clock.now()):
        log.warning(warning)
    options = RunOptions(day=args.date, limit=args.limit, max_invalid=args.max_invalid)
    made = make_plan(
        config, args.job, args.inputs, options,
        clock=clock, chance=random.SystemRandom(), folder=working_folder(), show_ids=args.show_ids,
    )  # fmt: skip
    if args.json:
        sys.stdout.write(orjson.dumps(_as_dict(args.job, made), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _tell(args.job, made, show_ids=args.show_ids)
    return made.exit_code


def _as_dict(job: str, made: Plan) -> dict[str, object]:
    problems = [
        {"source_file": p.source_file, "source_row": p.source_row, "code": p.code, "message": p.message}
        for p in made.problems
    ]
    inputs = [{"file": source.name, "rows": source.rows, "encoding": source.encoding} for source in made.inputs]
    return {
        "job": job, "exit_code": made.exit_code, "reason": made.reason, "rows": made.rows, "counts": made.counts,
        "codes": made.codes, "faults": made.faults.as_dicts(), "requests": made.to_send, "lanes": made.lanes,
        "seconds": round(made.seconds, 1), "inputs": inputs, "ignored": made.ignored, "problems": problems,
        "samples": [orjson.loads(sample) for sample in made.samples],
    }  # fmt: skip


def _tell(job: str, made: Plan, *, show_ids: bool) -> None:
    say(f"plan of job {job}: nothing was sent")
    if made.reason:
        say(f"  the run would stop before its first request: {made.reason}")
    for line in first_of([_told_input(source) for source in made.inputs]):
        say(f"  {line}")
    for line in first_of(made.ignored):
        say(f"  not read: {line}")
    say(f"  {'rows':<10} {made.rows:>9,}")
    for what, count in made.counts.items():
        say(f"  {what.replace('_', ' '):<10} {count:>9,}")
    say(f"  {made.to_send:,} requests in {made.lanes:,} lanes, {_duration(made.seconds)} at the quota")
    for code, count in made.codes.items():
        say(f"  {count:>9,} {code}")
    print_faults(made.faults)
    if made.samples:
        say("sample payloads:" if show_ids else "sample payloads (users' ids left out; --show-ids shows them):")
    for sample in made.samples:
        say(f"  {sample}")


def _told_input(source: InputRecord) -> str:
    return f"{source.name}: {source.rows:,} rows" + (f", {source.encoding}" if source.encoding else "")


def _duration(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {left:02d} s"
