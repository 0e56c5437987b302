"""Several processes for one run: sending and staging, with a ledger in a file and on a PostgreSQL server."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.comparison import Candidate, Measurements, compare
from benchmarks.measure import Cost, Unavailable, cost_of, python
from benchmarks.postgresql import BenchmarkServer, SharedCost, shared_cost
from benchmarks.scene import Scene, Workspace
from benchmarks.table import Table

_SEND = """\
{rows:,} orders from export to report. "HTTP": sent with `requests` to a server in another process, as in the table
"Send". "Instant": a platform in the process itself, so that reading, staging, ledger and report are left. PostgreSQL
has its default settings: each commit waits for the disk. It uses the same cores. A second process takes a second or
more to start. The last column is how many cores other programs used meanwhile: rows/s depend on them."""
_STAGE = """\
{rows:,} orders are read, mapped, compared and written to a ledger on PostgreSQL, and nothing is sent. Seconds are those
of staging alone, CPU time that of the whole command. The server uses the same cores, and so bounds what a second
process can gain. "By CPU time" is for a machine with a core for each process and connection: CPU time of the process
that takes more, and half of that of the server. Aim: 2 processes at least 1.7 times as fast as one."""
# Ways to keep the ledger, and the processes that send.
_LEDGERS = {"SQLite": 1, "PostgreSQL, 1 process": 1, "PostgreSQL, 2 processes": 2}


def send(scene: Scene, server: BenchmarkServer, *, rows: int, runs: int) -> Table:
    """Return the cost of sending, for each ledger and number of processes."""
    orders = str(scene.of("orders", rows))
    # This run does not count: the server signs each answer once, here.
    scene.workspace("warm-up").backfill("run", "orders", orders)
    candidates = [
        Candidate(
            f"{name}, {platform}", partial(more_sent, partial(_sent, scene, server, orders, name, platform), rows)
        )
        for platform in ("HTTP", "instant")
        for name in _LEDGERS
    ]
    entries = compare(candidates, runs)
    lines = tuple(_line(entry, rows - rows // 10, lambda one: one.cost.wall_seconds) for entry in entries)
    return Table("Send with each ledger", _SEND.format(rows=rows), _COLUMNS, lines)


def stage(scene: Scene, server: BenchmarkServer, *, rows: int, runs: int) -> Table:
    """Return the cost of staging new and known orders, by one process and by two."""
    orders, known = str(scene.of("orders", rows)), server.database()
    full = scene.delivered("orders", rows)
    sys.stderr.write("  copying it to the server\n")
    full.backfill("ledger", "copy", "sqlite:///state/backfill.db", known)
    scene.forget("orders", rows, keeps_export=True)
    server.settle(known)
    candidates = [
        Candidate(f"{what}, {_named(processes)}", partial(_staged, scene, server, orders, url, processes))
        for what, url in (("new", None), ("all known", known))
        for processes in (1, 2)
    ]
    entries = compare(candidates, runs)
    lines = tuple(
        (
            *_line(entry, rows, _staging_seconds),
            *entry.cells(lambda one: _driver_seconds(one) / rows * 1_000_000)[1:],
            one.times(entry, _staging_seconds),
            one.times(entry, path_seconds),
        )
        for pair in (entries[:2], entries[2:])
        for one in pair[:1]
        for entry in pair
    )
    server.drop(known)
    return Table("Stage with several processes", _STAGE.format(rows=rows), (*_COLUMNS, *_COMPARED), lines)


_COLUMNS = (
    "what", "seconds", "rows/s", "CPU µs a row", "server's CPU µs a row", "both, µs", "peak MiB", "others' cores",
)  # fmt: skip
# Columns that compare two processes with one.
_COMPARED = ("CPU µs a row of the driver", "times as fast as 1", "the same by CPU time")


def _named(processes: int) -> str:
    return "1 process" if processes == 1 else f"{processes} processes"


def _line(entry: Measurements[SharedCost], rows: int, seconds: Callable[[SharedCost], float]) -> tuple[str, ...]:
    def each_us(seconds: float) -> float:
        return seconds / rows * 1_000_000

    return entry.cells(
        seconds,
        lambda one: rows / seconds(one),
        lambda one: each_us(one.cost.cpu_seconds),
        lambda one: each_us(one.server_seconds),
        lambda one: each_us(one.cost.cpu_seconds + one.server_seconds),
        lambda one: one.cost.peak_mib,
        lambda one: one.others,
    )


def more_sent(sent: Callable[[int], SharedCost], rows: int) -> SharedCost:
    """Return the cost of all rows without that of a tenth of them."""
    few, all_rows = sent(rows // 10), sent(rows)
    wall, cpu = (getattr(all_rows.cost, name) - getattr(few.cost, name) for name in ("wall_seconds", "cpu_seconds"))
    if wall <= 0 or cpu <= 0:
        raise Unavailable("too few rows to measure")
    more = replace(all_rows.cost, wall_seconds=wall, cpu_seconds=cpu)
    return SharedCost(more, all_rows.server_seconds - few.server_seconds, all_rows.others)


def _sent(scene: Scene, server: BenchmarkServer, orders: str, ledger: str, platform: str, rows: int) -> SharedCost:
    processes = _LEDGERS[ledger]
    url = "" if ledger == "SQLite" else server.database()
    workspace = scene.workspace("shared", url=url)
    # The most that a config may have. Both platforms get it.
    config = workspace.folder / "backfill.toml"
    config.write_text(config.read_text(encoding="utf-8").replace("rate = 5000", "rate = 10000"), encoding="utf-8")
    try:
        return shared_cost(server if url else None, partial(_SENDERS[platform], workspace, orders, processes, rows))
    finally:
        if url:
            server.drop(url)


def _over_http(workspace: Workspace, orders: str, processes: int, rows: int) -> Cost:
    more = () if processes == 1 else ("--processes", str(processes))
    return workspace.backfill("run", "orders", orders, "--limit", str(rows), "--no-progress", *more)


def _instant(workspace: Workspace, orders: str, processes: int, rows: int) -> Cost:
    words = ("-m", "benchmarks.instant_platform", "orders", orders, str(processes), str(rows))
    return cost_of(python(*words), folder=workspace.folder)


_SENDERS: dict[str, Callable[[Workspace, str, int, int], Cost]] = {"HTTP": _over_http, "instant": _instant}


def _staged(scene: Scene, server: BenchmarkServer, orders: str, url: str | None, processes: int) -> SharedCost:
    """Stage into a ledger at `url`, or into an empty one."""
    place = url or server.database()
    workspace = scene.workspace("staged", url=place)
    command: Sequence[str] = python("-m", "benchmarks.staging", "orders", orders, str(processes))
    try:
        return shared_cost(server, partial(cost_of, command, folder=workspace.folder))
    finally:
        if url is None:
            server.drop(place)


@dataclass(frozen=True, slots=True)
class _StagingTimes:
    """What `benchmarks.staging` prints: seconds, and CPU seconds of the driver and of the processes that it starts."""

    seconds: float
    driver: float
    others: float

    @classmethod
    def of(cls, one: SharedCost) -> "_StagingTimes":
        return cls(*map(float, one.cost.stdout.split()))


def _staging_seconds(one: SharedCost) -> float:
    return _StagingTimes.of(one).seconds


def _driver_seconds(one: SharedCost) -> float:
    return _StagingTimes.of(one).driver


def path_seconds(one: SharedCost) -> float:
    """Return how long staging by up to two processes takes if each of them and of its connections has a core."""
    times = _StagingTimes.of(one)
    return max(times.driver, times.others) + one.server_seconds / (2 if times.others else 1)
