"""Known deliveries: the cost of comparing an export with a large ledger, in a file and on a PostgreSQL server."""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.comparison import Candidate, Measurements, compare
from benchmarks.measure import Cost, Unavailable, number
from benchmarks.postgresql import BenchmarkServer, SharedCost, shared_cost
from benchmarks.repeat import times
from benchmarks.scene import Scene, Workspace
from benchmarks.table import Table

_TEXT = """\
Every row of the export was delivered before, so nothing may be sent. The ledger has one line for each delivery, as
after a prune; where it has more than the export has rows, the others are of other exports. Whole commands, start
included. Keys in order are read from the first to the last of each chunk; shuffled ones are looked up one by one. The
server has the default settings of PostgreSQL 15, and uses the same cores. The last column is how many cores other
programs used meanwhile: seconds depend on them. Aim: from 1 to 50 million deliveries the CPU time of a row stays within
1.3 times the least, and memory below 300 MiB."""
_RERUN = """\
`backfill rerun RUN` of a run of 1,000 rows of which 10 are left: they are sent. All other deliveries are of other runs.
Whole commands, start included; one measurement each."""
_COLUMNS = (
    "what", "known", "rows", "measurements", "seconds", "CPU µs a row", "server's CPU µs a row", "both, µs", "peak MiB",
    "bytes a delivery", "others' cores",
)  # fmt: skip
# The run with rows left, in each ledger.
_RUN_ROWS, _LEFT = 1_000, 10
# Keys that are shuffled: each chunk of them spans all deliveries, so more would cost the same each.
_SHUFFLED_ROWS = 2_000_000
# Above so many rows one measurement of each is made.
_MOST_REPEATED = 10_000_000
_INTERRUPTED = 5

LEDGERS = ("sqlite", "postgresql")
"""The kinds of ledgers."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A ledger with known deliveries; `server` has it in the database of `url`, or else it is a file."""

    name: str
    workspace: Workspace
    deliveries: int
    ledger_bytes: int
    server: BenchmarkServer | None = None
    url: str = ""

    def run(self, *words: str) -> SharedCost:
        return shared_cost(self.server, partial(self.workspace.backfill, *words))

    def forget(self) -> None:
        shutil.rmtree(self.workspace.folder)
        if self.server is not None:
            self.server.drop(self.url)


@dataclass(frozen=True, slots=True)
class _Export:
    """An export of orders that all are delivered already."""

    path: Path
    rows: int


def measure(
    scene: Scene,
    server: BenchmarkServer,
    *,
    sizes: Sequence[int],
    shuffled: Sequence[int],
    most_rows: int | None,
    ledgers: Sequence[str],
    runs: int,
) -> list[Table]:
    """
    Return the cost of a plan and a run of known rows at each size, and that of a rerun in such a ledger.

    An export has up to `most_rows`. At the sizes in `shuffled` it also comes in another order of keys.
    """
    lines: list[tuple[str, ...]] = []
    reruns: list[tuple[str, ...]] = []
    for size in sorted(sizes):
        rows = min(size, most_rows or size)
        orders = _Export(scene.export(f"known-{rows}.csv", "blocks", rows), rows)
        known = _ledgers(scene, server, orders, size, ledgers)
        reruns += map(_rerun, known)
        count = 1 if size > _MOST_REPEATED else times(size, runs)
        lines += _compared(known, orders, count, "")
        if size in shuffled:
            orders.path.unlink()
            few = min(rows, _SHUFFLED_ROWS)
            scene.export(orders.path.name, "blocks", rows, "--shuffled", str(few))
            lines += _compared(known, replace(orders, rows=few), count, ", keys shuffled")
        orders.path.unlink()
        for each in known:
            each.forget()
    columns = ("what", "known", "seconds", "CPU s", "server's CPU s", "peak MiB")
    return [
        Table("Known deliveries", _TEXT, _COLUMNS, tuple(lines)),
        Table("Rerun in a large ledger", _RERUN, columns, tuple(reruns)),
    ]


def _ledgers(scene: Scene, server: BenchmarkServer, orders: _Export, size: int, wanted: Sequence[str]) -> list[_Known]:
    """Fill a file with `size` deliveries, and copy it to the server."""
    sys.stderr.write(f"  filling a ledger with {size:,} known deliveries\n")
    file = scene.workspace("known")
    file.fill("orders", str(scene.of("orders", _RUN_ROWS)), "--left", str(_LEFT), accept=(_INTERRUPTED,))
    file.fill("orders", str(orders.path), "--pruned-after", str(_RUN_ROWS), "--others", str(size))
    found = [_Known("SQLite", file, size, file.ledger.stat().st_size)]
    if "postgresql" in wanted:
        sys.stderr.write("  copying it to the server\n")
        url = server.database()
        there = scene.workspace("known", url=url)
        file.backfill("ledger", "copy", "sqlite:///state/backfill.db", url)
        found.append(_Known("PostgreSQL", there, size, server.settle(url), server, url))
    return [each for each in found if each.name.lower() in wanted]


def _compared(known: Sequence[_Known], orders: _Export, runs: int, suffix: str) -> list[tuple[str, ...]]:
    wanted = [
        (each, Candidate(f"{each.name}, {name}{suffix}", partial(_nothing_sent, each, words, orders)))
        for name, words in _COMMANDS.items()
        for each in known
        if each.server or "--processes" not in words
    ]
    entries = compare([candidate for _, candidate in wanted], runs)
    return [_line(entry, each, orders.rows) for entry, (each, _) in zip(entries, wanted, strict=True)]


_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "plan": ("plan",),
    "run": ("run", "--no-progress"),
    "run, 2 processes": ("run", "--no-progress", "--processes", "2"),
}


def _nothing_sent(known: _Known, words: Sequence[str], orders: _Export) -> SharedCost:
    counts: Mapping[str, int] = {}

    def act() -> Cost:
        nonlocal counts
        command, *options = words
        cost, counts = known.workspace.summary(command, "orders", str(orders.path), *options)
        return cost

    found = shared_cost(known.server, act)
    if counts["skipped"] != orders.rows:
        raise Unavailable(f"{counts['skipped']} of {orders.rows} rows were skipped")
    return found


def _line(entry: Measurements[SharedCost], known: _Known, rows: int) -> tuple[str, ...]:
    def each_us(seconds: float) -> float:
        return seconds / rows * 1_000_000

    figures: tuple[Callable[[SharedCost], float], ...] = (
        lambda one: one.cost.wall_seconds,
        lambda one: each_us(one.cost.cpu_seconds),
        lambda one: each_us(one.server_seconds),
        lambda one: each_us(one.cost.cpu_seconds + one.server_seconds),
        lambda one: one.cost.peak_mib,
    )
    name, *cells = entry.cells(*figures)
    others = "" if entry.reason else entry.cells(lambda one: one.others)[1]
    size, count = number(known.ledger_bytes / known.deliveries), str(len(entry.measured))
    return name, f"{known.deliveries:,}", f"{rows:,}", count, *cells, size, others


def _rerun(known: _Known) -> tuple[str, ...]:
    found = known.run("rerun", known.workspace.first_run(), "--no-progress")
    cost = found.cost
    figures = (cost.wall_seconds, cost.cpu_seconds, found.server_seconds, cost.peak_mib)
    return known.name, f"{known.deliveries:,}", *map(number, figures)
