"""A Ray cluster of two nodes on this machine, and the CPU time that its processes use while a command runs."""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_TICKS = os.sysconf("SC_CLK_TCK")
# Interval at which processes are looked at. What a process does after the last look, before it ends, is not counted.
_LOOK_SECONDS = 0.2
# An option that only workers have.
_OF_WORKERS = "--until-input-ends"


class Nodes(Protocol):
    """Nodes of a cluster that run on this machine."""

    @property
    def address(self) -> str:
        """HOST:PORT of the head node."""
        ...

    def processes(self) -> Mapping[int, Sequence[str]]:
        """Return the words of each process of the cluster, and of those that its processes started."""
        ...


@dataclass(slots=True)
class ClusterUse:
    """CPU seconds of the workers that run on a cluster, and of Ray's own processes, while a command ran."""

    workers: float = 0.0
    ray: float = 0.0


@dataclass(frozen=True, slots=True)
class BenchmarkCluster:
    """A cluster that runs."""

    nodes: Nodes

    @contextmanager
    def metered(self) -> Iterator[ClusterUse]:
        """Measure the CPU time within the context. The result is complete at its end."""
        use, has_ended, before = ClusterUse(), threading.Event(), self._cpu_seconds()
        seen = dict(before)

        def look() -> None:
            while not has_ended.wait(_LOOK_SECONDS):
                seen.update(self._cpu_seconds())

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield use
        finally:
            has_ended.set()
            thread.join()
            seen.update(self._cpu_seconds())
            for pid, (is_worker, seconds) in seen.items():
                used = seconds - before[pid][1] if pid in before else seconds
                if is_worker:
                    use.workers += used
                else:
                    use.ray += used

    def _cpu_seconds(self) -> dict[int, tuple[bool, float]]:
        """Return of each process of the cluster whether it is a worker, and its CPU time so far."""
        found: dict[int, tuple[bool, float]] = {}
        for pid, words in self.nodes.processes().items():
            # It may have ended since.
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                found[pid] = _OF_WORKERS in words, sum(map(int, fields[11:13])) / _TICKS
        return found


@contextmanager
def benchmark_cluster() -> Iterator[BenchmarkCluster]:
    """Run a cluster of two nodes, with a CPU each."""
    from tests.cluster.nodes import two_nodes  # noqa: PLC0415 - the measuring process stays small

    with two_nodes() as nodes:
        yield BenchmarkCluster(nodes)
