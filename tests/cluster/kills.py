"""One run on two nodes, and the death of one node at a moment while its worker lives; what has to hold afterwards."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from tests.cluster.nodes import SECOND, RayNodes
from tests.senders.kills import HELD, SLOW, Killed, Lines, check, prepare, wait_for_requests, wait_for_senders
from tests.senders.scene import TIMEOUT_SECONDS, Ended, Scene, wait_until

# The lease of all processes of a run on a cluster: two nodes start on a machine that has more to do.
LEASE_SECONDS = 5.0
# How much longer than its lease a worker is frozen.
_LONGER = 1.2


class Survivor(StrEnum):
    """What the worker of a dead node does: it goes on, or it wakes after its lease has ended."""

    GOES_ON = "goes on"
    WAKES_LATE = "wakes after its lease"


def play(scene: Scene, nodes: RayNodes, survivor: Survivor, *, after: int, rows: int, within: float = 0.0) -> Killed:
    """
    Let two nodes send a run, kill the second one after so many requests, and let the run end.

    `within` are seconds that pass in between. Raises AssertionError for each promise that does not hold. `was_refused`:
    the worker of the dead node could not write any more.
    """
    wanted = prepare(scene, rows)
    run = start_on(scene, nodes, "run", "orders", "--no-progress", "--log-format", "json")
    lines = Lines(run)
    scene.simulator.set_faults([SLOW])
    worker = worker_on(lines, SECOND)
    actor, log = _parent(worker), log_of(scene, worker)
    wait_for_requests(scene, run, after, within)
    number = _freeze(scene, worker) if survivor is Survivor.WAKES_LATE else 0
    nodes.kill_raylet(SECOND)
    before = len(log.read_text("utf-8"))
    # Within a second the actor would see it, kill the worker and end. Frozen before, it would be hung up with its node.
    os.kill(actor, signal.SIGSTOP)
    if survivor is Survivor.WAKES_LATE:
        time.sleep(LEASE_SECONDS * _LONGER)
        wait_until(lambda: (number,) not in scene.ask("SELECT sender_no FROM senders"))
        os.kill(worker, signal.SIGCONT)
    wait_until(lambda: "sender_" in log.read_text("utf-8")[before:])
    ended = end_of(run, lines)
    nodes.kill_workers()
    check(scene, ended, wanted)
    return Killed(ended.exit_code, was_refused="sender_failed" in log.read_text("utf-8")[before:])


def start_on(
    scene: Scene,
    nodes: RayNodes,
    *words: str,
    environ: Mapping[str, str] | None = None,
    stderr: int = subprocess.PIPE,
) -> subprocess.Popen[str]:
    """Start a run on both nodes; return once three processes send, slowly."""
    scene.simulator.set_faults([HELD])
    words = (*words, "--engine", "ray", "--address", nodes.address)
    run = scene.start(*words, lease=LEASE_SECONDS, environ=environ, stderr=stderr)
    wait_for_senders(scene, run, 3)
    return run


def end_of(run: subprocess.Popen[str], lines: Lines) -> Ended:
    """Wait for the end of a run whose log is read already."""
    assert run.stdout is not None
    stdout = run.stdout.read()
    return Ended(run.wait(TIMEOUT_SECONDS), stdout, lines.text)


def worker_on(lines: Lines, node: str) -> int:
    """Return the process of the worker that began on a node."""
    wait_until(lambda: lines.text.count("worker_begun") == 2)
    records = [json.loads(line) for line in lines.text.splitlines()]
    (pid,) = [record["pid"] for record in records if record["event"] == "worker_begun" and record["node"] == node]
    return int(pid)


def log_of(scene: Scene, worker: int) -> Path:
    """Return the log that a worker writes."""
    return scene.folder / f"worker-{worker}.log"


def _freeze(scene: Scene, worker: int) -> int:
    """Freeze a worker while it has partitions; return its number as a sender."""
    having = f"SELECT sender_no FROM senders JOIN partitions USING (sender_no) WHERE holder LIKE '% {worker} %'"
    found: list[int] = []

    def is_frozen() -> bool:
        os.kill(worker, signal.SIGSTOP)
        found.extend(number for (number,) in scene.ask(having))
        if not found:
            os.kill(worker, signal.SIGCONT)
        return bool(found)

    wait_until(is_frozen)
    return found[0]


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
