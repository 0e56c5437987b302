"""Several processes for one run: sending and staging, with a ledger in a file and on a PostgreSQL server."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.cluster import BenchmarkCluster, benchmark_cluster
from benchmarks.comparison import Candidate, Measurements, compare
from benchmarks.measure import Cost, Unavailable, cost_at_once, cost_of, python
from benchmarks.postgresql import BenchmarkServer, SharedCost, shared_cost
from benchmarks.scene import Scene, Workspace
from benchmarks.table import Table

_SEND = """\
{rows:,} orders from export to report. "HTTP": sent with `requests` to a server in another process, as in the table
"Send". "Instant": a platform in the process itself, so that reading, staging, ledger and report are left. PostgreSQL
has its default settings: each commit waits for the disk. It uses the same cores. A second process takes a second or
more to start. With Ray three processes send: the command and a worker on each of two nodes of this machine. CPU time is
that of these three, and of the process that speaks to Ray. The workers begin after seconds, so the cost of a row is
then the difference between all rows and half of them. Ray's own processes do little after their start: their figure is
noise, and may be below zero. The last column is how many cores other programs used meanwhile: rows/s depend on them."""
_STAGE = """\
{rows:,} orders are read, mapped, compared and written to a ledger on PostgreSQL, and nothing is sent. Seconds are those
of staging alone, CPU time that of the whole command. The server uses the same cores, and so bounds what a second
process can gain: "2 at once" are two such commands of one process each, into two ledgers on that server, with their
time divided by 2. "By CPU time" is for a machine with a core for each process and connection: CPU time of the process
that takes more, and a share of that of the server. Aim: 2 processes at least 1.7 times as fast as one. With Ray the
driver and a worker on each of two nodes of this machine stage; Ray's own time is left out."""
# Ways to keep the ledger, and the processes that send.
_LEDGERS = {"SQLite": 1, "PostgreSQL, 1 process": 1, "PostgreSQL, 2 processes": 2}
_ON_RAY = "PostgreSQL, Ray, 2 nodes, HTTP"


def send(scene: Scene, server: BenchmarkServer, *, rows: int, runs: int) -> Table:
    """Return the cost of sending, for each ledger and number of processes."""
    orders = str(scene.of("orders", rows))
    # This run does not count: the server signs each answer once, here.
    scene.workspace("warm-up").backfill("run", "orders", orders)
    candidates = [
        Candidate(
            f"{name}, {platform}",
            partial(more_sent, partial(_sent, scene, server, orders, name, platform), rows, rows // 10),
        )
        for platform in ("HTTP", "instant")
        for name in _LEDGERS
    ]
    candidates.insert(len(_LEDGERS), Candidate(_ON_RAY, partial(_more_sent_on_ray, scene, server, orders, rows)))
    lines = tuple(
        _line(entry, rows - rows // (2 if entry.name == _ON_RAY else 10), lambda one: one.cost.wall_seconds)
        for entry in compare(candidates, runs)
    )
    return Table("Send with each ledger", _SEND.format(rows=rows), _COLUMNS, lines)


def stage(scene: Scene, server: BenchmarkServer, *, rows: int, runs: int) -> Table:
    """Return the cost of staging new and known orders, by one process and by two."""
    orders, known = str(scene.of("orders", rows)), server.database()
    full = scene.delivered("orders", rows)
    sys.stderr.write("  copying it to the server\n")
    full.backfill("ledger", "copy", "sqlite:///state/backfill.db", known)
    scene.forget("orders", rows, keeps_export=True)
    copy = server.database(known)
    server.settle(known)
    server.settle(copy)
    candidates = [
        Candidate(f"{what}, {_named(processes)}", partial(_staged, scene, server, orders, url, processes))
        for what, url in (("new", None), ("all known", known))
        for processes in (1, 2)
    ]
    pairs = {
        what: Candidate(f"{what}, 2 at once", partial(_staged_at_once, scene, server, orders, urls))
        for what, urls in (("new", (None, None)), ("all known", (known, copy)))
    }
    candidates[2:2] = [pairs["new"], Candidate("new, Ray, 2 nodes", partial(_staged_on_ray, scene, server, orders))]
    candidates.append(pairs["all known"])
    entries = compare(candidates, runs)
    lines = tuple(
        (
            *_line(entry, rows, _staging_seconds),
            *entry.cells(lambda one: _driver_seconds(one) / rows * 1_000_000)[1:],
            one.times(entry, _staging_seconds),
            one.times(entry, path_seconds),
        )
        for alike in (entries[:4], entries[4:])
        for one in alike[:1]
        for entry in alike
    )
    server.drop(known)
    server.drop(copy)
    return Table("Stage with several processes", _STAGE.format(rows=rows), (*_COLUMNS, *_COMPARED), lines)


_COLUMNS = (
    "what", "seconds", "rows/s", "CPU µs a row", "server's CPU µs a row", "Ray's CPU µs a row", "together, µs",
    "peak MiB", "others' cores",
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
        lambda one: each_us(one.own_seconds),
        lambda one: each_us(one.server_seconds),
        lambda one: each_us(one.ray_seconds),
        lambda one: each_us(one.all_seconds),
        lambda one: one.cost.peak_mib,
        lambda one: one.others,
    )


def more_sent(sent: Callable[[int], SharedCost], rows: int, fewer: int) -> SharedCost:
    """Return the cost of all rows without that of `fewer` of them."""
    few, all_rows = sent(fewer), sent(rows)

    def more(cost: object, fewer: object, name: str) -> float:
        return float(getattr(cost, name) - getattr(fewer, name))

    wall, cpu = (more(all_rows.cost, few.cost, name) for name in ("wall_seconds", "cpu_seconds"))
    if wall <= 0 or cpu <= 0:
        raise Unavailable("too few rows to measure")
    return SharedCost(
        replace(all_rows.cost, wall_seconds=wall, cpu_seconds=cpu),
        others=all_rows.others,
        **{name: more(all_rows, few, name) for name in ("server_seconds", "worker_seconds", "ray_seconds")},
    )


def _sent(scene: Scene, server: BenchmarkServer, orders: str, ledger: str, platform: str, rows: int) -> SharedCost:
    sender = partial(_SENDERS[platform], orders=orders, processes=_LEDGERS[ledger], rows=rows)
    return _sent_by(scene, None if ledger == "SQLite" else server, sender)


def _sent_by(
    scene: Scene,
    server: BenchmarkServer | None,
    sender: Callable[[Workspace], Cost],
    cluster: BenchmarkCluster | None = None,
) -> SharedCost:
    """Send in a new workspace, whose ledger is on the server if there is one."""
    url = server.database() if server else ""
    workspace = scene.workspace("shared", url=url)
    # The most that a config may have. Both platforms get it.
    config = workspace.folder / "backfill.toml"
    config.write_text(config.read_text(encoding="utf-8").replace("rate = 5000", "rate = 10000"), encoding="utf-8")
    try:
        return shared_cost(server, partial(sender, workspace), cluster)
    finally:
        if server:
            server.drop(url)


def _more_sent_on_ray(scene: Scene, server: BenchmarkServer, orders: str, rows: int) -> SharedCost:
    """Return the cost of half of the rows, sent on nodes that start before and end afterwards."""
    with benchmark_cluster() as cluster:

        def sent(rows: int) -> SharedCost:
            on_nodes = partial(
                _over_http, orders=orders, rows=rows, more=("--engine", "ray", "--address", cluster.nodes.address)
            )
            return _sent_by(scene, server, on_nodes, cluster)

        return more_sent(sent, rows, rows // 2)


def _over_http(workspace: Workspace, *, orders: str, rows: int, processes: int = 1, more: Sequence[str] = ()) -> Cost:
    more = more if processes == 1 else ("--processes", str(processes))
    return workspace.backfill("run", "orders", orders, "--limit", str(rows), "--no-progress", *more)


def _instant(workspace: Workspace, *, orders: str, rows: int, processes: int = 1) -> Cost:
    words = ("-m", "benchmarks.instant_platform", "orders", orders, str(processes), str(rows))
    return cost_of(python(*words), folder=workspace.folder)


_SENDERS: dict[str, Callable[..., Cost]] = {"HTTP": _over_http, "instant": _instant}


def _staged_on_ray(scene: Scene, server: BenchmarkServer, orders: str) -> SharedCost:
    with benchmark_cluster() as cluster:
        return _staged(scene, server, orders, None, 3, cluster)


def _staged_at_once(
    scene: Scene, server: BenchmarkServer, orders: str, urls: tuple[str | None, str | None]
) -> SharedCost:
    """Stage into two ledgers at once, by one process each; return half of the cost of both."""

    def staged(url: str | None) -> Cost:
        return _staged(scene, server, orders, url, 1).cost

    def both() -> Cost:
        cost = cost_at_once([partial(staged, url) for url in urls])
        seconds, cpu = zip(*(map(float, line.split()[:2]) for line in cost.stdout.splitlines()), strict=True)
        # Each process does a half of the work of one command.
        return replace(cost, stdout=f"{max(seconds) / 2} {sum(cpu) / 4} {sum(cpu) / 4}")

    cost = shared_cost(server, both)
    return replace(cost, server_seconds=cost.server_seconds / 2)


def _staged(
    scene: Scene,
    server: BenchmarkServer,
    orders: str,
    url: str | None,
    processes: int,
    cluster: BenchmarkCluster | None = None,
) -> SharedCost:
    """Stage into a ledger at `url`, or into an empty one."""
    place = url or server.database()
    workspace = scene.workspace("staged", url=place)
    address = [cluster.nodes.address] if cluster else []
    command: Sequence[str] = python("-m", "benchmarks.staging", "orders", orders, str(processes), *address)
    try:
        return shared_cost(server, partial(cost_of, command, folder=workspace.folder), cluster)
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
    """Return how long staging takes if each process and each of its connections has a core, by CPU time."""
    times = _StagingTimes.of(one)
    if one.worker_seconds:
        return max(times.driver, one.worker_seconds / 2) + one.server_seconds / 3
    return max(times.driver, times.others) + one.server_seconds / (2 if times.others else 1)
