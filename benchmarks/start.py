"""Start: the time of short commands."""

from collections.abc import Callable
from functools import partial

from benchmarks.comparison import Candidate, compare
from benchmarks.measure import CHECKOUT, Cost, cost_of, python
from benchmarks.scene import Scene
from benchmarks.table import Table

_TEXT = "Whole commands. Aim: `backfill --help` in 0.25 s, `backfill runs` in 0.4 s."


def measure(scene: Scene, *, runs: int) -> Table:
    """Return the time of each command."""
    workspace = scene.delivered("orders", 1000)
    script = python("-m", "benchmarks.peers.threads", "--help")
    candidates = [
        Candidate("limit: Python alone", partial(cost_of, python("-c", "pass"), folder=CHECKOUT)),
        Candidate("backfill --help", partial(workspace.backfill, "--help")),
        Candidate("backfill runs", partial(workspace.backfill, "runs")),
        Candidate("script --help", partial(cost_of, script, folder=CHECKOUT)),
    ]
    figures: tuple[Callable[[Cost], float], ...] = (
        lambda cost: cost.wall_seconds,
        lambda cost: cost.cpu_seconds,
        lambda cost: cost.peak_mib,
    )
    lines = (entry.cells(*figures) for entry in compare(candidates, runs))
    return Table("Start", _TEXT, ("command", "seconds", "CPU s", "peak MiB"), tuple(lines))
