"""
Reports: the outcomes of a run, from the ledger into files.

    python -m benchmarks.report WORDS...      (in the folder of a config: `backfill WORDS...`)

The command above prints its own CPU seconds at last, without those of the processes that it starts.
"""

import sys
import time
from functools import partial

from benchmarks.comparison import Candidate, Measurements, compare
from benchmarks.measure import Cost, cost_of, python
from benchmarks.scene import Scene, Workspace
from benchmarks.table import Table

_TEXT = """\
`backfill report RUN` of {rows:,} delivered rows: outcome file, page, summary and rows to fix. Whole commands, start
included; {times} measurements. Aim: 5 million rows in 60 s, constant memory. With a core for each process a report
takes the CPU time of "the longest", the process that has most of it. Aim: 2 processes 1.7 times as fast as one."""
_LIMIT = "limit: pyarrow copies the CSV"


def measure(scene: Scene, *, rows: int, runs: int) -> Table:
    """Return the cost of each format of the report, by one process and by two."""
    workspace = scene.delivered("orders", rows)
    run = workspace.first_run()
    workspace.backfill("report", run)
    outcomes = workspace.folder / "reports" / run / "outcome.csv"
    copy = python("-m", "benchmarks.limits", "write", str(outcomes))
    formats = ("csv", "parquet", "jsonl")
    candidates = [
        Candidate(_LIMIT, partial(cost_of, copy, folder=scene.folder)),
        *(Candidate(f"backfill, {form}", partial(_report, workspace, run, form, 1)) for form in formats),
        *(Candidate(f"backfill, {form}, 2 processes", partial(_report, workspace, run, form, 2)) for form in formats),
    ]
    limit, *entries = compare(candidates, runs)
    one = dict(zip(formats, entries, strict=False))
    lines = (
        (*_line(limit, limit, rows), "", ""),
        *(
            (
                *_line(entry, limit, rows),
                *entry.cells(lambda cost: _longest(cost) / rows * 1_000_000)[1:],
                one[entry.name.split(", ")[1]].times(entry, _longest),
            )
            for entry in entries
        ),
    )
    return Table("Report", _TEXT.format(rows=rows, times=runs), _COLUMNS, lines)


_COLUMNS = (
    "what", "seconds", "rows/s", "CPU µs a row", "peak MiB", "times pyarrow's CPU", "CPU µs a row of the longest",
    "times as fast as 1, by CPU time",
)  # fmt: skip


def _line(entry: Measurements[Cost], limit: Measurements[Cost], rows: int) -> tuple[str, ...]:
    cells = entry.cells(
        lambda cost: cost.wall_seconds,
        lambda cost: rows / cost.wall_seconds,
        lambda cost: cost.cpu_seconds / rows * 1_000_000,
        lambda cost: cost.peak_mib,
    )
    return (*cells, entry.times(limit, lambda cost: cost.cpu_seconds))


def _report(workspace: Workspace, run: str, form: str, processes: int) -> Cost:
    words = ("report", run, "--format", form, "--processes", str(processes))
    return cost_of(python("-m", "benchmarks.report", *words), folder=workspace.folder)


def _longest(cost: Cost) -> float:
    """Return the CPU time of the driver or of the other process, whichever is longer."""
    own = float(cost.stdout.split()[-1])
    return max(own, cost.cpu_seconds - own)


def main(words: list[str]) -> int:
    """Run a command, and print the CPU time of this process."""
    # The process that measures others stays small.
    from pipeline.cli.main import main as backfill  # noqa: PLC0415

    exit_code = backfill(words)
    sys.stdout.write(f"{time.process_time()}\n")
    return exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
