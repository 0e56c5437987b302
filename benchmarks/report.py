"""Reports: the outcomes of a run, from the ledger into files."""

from functools import partial

from benchmarks.comparison import Candidate, compare
from benchmarks.measure import Cost, cost_of, python
from benchmarks.scene import Scene
from benchmarks.table import Table

_TEXT = """\
`backfill report RUN` of {rows:,} delivered rows: outcome file, page, summary and rows to fix. Whole commands, start
included; {times} measurements. Aim: 5 million rows in 60 s, constant memory."""
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


def _cpu(cost: Cost) -> float:
    return cost.cpu_seconds
