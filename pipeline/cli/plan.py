"""`backfill plan`."""

import argparse
import os
import shlex
from dataclasses import asdict
from datetime import datetime

import orjson

from pipeline.assemble.parts.ledgers import config_path
from pipeline.assemble.parts.new_run import inputs_of, yesterday
from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.parts.run_options import RunOptions
from pipeline.assemble.parts.system import System
from pipeline.assemble.plan import plan as make_plan
from pipeline.assemble.saved_plans import check_no_credentials, save_plan, saved_plan
from pipeline.cli.deadline import deadline
from pipeline.cli.terminal.logs import log, set_up_logs
from pipeline.cli.terminal.summary import first_of, pad, print_faults, print_json, print_line
from pipeline.clock import SystemClock
from pipeline.language import t
from pipeline.ledger.records import InputRecord
from pipeline.ledger.staging.changes import ExportDifferences
from pipeline.limits.window import most_per_second
from pipeline.redact import shown_row
from pipeline.run.input_columns import shown_columns
from pipeline.run.plan import Plan, SendingTime, night_of
from pipeline.settings import secrets, warnings
from pipeline.write.delivery import timestamp


def plan(args: argparse.Namespace) -> int:
    """Print the plan of a job; return 3 if rows are invalid, 4 if the run would stop before its first request."""
    clock = SystemClock()
    set_up_logs(args)
    if args.save:
        check_no_credentials(args.inputs)
    config = open_config(config_path(args.config, os.environ), os.environ, clock, args.job)
    set_up_logs(args, secrets(config))
    for warning in warnings(config, at=clock.now()):
        log.warning(warning)
    job, system = config.jobs[args.job], System.real(clock)
    day = args.date or yesterday(job, clock.now())
    options = RunOptions(day=day, limit=args.limit, max_invalid=args.max_invalid, processes=args.processes)
    made = make_plan(
        config, args.job, args.inputs, options, system,
        show_ids=args.show_ids, compares=args.diff, saves=args.save is not None,
    )  # fmt: skip
    if args.save:
        inputs = inputs_of(config, job, args.inputs, options, system)
        save_plan(args.save, config, made, saved_plan(config, args.job, made, inputs, options))
    now = clock.now()
    until = args.until and deadline(args.until, job.timezone, now)
    night = night_of(made.to_send, most_per_second(job.limit_per_s), now.astimezone(job.timezone), until)
    if args.json:
        print_json(_as_dict(args.job, made, night) | ({"diff": _diff_as_dict(made)} if args.diff else {}))
    else:
        _print(args.job, made, night, show_ids=args.show_ids)
        if args.diff:
            _print_diff(args.job, made.differences)
    if args.save and not args.json:
        print_line(t("saved; send it with `backfill run --plan {path}`", path=shlex.quote(str(args.save))))
    return made.exit_code


def _as_dict(job: str, made: Plan, night: SendingTime) -> dict[str, object]:
    problems = [
        {"source_file": p.source_file, "source_row": p.source_row, "code": p.code, "message": p.message}
        for p in made.problems
    ]
    inputs = [
        {"file": each.name, "rows": each.rows, "encoding": each.encoding, "delimiter": each.delimiter}
        for each in made.inputs
    ]
    return {
        "job": job, "exit_code": made.exit_code, "reason": made.reason, "rows": made.rows, "counts": made.counts,
        "codes": made.codes, "faults": made.faults.as_dicts(), "requests": made.to_send, "lanes": made.lanes,
        "seconds": round(made.seconds, 1), "ends_at": timestamp(night.ends_at),
        "until": night.until and timestamp(night.until), "requests_left": night.left,
        "columns": made.columns and asdict(made.columns), "inputs": inputs, "ignored": made.ignored,
        "problems": problems, "warnings": made.warnings, "samples": [orjson.loads(sample) for sample in made.samples],
    }  # fmt: skip


def _print(job: str, made: Plan, night: SendingTime, *, show_ids: bool) -> None:
    print_line(t("plan of job {job}: nothing was sent", job=job))
    if made.reason:
        print_line(t("  the run would stop before its first request: {reason}", reason=made.reason))
    _print_inputs(made)
    print_line(f"  {pad(t('rows'), 10)} {made.rows:>9,}")
    for what, count in made.counts.items():
        label = t("to send") if what == "to_send" else what
        print_line(f"  {pad(label, 10)} {count:>9,}")
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


def _diff_as_dict(made: Plan) -> dict[str, object] | None:
    """Return the differences from the last completed run; None if there is none."""
    found = made.differences
    if found is None:
        return None
    sides = {"new": found.new, "changed": found.changed, "gone": found.gone}
    return {
        "run_id": found.run_id,
        "date": found.date,
        **{name: side.rows for name, side in sides.items()},
        "examples": {name: [asdict(row) for row in side.examples] for name, side in sides.items()},
    }


def _print_diff(job: str, found: ExportDifferences | None) -> None:
    if found is None:
        print_line(t("no run of job {job} has completed yet: every row is new", job=job))
        return
    print_line(t("since run {run} of {date}, by request key:", run=found.short_id, date=found.date))
    for name, side in ((t("new"), found.new), (t("changed"), found.changed), (t("gone"), found.gone)):
        print_line(f"  {pad(name, 8)} {side.rows:>9,}")
        for row in side.examples:
            print_line(f"    {shown_row(row.file, row.row)}: {row.key}")


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
    encoding = f", {source.encoding}" if source.encoding else ""
    delimiter = t(", delimiter {delimiter!r}", delimiter=source.delimiter) if source.delimiter else ""
    return t("{source}: {rows:,} rows", source=source.name, rows=source.rows) + encoding + delimiter


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
