"""Night after night: what a ledger full of deliveries makes of the same rows, and of balances that hardly changed."""

from collections.abc import Sequence
from functools import partial

from benchmarks.contest import Contestant, Entry, contest
from benchmarks.measure import CHECKOUT, Cost, Unavailable, cost_of, number, python
from benchmarks.scene import Night, Scene
from benchmarks.table import Table

_AGAIN = """\
The same orders are run again, with all of them delivered before: nothing may be sent. The script keeps the keys of
what succeeded in its outcomes, and reads them all at its start. Whole commands, start included. The ledger's size is
that after the first night, so with all that is kept of a run: rows, outcomes, keys. Aim: 5 million in 40 s, linear
growth, flat memory."""
_POINTS = """\
`backfill plan` of an export of all cards of which 1 % changed since the night before. Aim: 5 million in 40 s."""
_SCRIPT = "script, requests, 32 threads"
_COLUMNS = ("what", "rows", "measurements", "seconds", "CPU s", "CPU µs a row", "peak MiB", "bytes a delivery")
# What the aims speak of.
_AIM = 5_000_000
# Above a million one measurement takes minutes, and the middle of two tells as much.
_MANY, _FEW_RUNS = 1_000_000, 2


def reported(sizes: Sequence[int]) -> int:
    """Return the size that is reported on: the one that is nearest to what the aims speak of."""
    return min(sizes, key=lambda size: abs(size - _AIM))


def in_turn(sizes: Sequence[int]) -> list[int]:
    """Return the sizes in the order in which they are measured: the one that is reported on comes last, and stays."""
    last = reported(sizes)
    return [*sorted(set(sizes) - {last}), last]


def times(rows: int, runs: int) -> int:
    """Return how often what so many rows cost is measured, where the others are measured `runs` times."""
    return min(runs, _FEW_RUNS) if rows > _MANY else runs


def measure(scene: Scene, *, sizes: Sequence[int], runs: int) -> list[Table]:
    """Return what the next night costs at each size; one past is kept at a time, and at last that to report on."""
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
    night = scene.past("orders", rows)
    size = night.ledger.stat().st_size
    outcomes = night.folder / "outcomes.csv"
    with outcomes.open("w", encoding="utf-8") as file:
        # As the script leaves them.
        file.writelines(f"D20251120{n:09d},succeeded\n" for n in range(rows))
    contestants = [
        Contestant("backfill", partial(_run_again, scene, night, rows)),
        Contestant(_SCRIPT, partial(_script_again, scene, night, rows)),
    ]
    backfill, script = contest(contestants, runs)
    return (
        (*_line(backfill, rows, size), backfill.times(script, lambda cost: cost.cpu_seconds)),
        (*_line(script, rows, outcomes.stat().st_size), "1.00"),
    )


def _line(entry: Entry[Cost], rows: int, size: int) -> tuple[str, ...]:
    name, *figures = entry.cells(
        lambda cost: cost.wall_seconds,
        lambda cost: cost.cpu_seconds,
        lambda cost: cost.cpu_seconds / rows * 1_000_000,
        lambda cost: cost.peak_mib,
    )
    return name, f"{rows:,}", str(len(entry.measured)), *figures, number(size / rows)


def _run_again(scene: Scene, night: Night, rows: int) -> Cost:
    cost, counts = night.summary("run", "orders", str(scene.of("orders", rows)), "--no-progress")
    if counts["skipped"] != rows:
        raise Unavailable(f"{counts['skipped']} of {rows} rows were skipped")
    return cost


def _script_again(scene: Scene, night: Night, rows: int) -> Cost:
    words = (scene.url, scene.keys, scene.of("orders", rows), night.folder / "outcomes.csv")
    return cost_of(python("-m", "benchmarks.peers.threads", *map(str, words)), folder=CHECKOUT)


def _next_balances(scene: Scene, rows: int, runs: int) -> tuple[str, ...]:
    night = scene.past("points", rows)
    size = night.ledger.stat().st_size
    changed = scene.export(f"points-changed-{rows}.csv", "points", rows, "--changed", "0.01")

    def plan() -> Cost:
        cost, counts = night.summary("plan", "points", str(changed))
        if not 0 < counts["to send"] < rows / 20 or counts["invalid"]:
            raise Unavailable(f"{counts['to send']} of {rows} balances would be sent")
        return cost

    (entry,) = contest([Contestant("backfill plan", plan)], runs)
    changed.unlink()
    return _line(entry, rows, size)
