"""`backfill plan`."""

import argparse
import os
from dataclasses import asdict
from datetime import datetime

import orjson

from pipeline.assemble.ledgers import config_path
from pipeline.assemble.opening import open_config
from pipeline.assemble.plan import plan as make_plan
from pipeline.assemble.run_options import RunOptions
from pipeline.assemble.system import System
from pipeline.cli.deadline import deadline
from pipeline.cli.logs import log, set_up_logs
from pipeline.cli.summary import first_of, print_faults, print_json, print_line
from pipeline.clock import SystemClock
from pipeline.language import t
from pipeline.ledger.records import InputRecord
from pipeline.limits.window import most_per_second
from pipeline.run.input_columns import shown_columns
from pipeline.run.plan import Night, Plan, night_of
from pipeline.settings import secrets, warnings
from pipeline.write.delivery import timestamp


def plan(args: argparse.Namespace) -> int:
    """Print the plan of a job; return 3 if rows are invalid, 4 if the run would stop before its first request."""
    clock = SystemClock()
    set_up_logs(args.log_format)
    config = open_config(config_path(args.config, os.environ), os.environ, clock, args.job)
    set_up_logs(args.log_format, secrets(config))
    for warning in warnings(config, at=clock.now()):
        log.warning(warning)
    options = RunOptions(day=args.date, limit=args.limit, max_invalid=args.max_invalid)
    made = make_plan(config, args.job, args.inputs, options, System.real(clock), show_ids=args.show_ids)
    job, now = config.jobs[args.job], clock.now()
    until = args.until and deadline(args.until, job.timezone, now)
    night = night_of(made.to_send, most_per_second(job.limit_per_s), now.astimezone(job.timezone), until)
    if args.json:
        print_json(_as_dict(args.job, made, night))
    else:
        _print(args.job, made, night, show_ids=args.show_ids)
    return made.exit_code


def _as_dict(job: str, made: Plan, night: Night) -> dict[str, object]:
    problems = [
        {"source_file": p.source_file, "source_row": p.source_row, "code": p.code, "message": p.message}
        for p in made.problems
    ]
    inputs = [{"file": source.name, "rows": source.rows, "encoding": source.encoding} for source in made.inputs]
    return {
        "job": job, "exit_code": made.exit_code, "reason": made.reason, "rows": made.rows, "counts": made.counts,
        "codes": made.codes, "faults": made.faults.as_dicts(), "requests": made.to_send, "lanes": made.lanes,
        "seconds": round(made.seconds, 1), "ends_at": timestamp(night.ends_at),
        "until": night.until and timestamp(night.until), "requests_left": night.left,
        "columns": made.columns and asdict(made.columns), "inputs": inputs, "ignored": made.ignored,
        "problems": problems, "warnings": made.warnings, "samples": [orjson.loads(sample) for sample in made.samples],
    }  # fmt: skip


def _print(job: str, made: Plan, night: Night, *, show_ids: bool) -> None:
    print_line(t("plan of job {job}: nothing was sent", job=job))
    if made.reason:
        print_line(t("  the run would stop before its first request: {reason}", reason=made.reason))
    _print_inputs(made)
    print_line(f"  {'rows':<10} {made.rows:>9,}")
    for what, count in made.counts.items():
        print_line(f"  {what.replace('_', ' '):<10} {count:>9,}")
    print_line(
        t(
            "  {to_send:,} requests in {lanes:,} lanes, {seconds} at the quota: until {ends_at} if sent now",
            to_send=made.to_send,
            lanes=made.lanes,
            seconds=_duration(made.seconds),
            ends_at=_shown(night.ends_at),
        )
    )
    if night.until:
        print_line(t("  {left:,} requests are left at {until}", left=night.left, until=_shown(night.until)))
    for code, count in made.codes.items():
        print_line(f"  {count:>9,} {code}")
    print_faults(made.faults)
    for warning in made.warnings:
        print_line(t("  warning: {warning}", warning=warning))
    if made.samples:
        print_line(
            t("sample payloads:") if show_ids else t("sample payloads (without users' ids; --show-ids shows them):")
        )
    for sample in made.samples:
        print_line(f"  {sample}")


def _print_inputs(made: Plan) -> None:
    for line in first_of([_input(source) for source in made.inputs]):
        print_line(f"  {line}")
    for line in first_of(made.ignored):
        print_line(t("  ignored: {line}", line=line))
    if made.columns:
        print_line(t("  columns of {file}:", file=made.columns.file))
        for line in shown_columns(made.columns):
            print_line(f"    {line}")


def _input(source: InputRecord) -> str:
    return t("{source}: {rows:,} rows", source=source.name, rows=source.rows) + (
        f", {source.encoding}" if source.encoding else ""
    )


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M %Z}"


def _duration(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        t("{hours} h {minutes:02d} min", hours=hours, minutes=minutes)
        if hours
        else t("{minutes} min {left:02d} s", minutes=minutes, left=left)
    )
