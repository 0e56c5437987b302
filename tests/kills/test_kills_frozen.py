"""A process that is held up for longer than its lease finds its job taken, and does no harm."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.ledger.store.schema import VERSION
from tests.kills import laws
from tests.kills.children import Child, Ended
from tests.kills.effects import Effect
from tests.kills.exports import orders
from tests.kills.fates import FrozenAt, Impatient
from tests.kills.fixtures import MakeScene
from tests.kills.scene import Scene, wait_until

_LEASE_SECONDS = 0.5
# Each step that builds a new ledger begins and commits once.
BUILT = VERSION


def frozen(one: Scene, effect: Effect, number: int) -> Child:
    """Begin a run, and return its process once it has stopped."""
    child = one.begin("run", "orders", fate=FrozenAt(effect, number, _LEASE_SECONDS))
    wait_until(lambda: _is_stopped(child.pid))
    return child


def _is_stopped(pid: int) -> bool:
    # Field 3 of /proc/PID/stat; the name in field 2 may hold blanks and ends with the last parenthesis.
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "T"


def insist(act: Callable[[], Ended]) -> Ended:
    """Repeat a command for as long as it is told that the job is held."""
    while "is held by run" in (ended := act()).stderr:
        assert ended.exit_code == 6
    return ended


@pytest.mark.parametrize(
    ("effect", "number"),
    [
        pytest.param(Effect.AFTER_COMMIT, BUILT + 3, id="while it stages"),
        pytest.param(Effect.AFTER_COMMIT, BUILT + 8, id="between intent and request"),
        pytest.param(Effect.BEFORE_SEND, 3, id="before a request"),
        pytest.param(Effect.AFTER_SEND, 3, id="between answer and outcome"),
        pytest.param(Effect.BEFORE_BEGIN, BUILT + 13, id="between two deliveries"),
        pytest.param(Effect.AFTER_SEND, 10, id="before it concludes"),
    ],
)
def test_a_late_process_is_refused_and_nothing_is_lost(scene: MakeScene, effect: Effect, number: int) -> None:
    """Another process takes over once the lease has ended; the late one then learns of it and writes nothing more."""
    one = scene(orders(14), concurrency=1)
    late = frozen(one, effect, number)
    ends = [time.monotonic()]

    finished = insist(lambda: one.child("resume", "last"))

    assert finished.exit_code == one.export.exit_code, finished.stderr
    lines = one.outcomes()
    os.kill(late.pid, signal.SIGCONT)
    ends.append(time.monotonic())
    woken = late.end()
    assert (woken.exit_code, "was taken over by another run" in woken.stderr) == (2, True), woken.stderr
    assert one.child("report", "last").exit_code == 0
    assert one.outcomes() == lines
    laws.all_is_done(one.export, lines, one.simulator.journal.entries)
    assert max(laws.duplicates_by_end(one.simulator.journal.entries, ends)) <= 2 * one.concurrency


def test_a_process_frozen_inside_a_transaction_keeps_the_ledger_until_it_is_ended(scene: MakeScene) -> None:
    """Nobody can take over what is locked: that is said, and once the process is gone the run goes on."""
    one = scene(orders(14), concurrency=1)
    stuck = frozen(one, Effect.BEFORE_COMMIT, BUILT + 9)

    refused = one.child("resume", "last", fate=Impatient())
    stuck.kill()
    ends = [time.monotonic()]
    finished = one.child("resume", "last")

    assert refused == Ended(
        2,
        "",
        f"backfill: ledger {one.ledger}: another process keeps it locked; wait for that process or end it, "
        "then try again (SQLITE_BUSY)\n",
    )
    assert finished.exit_code == one.export.exit_code, finished.stderr
    laws.all_is_done(one.export, one.outcomes(), one.simulator.journal.entries)
    assert max(laws.duplicates_by_end(one.simulator.journal.entries, ends)) <= 2 * one.concurrency
