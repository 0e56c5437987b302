"""
Reports: the outcomes of a run, from the ledger into files.

    python -m benchmarks.report WORDS...      (in the folder of a config: `backfill WORDS...`)

The command above prints its own CPU seconds at last, without those of the processes that it starts.
"""

import sys
import time
from functools import partial

from benchmarks.comparison import Candidate, compare
from benchmarks.measure import Cost, cost_of, python
from benchmarks.scene import Scene, Workspace
from benchmarks.table import Table

_TEXT = """\
`backfill report RUN` of {rows:,} delivered rows: outcome file, page, summary and rows to fix. Whole commands, start
included; {times} measurements. Aim: 5 million rows in 60 s, constant memory."""
_SPREAD = """\
`backfill report RUN --processes N` of {rows:,} delivered rows, with a ledger in a file; {times} measurements. With a
core for each process it takes about the CPU time of the process that has most of it. Aim: 2 processes at least 1.7
times as fast as one by that time. Where other programs keep the cores busy, seconds say little."""
_LIMIT = "limit: pyarrow copies the CSV"


def measure(scene: Scene, *, rows: int, runs: int) -> Table:
    """Return the cost of each format of the report."""
    workspace = scene.delivered("orders", rows)
    run = workspace.first_run()
    workspace.backfill("report", run)
    outcomes = workspace.folder / "reports" / run / "outcome.csv"
    copy = python("-m", "benchmarks.limits", "write", str(outcomes))
    candidates = [
        Candidate(_LIMIT, partial(cost_of, copy, folder=scene.folder)),
        *(
            Candidate(f"backfill, {form}", partial(workspace.backfill, "report", run, "--format", form))
            for form in ("csv", "parquet", "jsonl")
        ),
    ]
    entries = compare(candidates, runs)
    lines = (
        (
            *entry.cells(
                lambda cost: cost.wall_seconds,
                lambda cost: rows / cost.wall_seconds,
                lambda cost: cost.cpu_seconds / rows * 1_000_000,
                lambda cost: cost.peak_mib,
            ),
            entry.times(entries[0], _cpu),
        )
        for entry in entries
    )
    columns = ("what", "seconds", "rows/s", "CPU µs a row", "peak MiB", "times pyarrow's CPU")
    return Table("Report", _TEXT.format(rows=rows, times=runs), columns, tuple(lines))


def by_processes(scene: Scene, *, rows: int, runs: int) -> Table:
    """Return the cost of a report by one process and by two."""
    workspace = scene.delivered("orders", rows)
    run = workspace.first_run()
    candidates = [
        Candidate(f"{form}, {named}", partial(_by_processes, workspace, run, form, processes))
        for form in ("csv", "parquet")
        for processes, named in ((1, "1 process"), (2, "2 processes"))
    ]
    entries = compare(candidates, runs)
    lines = (
        (
            *entry.cells(
                lambda cost: cost.wall_seconds,
                lambda cost: cost.cpu_seconds / rows * 1_000_000,
                lambda cost: _own(cost) / rows * 1_000_000,
                lambda cost: (cost.cpu_seconds - _own(cost)) / rows * 1_000_000,
                lambda cost: cost.peak_mib,
            ),
            one.times(entry, lambda cost: cost.wall_seconds),
            one.times(entry, lambda cost: max(_own(cost), cost.cpu_seconds - _own(cost))),
        )
        for pair in (entries[:2], entries[2:])
        for one in pair[:1]
        for entry in pair
    )
    columns = (
        "what", "seconds", "CPU µs a row", "of the driver", "of the other", "peak MiB", "times as fast as 1",
        "the same by CPU time",
    )  # fmt: skip
    return Table("Report by several processes", _SPREAD.format(rows=rows, times=runs), columns, tuple(lines))


def _by_processes(workspace: Workspace, run: str, form: str, processes: int) -> Cost:
    words = ("report", run, "--format", form, "--processes", str(processes))
    return cost_of(python("-m", "benchmarks.report", *words), folder=workspace.folder)


def _own(cost: Cost) -> float:
    return float(cost.stdout.split()[-1])


def _cpu(cost: Cost) -> float:
    return cost.cpu_seconds


def main(words: list[str]) -> int:
    """Run a command, and print the CPU time of this process."""
    # The process that measures others stays small.
    from pipeline.cli.main import main as backfill  # noqa: PLC0415

    exit_code = backfill(words)
    sys.stdout.write(f"{time.process_time()}\n")
    return exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
