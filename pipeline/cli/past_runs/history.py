"""`backfill runs`, `show` and `report`: past runs. No key is read, and nothing is sent."""

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipeline.assemble.parts.ledgers import config_path, open_the_ledger
from pipeline.cli.terminal.logs import log, set_up_logs
from pipeline.cli.terminal.summary import pad, print_json, print_line, width
from pipeline.clock import SystemClock
from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.model import Status
from pipeline.settings import Config, load
from pipeline.write.brakes.run_control import Ending

_FORMATS = ("csv", "parquet", "jsonl", "html")
_RUNNING = "running"


@contextmanager
def archive(args: argparse.Namespace, *, only_reads: bool = True) -> Iterator[tuple[Config, Ledger | None]]:
    """Open config and ledger without reading keys; the ledger is None before the first run."""
    clock = SystemClock()
    set_up_logs(args)
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
    with archive(args) as (config, found):
        ledger = _existing(config, found)
        yield config, ledger, ledger.find(args.run)


def _existing(config: Config, ledger: Ledger | None) -> Ledger:
    """Return the ledger. Raises SettingsError before the first run."""
    if ledger is None:
        raise SettingsError([t("ledger {ledger_path} has no runs yet", ledger_path=config.ledger)])
    return ledger


def runs(args: argparse.Namespace) -> int:
    """List past runs, newest first."""
    with archive(args) as (_, ledger):
        found = ledger.recent(args.limit) if ledger is not None else []
        if ledger is None or not found:
            print_json([]) if args.json else print_line(t("no runs yet"))
        elif args.json:
            print_json([_as_dict(ledger, run) for run in found])
        else:
            _print_runs(ledger, found)
    return 0


def _as_dict(ledger: Ledger, run: RunRecord) -> dict[str, object]:
    counts = ledger.counts(run)
    return {
        "run_id": run.run_id, "job": run.job, "date": run.options.get("date"), "api": run.api,
        "account": run.account, "state": _state(ledger, run), "exit_code": run.exit_code, "rows": counts.total(),
        "left": _left(ledger, run), "counts": {status.value: counts[status] for status in Status},
        "started_at": run.started_at, "finished_at": run.finished_at, "elapsed_s": round(run.elapsed_s, 3),
        "parent": run.parent,
    }  # fmt: skip


def _left(ledger: Ledger, run: RunRecord) -> int:
    """Count the rows of a run that neither it nor its reruns and fixes have done."""
    # After exit code 0 every row is done.
    return 0 if run.exit_code == 0 else ledger.left(run).total()


def _print_runs(ledger: Ledger, found: Sequence[RunRecord]) -> None:
    """Print a table of runs, each line at once: to count the rows of many runs takes seconds."""
    ids = {run.run_id: ledger.short_id(run) for run in found}
    jobs = max(map(width, (run.job for run in found)))
    widths = (max(map(len, ids.values())), max(jobs, width(t("job"))), 10, 11, 4, 9, 9, 9, 19, 8)
    heads = (t("run"), t("job"), t("date"), t("state"), t("exit"), t("rows"), t("done"), t("left"), t("started (UTC)"),
             t("seconds"))  # fmt: skip
    print_line(_table_line(heads, widths))
    for run in found:
        # To count by status takes longer, and the table has no use for it.
        rows, left = ledger.rows(run), _left(ledger, run)
        cells = (
            ids[run.run_id], run.job, run.options.get("date") or "", _state(ledger, run),
            "" if run.exit_code is None else str(run.exit_code), f"{rows:,}",
            f"{rows - left:,}", f"{left:,}", run.started_at[:19].replace("T", " "), f"{run.elapsed_s:.1f}",
        )  # fmt: skip
        print_line(_table_line(cells, widths) + _parent(ledger, run))


def _table_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return a line of the table; numbers are at the right of their columns."""
    aligned = [pad(cell, size, right=at in _NUMBERS) for at, (cell, size) in enumerate(zip(cells, widths, strict=True))]
    return "  ".join(aligned)


# Columns with numbers: exit code, rows, done, left, seconds.
_NUMBERS = (4, 5, 6, 7, 9)


def _parent(ledger: Ledger, run: RunRecord) -> str:
    """Return which run this one reruns or fixes, as the end of a line."""
    if run.parent is None:
        return ""
    parent = next((each for each in ledger.family(run) if each.run_id == run.parent), None)
    shown = run.parent if parent is None else ledger.short_id(parent)
    return "  " + (t("rerun of {run}", run=shown) if run.is_rerun else t("fix of {run}", run=shown))


def _state(ledger: Ledger | None, run: RunRecord) -> str:
    """Return the state of a run: as recorded, or running, or killed."""
    if run.state is not None:
        return run.state
    return _RUNNING if ledger is not None and ledger.is_live(run) else "killed"


def show(args: argparse.Namespace) -> int:
    """Show counts and faults of a run."""
    # Imported here, because `runs` does not need it.
    from pipeline.assemble.reports.reporting import report_folder, summary_of  # noqa: PLC0415
    from pipeline.assemble.reports.totals import row_reader  # noqa: PLC0415
    from pipeline.cli.terminal.summary import print_running, print_summary  # noqa: PLC0415
    from pipeline.report import next_steps  # noqa: PLC0415

    with _one_run(args) as (config, ledger, run):
        state = _state(ledger, run)
        summary, tally = summary_of(ledger, run, report_folder(config, run), read_row=row_reader(config))
        followers = _followers(ledger, run)
        short_id = ledger.short_id(run)
        chain = () if args.json else _chain(ledger, run)
    if state == _RUNNING:
        # Rows that wait or are in flight are no faults.
        summary = replace(summary, faults=summary.faults.without(Ending.INTERRUPTED))
    if args.json:
        # An active run has no exit code yet, as in `runs`.
        running = {"state": state, "exit_code": None} if state == _RUNNING else {}
        print_json(summary.as_dict() | running | {what: ids for what, ids in followers.items() if ids})
        return 0
    if state == _RUNNING:
        print_running(summary, short_id)
    else:
        print_summary(summary, next_steps(summary, tally), short_id, state)
    for line in chain:
        print_line(f"  {line}")
    return 0


def _chain(ledger: Ledger, run: RunRecord) -> Sequence[str]:
    """Return the tree of a run with its reruns and fixes, and what is left of the whole; nothing for a single run."""
    from pipeline.cli.past_runs.run_tree import tree_lines  # noqa: PLC0415 - as in `show`

    family = ledger.family(run)
    if len(family) == 1 and "resumed" not in run.options:
        return ()
    lines = tree_lines(family, run, ledger.counts, ledger.short_id)
    left, rows = ledger.left(family[0]).total(), ledger.rows(family[0])
    end = t("left of the whole: {left} of {rows} rows", left=f"{left:,}", rows=f"{rows:,}")
    return (t("chain:"), *(f"  {line}" for line in lines), end)


def _followers(ledger: Ledger, run: RunRecord) -> dict[str, list[str]]:
    """Return the ids of a run's reruns and fixes."""
    followers = ledger.followers(run)
    return {
        "reruns": [each.run_id for each in followers if each.is_rerun],
        "fixes": [each.run_id for each in followers if not each.is_rerun],
    }


def report(args: argparse.Namespace) -> int:
    """Write a run's report again: the whole folder, or one file if --output is a file."""
    from pipeline.assemble.reports.protected_files import ProtectedFiles, folder_beside  # noqa: PLC0415
    from pipeline.assemble.reports.reporting import RunReport, report_folder  # noqa: PLC0415
    from pipeline.assemble.reports.shared_outcomes import ReportProcesses  # noqa: PLC0415
    from pipeline.assemble.reports.totals import row_reader  # noqa: PLC0415
    from pipeline.report import OutcomeFormat, report_names  # noqa: PLC0415

    if args.night is not None:
        from pipeline.cli.past_runs.night import report_night  # noqa: PLC0415

        with archive(args) as (config, found):
            return report_night(args, config, _existing(config, found))
    if args.run is None:
        raise SettingsError([t("report: name a RUN, or use --night DATE")])
    with _one_run(args) as (config, ledger, run):
        is_folder = args.output is None or args.output.is_dir() or not args.output.suffix
        named = args.format or ("csv" if is_folder else _format_of(args.output))
        chosen = None if named == "html" else OutcomeFormat(named)
        protected = ProtectedFiles(config, ledger)
        job = config.jobs.get(run.job)
        report_in = partial(
            RunReport,
            ledger,
            outcome_format=chosen,
            read_row=row_reader(config),
            job=job,
            processes=ReportProcesses.of(args.processes or (1 if job is None else job.processes)),
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
        protected.check([args.output], f"--output {args.output}", is_file=True)
        with folder_beside(args.output) as folder:
            files = report_in(folder, named=report_folder(config, run)).write(run)
            (files.outcome or folder / "report.html").replace(args.output)
        print_line(str(args.output))
    return 0


def _format_of(output: Path) -> str:
    """Return the format of a file name's suffix."""
    named = output.suffix.removeprefix(".").lower()
    if named not in _FORMATS:
        raise SettingsError(
            [
                t(
                    "--output {output}: unknown suffix; use .{formats}, or add --format",
                    output=output,
                    formats=", .".join(_FORMATS),
                )
            ]
        )
    return named
