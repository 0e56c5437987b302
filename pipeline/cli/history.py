"""`backfill runs`, `show` and `report`: past runs. No key is read, and nothing is sent."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.assemble.ledgers import config_path, open_the_ledger
from pipeline.cli.logs import log, set_up_logs
from pipeline.cli.summary import print_json, print_line
from pipeline.clock import SystemClock
from pipeline.errors import SettingsError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.settings import Config, load
from pipeline.write.brakes.run_control import Ending

_FORMATS = ("csv", "parquet", "jsonl", "html")
_RUNNING = "running"


@contextmanager
def archive(args: argparse.Namespace, *, only_reads: bool = True) -> Iterator[tuple[Config, Ledger | None]]:
    """Open config and ledger without reading keys; the ledger is None before the first run."""
    clock = SystemClock()
    set_up_logs(args.log_format)
    config = load(config_path(args.config, os.environ), environ=os.environ, at=clock.now(), with_keys=False)
    if config.ledger_server is None and not config.ledger_path.exists():
        yield config, None
        return
    ledger = open_the_ledger(config, clock, only_reads=only_reads)
    try:
        yield config, ledger
    finally:
        ledger.close()


@contextmanager
def _one_run(args: argparse.Namespace) -> Iterator[tuple[Config, Ledger, RunRecord]]:
    with archive(args) as (config, ledger):
        if ledger is None:
            raise SettingsError([f"RUN {args.run!r}: ledger {config.ledger} has no runs yet"])
        yield config, ledger, ledger.find(args.run)


def runs(args: argparse.Namespace) -> int:
    """List past runs, newest first."""
    with archive(args) as (_, ledger):
        found = ledger.recent(args.limit) if ledger is not None else []
        messages = [{"run_id": r.run_id, "job": r.job, "api": r.api, "account": r.account, "state": _state(ledger, r),
                 "exit_code": r.exit_code, "started_at": r.started_at, "finished_at": r.finished_at,
                 "elapsed_s": round(r.elapsed_s, 3), "parent": r.parent} for r in found if ledger]  # fmt: skip
    if args.json:
        print_json(messages)
    elif not messages:
        print_line("no runs yet")
    else:
        print_line(f"{'run':<26}  {'job':<16} {'state':<12} {'exit':>4}  {'started (UTC)':<20} {'seconds':>9}")
        for run, kind in zip(messages, ("rerun" if run.is_rerun else "fix" for run in found), strict=True):
            exit_code = "" if run["exit_code"] is None else run["exit_code"]
            started = str(run["started_at"])[:19].replace("T", " ")
            line = f"{run['run_id']:<26}  {run['job']:<16} {run['state']:<12} {exit_code:>4}  {started:<20}"
            print_line(f"{line} {run['elapsed_s']:>9.1f}" + (f"  {kind} of {run['parent']}" if run["parent"] else ""))
    return 0


def _state(ledger: Ledger | None, run: RunRecord) -> str:
    """Return the state of a run: as recorded, or running, or killed."""
    if run.state is not None:
        return run.state
    return _RUNNING if ledger is not None and ledger.is_live(run) else "killed"


def show(args: argparse.Namespace) -> int:
    """Show counts and faults of a run."""
    # Imported here, because `runs` does not need it.
    from pipeline.assemble.reporting import report_folder, summary_of  # noqa: PLC0415
    from pipeline.assemble.totals import row_reader  # noqa: PLC0415
    from pipeline.cli.summary import print_running, print_summary  # noqa: PLC0415
    from pipeline.report import next_steps  # noqa: PLC0415

    with _one_run(args) as (config, ledger, run):
        state = _state(ledger, run)
        summary, tally = summary_of(ledger, run, report_folder(config, run), read_row=row_reader(config))
        followers = _followers(ledger, run)
    if state == _RUNNING:
        # Rows that wait or are in flight are no faults.
        summary = replace(summary, faults=summary.faults.without(Ending.INTERRUPTED))
    if args.json:
        # An active run has no exit code yet, as in `runs`.
        running = {"state": state, "exit_code": None} if state == _RUNNING else {}
        print_json(summary.as_dict() | running | {what: ids for what, ids in followers.items() if ids})
        return 0
    if state == _RUNNING:
        print_running(summary)
    else:
        print_summary(summary, next_steps(summary, tally), state)
    for what, ids in followers.items():
        if ids:
            print_line(f"  {what}: {', '.join(ids)}, {summary.left:,} rows left")
    return 0


def _followers(ledger: Ledger, run: RunRecord) -> dict[str, list[str]]:
    """Return the ids of a run's reruns and fixes."""
    followers = ledger.followers(run)
    return {
        "reruns": [each.run_id for each in followers if each.is_rerun],
        "fixes": [each.run_id for each in followers if not each.is_rerun],
    }


def report(args: argparse.Namespace) -> int:
    """Write a run's report again: the whole folder, or one file if --output is a file."""
    from pipeline.assemble.protected_files import ProtectedFiles  # noqa: PLC0415
    from pipeline.assemble.reporting import RunReport, report_folder  # noqa: PLC0415
    from pipeline.assemble.totals import row_reader  # noqa: PLC0415
    from pipeline.language import language_of  # noqa: PLC0415
    from pipeline.report import OutcomeFormat, report_names  # noqa: PLC0415

    with _one_run(args) as (config, ledger, run):
        is_folder = args.output is None or args.output.is_dir() or not args.output.suffix
        named = args.format or ("csv" if is_folder else _format_of(args.output))
        chosen = None if named == "html" else OutcomeFormat(named)
        protected = ProtectedFiles(config, ledger)
        report_in = partial(
            RunReport,
            ledger,
            outcome_format=chosen,
            read_row=row_reader(config),
            job=config.jobs.get(run.job),
            language=language_of(os.environ),
        )
        if is_folder:
            folder = args.output or report_folder(config, run)
            if args.output is not None:
                protected.check((folder / name for name in report_names(chosen)), f"--output {args.output}")
            files = report_in(folder).write(run)
            for note in files.notes:
                log.warning(note)
            print_line(str(files.folder))
            return 0
        protected.check([args.output], f"--output {args.output}", what="file")
        with folder_beside(args.output) as folder:
            files = report_in(folder).write(run)
            (files.outcome or folder / "report.html").replace(args.output)
        print_line(str(args.output))
    return 0


def _format_of(output: Path) -> str:
    """Return the format of a file name's suffix."""
    named = output.suffix.removeprefix(".").lower()
    if named not in _FORMATS:
        raise SettingsError([f"--output {output}: unknown suffix; use .{', .'.join(_FORMATS)}, or add --format"])
    return named


@contextmanager
def folder_beside(output: Path) -> Iterator[Path]:
    """Make a folder beside a file that is to be written, and remove it at the end."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        # On the same file system, so that the file can be renamed into place.
        with TemporaryDirectory(prefix=".backfill-", dir=output.parent) as folder:
            yield Path(folder)
    except OSError as exc:
        raise SettingsError([f"--output {output}: {exc.strerror or exc}; choose a writable folder"]) from exc
