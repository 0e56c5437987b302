"""The next run: the cost of the same orders, and of balances that hardly changed, with a full ledger."""

from collections.abc import Sequence
from functools import partial

from benchmarks.comparison import Candidate, Measurements, compare
from benchmarks.measure import CHECKOUT, Cost, Unavailable, cost_of, number, python
from benchmarks.scene import Scene, Workspace
from benchmarks.table import Table

_AGAIN = """\
The same orders are run again after all of them were delivered: nothing may be sent. The script reads the keys of its
succeeded outcomes at its start. Whole commands, start included. The ledger's size is that after the first run, with
all rows, outcomes and keys of the run. Aim: 5 million in 40 s, linear growth, constant memory."""
_POINTS = """\
`backfill plan` of an export of all cards, where 1 % of the balances changed. Aim: 5 million in 40 s."""
_SCRIPT = "script, requests, 32 threads"
_COLUMNS = ("what", "rows", "measurements", "seconds", "CPU s", "CPU µs a row", "peak MiB", "bytes a delivery")
# Rows of the aim.
_AIM = 5_000_000
# Above a million rows a measurement takes minutes; 2 of them are enough.
_MANY, _FEW_RUNS = 1_000_000, 2


def reported(sizes: Sequence[int]) -> int:
    """Return the size to write a report for: the nearest to the aim."""
    return min(sizes, key=lambda size: abs(size - _AIM))


def in_turn(sizes: Sequence[int]) -> list[int]:
    """Return the sizes in the order of measuring; the one to report comes last, because its ledger is kept."""
    last = reported(sizes)
    return [*sorted(set(sizes) - {last}), last]


def times(rows: int, runs: int) -> int:
    """Return the number of measurements for a size: `runs`, or fewer for many rows."""
    return min(runs, _FEW_RUNS) if rows > _MANY else runs


def measure(scene: Scene, *, sizes: Sequence[int], runs: int) -> list[Table]:
    """Return the cost of the next run at each size. Only one ledger is kept at a time, at last that of the report."""
    again: dict[int, Sequence[tuple[str, ...]]] = {}
    points: dict[int, tuple[str, ...]] = {}
    for size in in_turn(sizes):
        points[size] = _next_balances(scene, size, times(size, runs))
        scene.forget("points", size)
        again[size] = _again(scene, size, times(size, runs))
        if size != reported(sizes):
            scene.forget("orders", size)
    in_order = sorted(again)
    return [
        Table(
            "The same rows again",
            _AGAIN,
            (*_COLUMNS, "times the script's CPU"),
            tuple(line for size in in_order for line in again[size]),
        ),
        Table("Balances that hardly changed", _POINTS, _COLUMNS, tuple(points[size] for size in in_order)),
    ]


def _again(scene: Scene, rows: int, runs: int) -> Sequence[tuple[str, ...]]:
    workspace = scene.delivered("orders", rows)
    size = workspace.ledger.stat().st_size
    outcomes = workspace.folder / "outcomes.csv"
    with outcomes.open("w", encoding="utf-8") as file:
        # As the script writes them.
        file.writelines(f"D20251120{n:09d},succeeded\n" for n in range(rows))
    candidates = [
        Candidate("backfill", partial(_run_again, scene, workspace, rows)),
        Candidate(_SCRIPT, partial(_script_again, scene, workspace, rows)),
    ]
    backfill, script = compare(candidates, runs)
    return (
        (*_line(backfill, rows, size), backfill.times(script, lambda cost: cost.cpu_seconds)),
        (*_line(script, rows, outcomes.stat().st_size), "1.00"),
    )


def _line(entry: Measurements[Cost], rows: int, size: int) -> tuple[str, ...]:
    name, *figures = entry.cells(
        lambda cost: cost.wall_seconds,
        lambda cost: cost.cpu_seconds,
        lambda cost: cost.cpu_seconds / rows * 1_000_000,
        lambda cost: cost.peak_mib,
    )
    return name, f"{rows:,}", str(len(entry.measured)), *figures, number(size / rows)


def _run_again(scene: Scene, workspace: Workspace, rows: int) -> Cost:
    cost, counts = workspace.summary("run", "orders", str(scene.of("orders", rows)), "--no-progress")
    if counts["skipped"] != rows:
        raise Unavailable(f"{counts['skipped']} of {rows} rows were skipped")
    return cost


def _script_again(scene: Scene, workspace: Workspace, rows: int) -> Cost:
    words = (scene.url, scene.keys, scene.of("orders", rows), workspace.folder / "outcomes.csv")
    return cost_of(python("-m", "benchmarks.peers.threads", *map(str, words)), folder=CHECKOUT)


def _next_balances(scene: Scene, rows: int, runs: int) -> tuple[str, ...]:
    workspace = scene.delivered("points", rows)
    size = workspace.ledger.stat().st_size
    changed = scene.export(f"points-changed-{rows}.csv", "points", rows, "--changed", "0.01")

    def plan() -> Cost:
        cost, counts = workspace.summary("plan", "points", str(changed))
        if not 0 < counts["to_send"] < rows / 20 or counts["invalid"]:
            raise Unavailable(f"{counts['to send']} of {rows} balances would be sent")
        return cost

    (entry,) = compare([Candidate("backfill plan", plan)], runs)
    changed.unlink()
    return _line(entry, rows, size)
