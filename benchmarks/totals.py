"""Totals: the sums of each agreement, from the ledger into a file."""

from functools import partial

from benchmarks.comparison import Candidate, compare
from benchmarks.scene import Scene
from benchmarks.table import Table

_TEXT = """\
`backfill totals --output FILE` over a ledger with {rows:,} delivered orders, 3 for each agreement. Whole commands,
start included; {times} measurements. Aim: 5 million rows in 60 s, constant memory."""


def measure(scene: Scene, *, rows: int, runs: int) -> Table:
    """Return the cost of the totals in each format."""
    workspace = scene.delivered("orders", rows)
    candidates = [
        Candidate(f"backfill totals, {form}", partial(workspace.backfill, "totals", "--output", f"totals.{form}"))
        for form in ("csv", "parquet", "json")
    ]
    lines = (
        entry.cells(
            lambda cost: cost.wall_seconds,
            lambda cost: rows / cost.wall_seconds,
            lambda cost: cost.cpu_seconds / rows * 1_000_000,
            lambda cost: cost.peak_mib,
        )
        for entry in compare(candidates, runs)
    )
    columns = ("what", "seconds", "rows/s", "CPU µs a row", "peak MiB")
    return Table("Totals", _TEXT.format(rows=rows, times=runs), columns, tuple(map(tuple, lines)))
