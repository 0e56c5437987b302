"""`backfill runs`, `show` and `report`: looking at what was done. No key is read, and nothing is sent."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from pipeline.assemble.ledgers import config_path, open_the_ledger
from pipeline.cli.talk import set_up_logs
from pipeline.cli.telling import say
from pipeline.clock import SystemClock
from pipeline.errors import SettingsError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.settings import Config, load
from pipeline.write.course import Ending

_FREQUENT = 10
_FORMATS = ("csv", "parquet", "jsonl", "html")
_RUNNING = "running"


@contextmanager
def _archive(args: argparse.Namespace) -> Iterator[tuple[Config, Ledger | None]]:
    """Open config and ledger without reading a key; no ledger where nothing was run yet."""
    clock = SystemClock()
    set_up_logs(args.log_format)
    config = load(config_path(args.config, os.environ), environ=os.environ, at=clock.now(), with_keys=False)
    if not config.ledger_path.exists():
        yield config, None
        return
    ledger = open_the_ledger(config, clock)
    try:
        yield config, ledger
    finally:
        ledger.close()


@contextmanager
def _one_run(args: argparse.Namespace) -> Iterator[tuple[Config, Ledger, RunRecord]]:
    with _archive(args) as (config, ledger):
        if ledger is None:
            raise SettingsError([f"RUN {args.run!r}: there are no runs yet in ledger {config.ledger_path}"])
        yield config, ledger, ledger.find(args.run)


def runs(args: argparse.Namespace) -> int:
    """List past runs, newest first."""
    with _archive(args) as (_, ledger):
        found = ledger.recent(args.limit) if ledger is not None else []
        told = [{"run_id": r.run_id, "job": r.job, "api": r.api, "account": r.account, "state": _state(ledger, r),
                 "exit_code": r.exit_code, "started_at": r.started_at, "finished_at": r.finished_at,
                 "elapsed_s": round(r.elapsed_s, 3), "parent": r.parent} for r in found if ledger]  # fmt: skip
    if args.json:
        _print_json(told)
    elif not told:
        say("no runs yet")
    else:
        say(f"{'run':<26}  {'job':<16} {'state':<12} {'exit':>4}  {'started (UTC)':<20} {'seconds':>9}")
        for run in told:
            exit_code = "" if run["exit_code"] is None else run["exit_code"]
            started = str(run["started_at"])[:19].replace("T", " ")
            line = f"{run['run_id']:<26}  {run['job']:<16} {run['state']:<12} {exit_code:>4}  {started:<20}"
            say(f"{line} {run['elapsed_s']:>9.1f}" + (f"  rerun of {run['parent']}" if run["parent"] else ""))
    return 0


def _print_json(told: object) -> None:
    sys.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())


def _state(ledger: Ledger | None, run: RunRecord) -> str:
    """Say how a run ended, or that it goes on, or that it died."""
    if run.state is not None:
        return run.state
    return _RUNNING if ledger is not None and ledger.is_live(run) else "killed"


def show(args: argparse.Namespace) -> int:
    """Show one run: its counts and its most frequent errors."""
    # Imported here: listing runs needs none of it.
    from pipeline.assemble.reporting import report_folder, summarising  # noqa: PLC0415
    from pipeline.cli.telling import tell_standing, tell_summary  # noqa: PLC0415
    from pipeline.report import Tally, next_steps  # noqa: PLC0415

    with _one_run(args) as (config, ledger, run):
        state = _state(ledger, run)
        tally = Tally()
        for page in ledger.outcomes_in_pages(run):
            tally.add(page)
        summary = summarising(ledger, run, report_folder(config, run))(tally)
    if args.json:
        # What goes on has no end yet, as in the list of runs.
        _print_json(summary.as_dict() | ({"state": state, "exit_code": None} if state == _RUNNING else {}))
        return 0
    if state == _RUNNING:
        tell_standing(summary)
    else:
        tell_summary(summary, next_steps(summary, tally), state)
    waiting = Ending.INTERRUPTED if state == _RUNNING else None
    frequent = [c for c in tally.frequent_codes(_FREQUENT) if c.status != "skipped" and c.code != waiting]
    if frequent:
        say("most frequent:")
    for count in frequent:
        say(f"  {count.rows:>9,}  {count.status} {count.code}  {count.message}".rstrip())
    return 0


def report(args: argparse.Namespace) -> int:
    """Write a run's report again: the whole folder, or one file of it where --output names a file."""
    from pipeline.assemble.reporting import report_folder, report_on  # noqa: PLC0415
    from pipeline.report import OutcomeFormat  # noqa: PLC0415

    with _one_run(args) as (config, ledger, run):
        is_folder = args.output is None or args.output.is_dir() or not args.output.suffix
        named = args.format or ("csv" if is_folder else _format_of(args.output))
        chosen = None if named == "html" else OutcomeFormat(named)
        if is_folder:
            files = report_on(ledger, run, args.output or report_folder(config, run), chosen)
            say(str(files.folder))
            return 0
        _spare(config, args.output)
        with _folder_beside(args.output) as folder:
            files = report_on(ledger, run, folder, chosen)
            (files.outcome or folder / "report.html").replace(args.output)
        say(str(args.output))
    return 0


def _format_of(output: Path) -> str:
    """Return the format that a file's name ends in."""
    named = output.suffix.removeprefix(".").lower()
    if named not in _FORMATS:
        raise SettingsError(
            [f"--output {output}: ends in no format; end it in .{', .'.join(_FORMATS)}, or add --format"]
        )
    return named


def _spare(config: Config, output: Path) -> None:
    """Raise SettingsError where a report would take the place of the config, or of the ledger or a file beside it."""
    path, ledger = output.resolve(), config.ledger_path.resolve()
    is_ledger = path.parent == ledger.parent and (path.name == ledger.name or path.name.startswith(f"{ledger.name}-"))
    if is_ledger or path == config.path.resolve():
        kept = "ledger" if is_ledger else "config"
        raise SettingsError([f"--output {output}: the {kept} lies there, and is not overwritten; name another file"])


@contextmanager
def _folder_beside(output: Path) -> Iterator[Path]:
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        # On the same file system, so that the file can take its place whole.
        with TemporaryDirectory(prefix=".backfill-", dir=output.parent) as folder:
            yield Path(folder)
    except OSError as exc:
        raise SettingsError([f"--output {output}: {exc.strerror or exc}; name a folder that can be written"]) from exc
