"""How the ledger grows by the night, and what `backfill prune` leaves of it."""

import orjson

from benchmarks.measure import Cost, number
from benchmarks.scene import Night, Scene
from benchmarks.table import Table

_TEXT = """\
Bytes of the ledger's file for each row of a night, and what is left of them once the night is pruned. A year is 365
nights of 1,000,000 such rows: all of them kept, or pruned each day with `--keep 90`. Real nights are a mixture: an
export of all cards has a few rows that changed, and the others are skipped."""
_NIGHTS, _KEPT, _ROWS = 365, 90, 1_000_000
_GIGABYTE = 1_000_000_000


def measure(scene: Scene, *, rows: int) -> Table:
    """Return what a row takes in the ledger, delivered and skipped, before and after a prune."""
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
    night = scene.past(kind, rows)
    delivered = _size(night)
    _, counts = night.summary("run", kind, str(scene.of(kind, rows)), "--no-progress")
    skipped = _size(night) - delivered
    # The run that skipped all is the last one, and stays.
    cost = night.backfill("prune", "--keep", "0", "--json")
    left = orjson.loads(cost.stdout)["ledger_bytes"] - skipped
    scene.forget(kind, rows)
    return [
        _line(f"{what}, delivered", rows, delivered, left, cost),
        _line(f"{what}, which comes again and is skipped", counts["skipped"], skipped, 0, None),
    ]


def _size(night: Night) -> int:
    return night.ledger.stat().st_size


def _line(what: str, rows: int, size: int, left: int, cost: Cost | None) -> tuple[str, ...]:
    whole, pruned = size / rows, left / rows
    year = whole * _NIGHTS * _ROWS / _GIGABYTE
    with_prune = (pruned * _NIGHTS + (whole - pruned) * _KEPT) * _ROWS / _GIGABYTE
    seconds = "" if cost is None else number(cost.wall_seconds)
    return what, f"{rows:,}", number(whole), number(pruned), number(year), number(with_prune), seconds
