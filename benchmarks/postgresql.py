"""A PostgreSQL server with its own settings, as Debian installs it, and the CPU time of all that a command uses."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cluster import BenchmarkCluster, ClusterUse
from benchmarks.measure import Cost

# The measuring process stays small: psycopg is imported only where a server is used.
if TYPE_CHECKING:
    from tests.postgresql.server import PostgresServer

_TICKS = os.sysconf("SC_CLK_TCK")
# CPU time in /proc/PID/stat behind the name: user and system of the process, then of its children that have ended.
_PARENT, _OWN, _ENDED = 1, slice(11, 13), slice(13, 15)


@dataclass(frozen=True, slots=True)
class SharedCost:
    """
    The cost of a command, the server's CPU time meanwhile, and the cores that other programs used.

    `worker_seconds` and `ray_seconds` are CPU time of the workers on a cluster, and of Ray's own processes.
    """

    cost: Cost
    server_seconds: float
    others: float
    worker_seconds: float = 0.0
    ray_seconds: float = 0.0

    @property
    def own_seconds(self) -> float:
        """CPU time of `backfill`, on this host and on the nodes."""
        return self.cost.cpu_seconds + self.worker_seconds

    @property
    def all_seconds(self) -> float:
        """CPU time of all that worked for the command."""
        return self.own_seconds + self.server_seconds + self.ray_seconds


@dataclass(frozen=True, slots=True)
class BenchmarkServer:
    """A server that runs."""

    server: "PostgresServer"

    def database(self, copied: str = "") -> str:
        """Make an empty database, or a copy of one that nobody uses; return its URL."""
        return self.server.database(*([copied.rpartition("/")[2]] if copied else []))

    def drop(self, url: str) -> None:
        """Delete a database."""
        self.server.drop(url)

    def settle(self, url: str) -> int:
        """Do what autovacuum would do soon; return the size of the deliveries with their index. Bytes."""
        import psycopg  # noqa: PLC0415 - see the top

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            found = connection.execute("SELECT pg_total_relation_size('deliveries')").fetchone()
        assert found is not None
        return int(found[0])

    def cpu_seconds(self) -> float:
        """Return the CPU time of the server and all of its processes so far."""
        assert self.server.process is not None
        return cpu_seconds_of(self.server.process.pid)


@contextmanager
def benchmark_server() -> Iterator[BenchmarkServer]:
    """Run a server with the settings of a new cluster."""
    from tests.postgresql.server import running  # noqa: PLC0415 - see the top

    with running(settings=()) as server:
        yield BenchmarkServer(server)


def cpu_seconds_of(pid: int) -> float:
    """Return the CPU time of a process, of its children that have ended, and of those that run."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if path.parent.name == str(pid):
            ticks += sum(map(int, (*fields[_OWN], *fields[_ENDED])))
        elif fields[_PARENT] == str(pid):
            ticks += sum(map(int, fields[_OWN]))
    return ticks / _TICKS


def shared_cost(
    server: BenchmarkServer | None, act: Callable[[], Cost], cluster: BenchmarkCluster | None = None
) -> SharedCost:
    """Return the cost of a command, with that of the server, and of a cluster."""
    server_before, busy_before = server.cpu_seconds() if server else 0.0, _busy_seconds()
    with cluster.metered() if cluster else nullcontext(ClusterUse()) as use:
        cost = act()
    busy = _busy_seconds() - busy_before
    server_seconds = server.cpu_seconds() - server_before if server else 0.0
    used = SharedCost(cost, server_seconds, 0.0, use.workers, use.ray)
    return replace(used, others=max(0.0, busy - used.all_seconds) / cost.wall_seconds)


def _busy_seconds() -> float:
    """Return the time that all cores have worked since the start of the machine."""
    user, nice, system, _idle, _waiting, *interrupts = map(
        int, Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + sum(interrupts)) / _TICKS
