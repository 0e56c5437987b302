"""Planning by several processes, compared with what the machine gives two programs at once."""

from functools import partial

from benchmarks.comparison import Candidate, compare
from benchmarks.measure import Cost, Unavailable, cost_at_once
from benchmarks.postgresql import SharedCost, shared_cost
from benchmarks.scene import Scene, Workspace
from benchmarks.table import Table

_TEXT = """\
`backfill plan` over {rows:,} orders in CSV, with a ledger in a file, start included. "2 at once" are two such commands
of one process each, which share nothing; their time is divided by 2. No program of two processes is faster on this
machine, so the last column is the most that it can gain. Aim: 2 processes at least 1.7 times as fast as one."""
_AT_ONCE = "2 at once"
# Ways to plan, and the options of each.
_WAYS: dict[str, tuple[str, ...]] = {"1 process": (), "2 processes": ("--processes", "2"), _AT_ONCE: ()}


def measure(scene: Scene, *, rows: int, runs: int) -> Table:
    """Return the cost of plans of new and of known orders, by one process, by two, and by two commands at once."""
    orders = str(scene.of("orders", rows))
    ledgers = {"new": scene.workspace("plan"), "all known": scene.delivered("orders", rows)}
    candidates = [
        Candidate(f"{what}, {way}", partial(shared_cost, None, partial(_planned, ledger, orders, rows, way)))
        for what, ledger in ledgers.items()
        for way in _WAYS
    ]
    entries = compare(candidates, runs)
    scene.forget("orders", rows)
    lines = tuple(
        (
            *entry.cells(
                _seconds,
                lambda each: rows / _seconds(each),
                lambda each: each.cost.cpu_seconds,
                lambda each: each.cost.peak_mib,
                lambda each: each.others,
            ),
            alike[0].times(entry, _seconds),
            alike[0].times(alike[-1], _seconds),
        )
        for alike in (entries[: len(_WAYS)], entries[len(_WAYS) :])
        for entry in alike[:-1]
    )
    columns = ("what", "seconds", "rows/s", "CPU s", "peak MiB", "others' cores", "times as fast as 1", "2 at once")
    return Table("Plan with several processes", _TEXT.format(rows=rows), columns, lines)


def _seconds(each: SharedCost) -> float:
    return each.cost.wall_seconds


def _planned(workspace: Workspace, orders: str, rows: int, way: str) -> Cost:
    if way == _AT_ONCE:
        return cost_at_once([partial(_planned, workspace, orders, rows, "1 process")] * 2)
    cost, counts = workspace.summary("plan", "orders", orders, *_WAYS[way])
    if sum(counts.values()) != rows:
        raise Unavailable(f"{sum(counts.values())} rows were planned, of {rows}")
    return cost
