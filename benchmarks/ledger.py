"""The ledger: what a delivery costs when nothing but the ledger and the writer is at work, and what the disk allows."""

from functools import partial

from benchmarks.contest import Contestant, contest
from benchmarks.measure import Cost, Pace, cost_of, pace_of, python
from benchmarks.scene import Scene
from benchmarks.table import Table

_TEXT = """\
The real run with 32 workers, and in place of signer and network a platform in the same process that says yes at once:
what is left is reading, staging, intents on disk before each request, group commits, settling, and the report. With
full sync a commit waits for the disk; group commit lets many intents wait together."""


def measure(scene: Scene, *, rows: int, runs: int) -> Table:
    """Return what a delivery costs the ledger, and what a commit costs at least."""
    contestants = [
        Contestant("limit: a block appended and synced", partial(pace_of, partial(_limit, scene, "sync"), rows)),
        Contestant("limit: a row committed, bare SQLite", partial(pace_of, partial(_limit, scene, "commit"), rows)),
        Contestant("backfill, a row delivered", partial(pace_of, partial(_deliver, scene), rows)),
    ]
    lines = (entry.cells(lambda pace: pace.per_second, _cpu_us) for entry in contest(contestants, runs))
    return Table("Ledger", _TEXT, ("what", "a second", "CPU µs each"), tuple(lines))


def _cpu_us(pace: Pace) -> float:
    return pace.cpu_seconds * 1_000_000


def _limit(scene: Scene, act: str, count: int) -> Cost:
    return cost_of(python("-m", "benchmarks.limits", act, str(count)), folder=scene.folder)


def _deliver(scene: Scene, rows: int) -> Cost:
    orders = scene.of("orders", rows)
    return cost_of(python("-m", "benchmarks.yes", "orders", str(orders)), folder=scene.night("ledger").folder)
