"""The ledger: the cost of a delivery without signatures and network, and the limits of the disk."""

from functools import partial

from benchmarks.comparison import Candidate, compare
from benchmarks.measure import Cost, Pace, cost_of, pace_of, python
from benchmarks.scene import Scene
from benchmarks.table import Table

_TEXT = """\
A real run with 32 lanes, where a platform in the same process replaces signer and network and confirms at once. It
measures reading, staging, intents on disk before each request, group commits, settling and the report. Each commit
waits for the disk; group commit lets many intents share one wait."""


def measure(scene: Scene, *, rows: int, runs: int) -> Table:
    """Return the cost of a delivery, and the least cost of a commit."""
    candidates = [
        Candidate("limit: a block appended and synced", partial(pace_of, partial(_limit, scene, "sync"), rows)),
        Candidate("limit: a row committed, bare SQLite", partial(pace_of, partial(_limit, scene, "commit"), rows)),
        Candidate("backfill, a row delivered", partial(pace_of, partial(_deliver, scene), rows)),
    ]
    lines = (entry.cells(lambda pace: pace.per_second, _cpu_us) for entry in compare(candidates, runs))
    return Table("Ledger", _TEXT, ("what", "per second", "CPU µs each"), tuple(lines))


def _cpu_us(pace: Pace) -> float:
    return pace.cpu_seconds * 1_000_000


def _limit(scene: Scene, act: str, count: int) -> Cost:
    return cost_of(python("-m", "benchmarks.limits", act, str(count)), folder=scene.folder)


def _deliver(scene: Scene, rows: int) -> Cost:
    orders = scene.of("orders", rows)
    return cost_of(
        python("-m", "benchmarks.instant_platform", "orders", str(orders)), folder=scene.workspace("ledger").folder
    )
