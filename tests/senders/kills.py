"""One run that two processes send, and the death of one of them at a moment; what has to hold afterwards."""

import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipeline.simulator import FaultKind, InjectedFault, When
from tests.acceptance.workspace import order, refund
from tests.kills.promises import nothing_counts_twice
from tests.postgresql.server import PostgresServer
from tests.senders.scene import LEASE_SECONDS, Ended, Scene, end_of, scene_on, wait_until

# Requests a second. Answers are slow enough for requests to be under way at any moment.
RATE = 60
SLOW = InjectedFault(FaultKind.SLOW, seconds=0.05, when=When.AFTER_APPLYING)
# Slower answers, until all processes have joined the run.
HELD = InjectedFault(FaultKind.SLOW, seconds=1.0, when=When.AFTER_APPLYING)
# How much longer than its lease a process is frozen.
_LONGER = 1.5
# The lease of processes that the server's outage cuts off: all have to be back before another one ends.
OUTAGE_LEASE_SECONDS = 4.0
# At once, with answers that take this long, a process has as many requests under way as it can.
_DRAIN_SECONDS = 30.0


class Death(StrEnum):
    """What dies, and how."""

    WORKER = "worker"
    FROZEN = "frozen worker"
    LEADER = "leading process"


@dataclass(frozen=True)
class Killed:
    """How the run ended. `was_refused`: a process that woke after its lease could not write."""

    exit_code: int
    was_refused: bool


def play(scene: Scene, death: Death, *, after: int, rows: int, within: float = 0.0) -> Killed:
    """
    Let two processes send a run, end one of them after so many requests, and let the run end.

    `within` are seconds that pass in between.

    Raises AssertionError for each promise that does not hold.
    """
    wanted = prepare(scene, rows)
    scene.simulator.set_faults([HELD])
    worker, lines = start_worker(scene)
    leader = scene.start("run", "orders", "--no-progress")
    wait_for_senders(scene, leader, 2)
    scene.simulator.set_faults([SLOW])
    wait_for_requests(scene, leader, after, within)
    woken = False
    if death is Death.LEADER:
        leader.kill()
        end_of(leader)
        ended = resume_until_free(scene)
    else:
        worker.send_signal(signal.SIGSTOP if death is Death.FROZEN else signal.SIGKILL)
        if death is Death.FROZEN:
            time.sleep(LEASE_SECONDS * _LONGER)
            wait_until(lambda: leader.poll() is not None or scene.senders() < 2)
            worker.send_signal(signal.SIGCONT)
            woken = True
        ended = end_of(leader)
    if death is not Death.WORKER:
        if woken:
            wait_until(lambda: lines.has("sender_failed") or lines.has("sender_left"))
        drain(worker, lines)
    check(scene, ended, wanted)
    return Killed(ended.exit_code, was_refused="held up for longer than its lease" in lines.text)


def outlast(scene: Scene, server: PostgresServer, *, after: int, rows: int, away: float) -> None:
    """
    Let three processes send a run, crash the server after so many requests, and start it again after `away` seconds.

    That is longer than their leases. Raises AssertionError for each promise that does not hold, and if a process lost
    its lease.
    """
    assert away > OUTAGE_LEASE_SECONDS
    wanted = prepare(scene, rows)
    scene.simulator.set_faults([HELD])
    workers = [start_worker(scene, OUTAGE_LEASE_SECONDS) for _ in range(2)]
    leader = scene.start("run", "orders", "--no-progress", lease=OUTAGE_LEASE_SECONDS)
    wait_for_senders(scene, leader, 3)
    scene.simulator.set_faults([SLOW])
    wait_for_requests(scene, leader, after, 0.0)
    scene.disconnect()
    server.kill()
    time.sleep(away)
    server.start()
    ended = end_of(leader)
    for worker, lines in workers:
        drain(worker, lines)
        assert not lines.has("sender_failed"), lines.text
    check(scene, ended, wanted)


def start_worker(scene: Scene, lease: float = LEASE_SECONDS) -> tuple[subprocess.Popen[str], "Lines"]:
    """Start a worker; return it with the lines of its log, once it waits for runs."""
    worker = scene.start("worker", "--log-format", "json", lease=lease)
    lines = Lines(worker)
    wait_until(lambda: lines.has("worker_begun"))
    return worker, lines


def play_alone(server: PostgresServer, play: Callable[[Scene], Killed], child: str = "tests.senders.child") -> str:
    """Play a run in a scene of its own; return its figures."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, scene_on(server, Path(folder), child) as scene:
        found = play(scene)
        resent = len(scene.keys()) - len(set(scene.keys()))
    return f"{resent} sent again, {found}, {time.monotonic() - began:.0f} s"


def prepare(scene: Scene, rows: int) -> set[str]:
    """Write so many payments, with a refund of each fifth one, and the rate; return the keys of all rows."""
    refunds = range(0, rows, 5)
    scene.export("orders.csv", [*map(order, range(rows)), *(refund(n, n) for n in refunds)])
    scene.configure({"jobs.orders": {"rate": RATE}, "jobs.tasks": {"rate": RATE}})
    return {*(f"A{n}" for n in range(rows)), *(f"R{n}" for n in refunds)}


def wait_for_requests(scene: Scene, run: subprocess.Popen[str], count: int, seconds: float) -> None:
    """Wait until so many requests have come, unless the run ends before, and some seconds more."""
    wait_until(lambda: run.poll() is not None or len(scene.keys()) >= count)
    time.sleep(seconds)


def wait_for_senders(scene: Scene, run: subprocess.Popen[str], count: int) -> None:
    """Wait until so many processes send for a run. Answers must be slow, or the run may end before."""
    wait_until(lambda: run.poll() is not None or scene.senders() == count)
    assert run.poll() is None, "the run ended before all processes had joined it"


def drain(worker: subprocess.Popen[str], lines: "Lines") -> None:
    """End a worker as a service manager does."""
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(_DRAIN_SECONDS) == 0, lines.text


def resume_until_free(scene: Scene) -> Ended:
    """Resume the run as another process; the job of the dead one may count as held for a moment."""
    until = time.monotonic() + _DRAIN_SECONDS
    while (ended := scene.command("resume", "last", "--no-progress")).exit_code == 6:
        assert time.monotonic() < until
    return ended


def check(scene: Scene, ended: Ended, wanted: set[str]) -> None:
    """Raise AssertionError unless each row succeeded, with one body for each key and few repeats, within the quota."""
    assert ended.exit_code == 0, ended.stderr
    journal = scene.simulator.journal.entries
    assert [row["status"] for row in scene.outcomes() if row["status"] != "succeeded"] == [], ended.stderr
    assert len(scene.outcomes()) == len(wanted)
    assert {entry.key for entry in journal} == wanted
    nothing_counts_twice(journal)
    assert len(journal) - len(wanted) <= 2 * scene.concurrency
    arrived = sorted(entry.steady for entry in journal)
    assert all(later - first >= 1.0 for first, later in zip(arrived, arrived[RATE:], strict=False))
    assert scene.ask("SELECT (SELECT count(*) FROM partitions) + (SELECT count(*) FROM senders)") == [(0,)]


class Lines:
    """The lines that a process writes to stderr, read as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.text = ""
        self._process = process
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.text += line

    def has(self, event: str) -> bool:
        """Return whether a line of this event has come."""
        return f'"event": "{event}"' in self.text or f'"event":"{event}"' in self.text
