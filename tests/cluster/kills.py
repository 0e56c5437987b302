"""One run on two nodes, and the death of one node at a moment while its worker lives; what has to hold afterwards."""

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipeline.simulator import FaultKind, InjectedFault, When
from tests.acceptance.workspace import order, refund
from tests.cluster.nodes import SECOND, RayNodes
from tests.senders.kills import RATE, SLOW, Lines, check
from tests.senders.scene import LEASE_SECONDS, TIMEOUT_SECONDS, Ended, Scene, wait_until

# Answers of a platform that has all senders join before the first ones have sent much.
HELD = InjectedFault(FaultKind.SLOW, seconds=1.0, when=When.AFTER_APPLYING)
# How much longer than its lease a worker is frozen.
_LONGER = 1.5


class Survivor(StrEnum):
    """What the worker of a dead node does: it goes on, or it wakes after its lease has ended."""

    GOES_ON = "goes on"
    WAKES_LATE = "wakes after its lease"


@dataclass(frozen=True)
class NodeKilled:
    """How the run ended. `was_refused`: the worker of the dead node could not write any more."""

    exit_code: int
    was_refused: bool


def play(
    scene: Scene, nodes: RayNodes, survivor: Survivor, *, after: int, rows: int, within: float = 0.0
) -> NodeKilled:
    """
    Let two nodes send a run, kill the second one after so many requests, and let the run end.

    `within` are seconds that pass in between. Raises AssertionError for each promise that does not hold.
    """
    scene.export("orders.csv", [*(order(n) for n in range(rows)), *(refund(n, n) for n in range(0, rows, 5))])
    scene.configure({"jobs.orders": {"rate": RATE}, "jobs.tasks": {"rate": RATE}})
    run, lines = start_on(scene, nodes, "run", "orders", "--no-progress")
    wait_until(lambda: run.poll() is not None or len(scene.keys()) >= after)
    time.sleep(within)
    worker = worker_on(lines, SECOND)
    actor = _parent(worker)
    if survivor is Survivor.WAKES_LATE:
        os.kill(worker, signal.SIGSTOP)
    nodes.kill_raylet(SECOND)
    # Within a second the actor would see it, kill the worker and end. Frozen before, it would be hung up with its node.
    os.kill(actor, signal.SIGSTOP)
    if survivor is Survivor.WAKES_LATE:
        time.sleep(LEASE_SECONDS * _LONGER)
        wait_until(lambda: run.poll() is not None or scene.senders() < 3)
        os.kill(worker, signal.SIGCONT)
    log = scene.folder / f"worker-{worker}.log"
    wait_until(lambda: any(event in log.read_text("utf-8") for event in ("sender_failed", "sender_left")))
    ended = end_of(run, lines)
    nodes.kill_workers()
    check(scene, ended, rows)
    return NodeKilled(ended.exit_code, was_refused="held up for longer than its lease" in log.read_text("utf-8"))


def start_on(
    scene: Scene, nodes: RayNodes, *words: str, stderr: int = subprocess.PIPE
) -> tuple[subprocess.Popen[str], Lines]:
    """Start a run on both nodes; return once three processes send, with the lines of its log."""
    scene.simulator.set_faults([HELD])
    run = scene.start(*words, "--engine", "ray", "--address", nodes.address, "--log-format", "json", stderr=stderr)
    lines = Lines(run)
    wait_until(lambda: run.poll() is not None or scene.senders() == 3)
    assert run.poll() is None, lines.text
    scene.simulator.set_faults([SLOW])
    return run, lines


def end_of(run: subprocess.Popen[str], lines: Lines) -> Ended:
    """Wait for the end of a run whose log is read already."""
    assert run.stdout is not None
    stdout = run.stdout.read()
    return Ended(run.wait(TIMEOUT_SECONDS), stdout, lines.text)


def worker_on(lines: Lines, node: str) -> int:
    """Return the process of the worker that began on a node."""
    records = [json.loads(line) for line in lines.text.splitlines()]
    (pid,) = [record["pid"] for record in records if record["event"] == "worker_begun" and record["node"] == node]
    return int(pid)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
