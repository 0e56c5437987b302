"""The size of the ledger per row, and after `backfill prune`."""

import orjson

from benchmarks.measure import Cost, number
from benchmarks.scene import Scene, Workspace
from benchmarks.table import Table

_TEXT = """\
Bytes of the ledger's file for each row of a run, and what is left of them after a prune. A year is 365 runs of
1,000,000 such rows: all kept, or pruned each day with `--keep 90`. Real runs are a mixture: an export of all cards has
a few changed rows, and the others are skipped."""
# Runs and rows of the estimate, and the days kept.
_RUNS, _KEPT, _ROWS = 365, 90, 1_000_000
_GIGABYTE = 1_000_000_000


def measure(scene: Scene, *, rows: int) -> Table:
    """Return the size of a row in the ledger, delivered and skipped, before and after a prune."""
    lines = [
        line
        for kind, what in (("orders", "an order"), ("points", "the balance of a new card"))
        for line in _of(scene, kind, what, rows)
    ]
    return Table(
        "Size of the ledger",
        _TEXT,
        ("what", "rows", "bytes a row", "after prune", "GB a year", "GB a year, pruned", "seconds to prune"),
        tuple(lines),
    )


def _of(scene: Scene, kind: str, what: str, rows: int) -> list[tuple[str, ...]]:
    workspace = scene.delivered(kind, rows)
    delivered = _size(workspace)
    _, counts = workspace.summary("run", kind, str(scene.of(kind, rows)), "--no-progress")
    skipped = _size(workspace) - delivered
    # The last run, which skipped all rows, is kept.
    cost = workspace.backfill("prune", "--keep", "0", "--json")
    left = orjson.loads(cost.stdout)["ledger_bytes"] - skipped
    scene.forget(kind, rows)
    return [
        _line(f"{what}, delivered", rows, delivered, left, cost),
        _line(f"{what}, skipped in the next run", counts["skipped"], skipped, 0, None),
    ]


def _size(workspace: Workspace) -> int:
    return workspace.ledger.stat().st_size


def _line(what: str, rows: int, size: int, left: int, cost: Cost | None) -> tuple[str, ...]:
    whole, pruned = size / rows, left / rows
    year = whole * _RUNS * _ROWS / _GIGABYTE
    with_prune = (pruned * _RUNS + (whole - pruned) * _KEPT) * _ROWS / _GIGABYTE
    seconds = "" if cost is None else number(cost.wall_seconds)
    return what, f"{rows:,}", number(whole), number(pruned), number(year), number(with_prune), seconds
