"""Starting: how long until a command says something."""

from collections.abc import Callable
from functools import partial

from benchmarks.contest import Contestant, contest
from benchmarks.measure import CHECKOUT, Cost, cost_of, python
from benchmarks.scene import Scene
from benchmarks.table import Table

_TEXT = "Whole commands. Aim: `backfill --help` in 0.25 s, `backfill runs` in 0.4 s."


def measure(scene: Scene, *, runs: int) -> Table:
    """Return how long each command takes."""
    night = scene.past("orders", 1000)
    script = python("-m", "benchmarks.peers.threads", "--help")
    contestants = [
        Contestant("limit: Python alone", partial(cost_of, python("-c", "pass"), folder=CHECKOUT)),
        Contestant("backfill --help", partial(night.backfill, "--help")),
        Contestant("backfill runs", partial(night.backfill, "runs")),
        Contestant("script --help", partial(cost_of, script, folder=CHECKOUT)),
    ]
    figures: tuple[Callable[[Cost], float], ...] = (
        lambda cost: cost.wall_seconds,
        lambda cost: cost.cpu_seconds,
        lambda cost: cost.peak_mib,
    )
    lines = (entry.cells(*figures) for entry in contest(contestants, runs))
    return Table("Start", _TEXT, ("command", "seconds", "CPU s", "peak MiB"), tuple(lines))
