"""The CPU time of workers on a cluster, and of Ray's own processes."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.cluster import BenchmarkCluster

_WORKED_SECONDS = 0.2
# Works at each line of its input.
_WORKER = f"""
import sys, time
for line in sys.stdin:
    until = time.process_time() + {_WORKED_SECONDS}
    while time.process_time() < until:
        pass
    print("done", flush=True)
"""


@dataclass
class _Nodes:
    """Processes by name; a worker has the option of one."""

    address: str = "127.0.0.2:1"
    started: dict[int, Sequence[str]] = field(default_factory=dict)

    def start(self, name: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", _WORKER, name]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        self.started[process.pid] = command
        return process

    def processes(self) -> Mapping[int, Sequence[str]]:
        return self.started


def work(process: "subprocess.Popen[str]") -> None:
    """Make a process work once."""
    assert process.stdin is not None
    assert process.stdout is not None
    print(file=process.stdin, flush=True)
    assert process.stdout.readline() == "done\n"


def test_the_time_of_workers_and_that_of_ray_are_apart() -> None:
    """What a process used before does not count; one that starts meanwhile counts as a whole."""
    nodes = _Nodes()
    raylet = nodes.start("raylet")
    work(raylet)
    with BenchmarkCluster(nodes).metered() as use:
        work(raylet)
        worker = nodes.start("--until-input-ends")
        for _ in range(3):
            work(worker)
    for process in (raylet, worker):
        process.communicate("")

    # A tick of the system's clock is 10 ms. Python's start is a fraction of the bound.
    assert _WORKED_SECONDS - 0.05 <= use.ray < 2 * _WORKED_SECONDS
    assert use.workers >= 3 * _WORKED_SECONDS - 0.05
