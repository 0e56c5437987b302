"""A process that is held up longer than its lease loses its job, and does no harm."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.ledger.store.schema import VERSION
from tests.kills import promises
from tests.kills.children import Child, CommandResult
from tests.kills.effects import Effect
from tests.kills.exports import orders
from tests.kills.fixtures import NewWorkspace
from tests.kills.process_faults import FrozenAt, Impatient
from tests.kills.workspace import Workspace, wait_until

_LEASE_SECONDS = 0.5
# Commits that build a new ledger.
BUILT = VERSION


def frozen(one: Workspace, effect: Effect, number: int) -> Child:
    """Begin a run; return its process after it has stopped."""
    child = one.begin("run", "orders", fault=FrozenAt(effect, number, _LEASE_SECONDS))
    wait_until(lambda: _is_stopped(child.pid))
    return child


def _is_stopped(pid: int) -> bool:
    # Field 3 of /proc/PID/stat; the name in field 2 may hold blanks and ends with the last parenthesis.
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "T"


def repeat_while_held(act: Callable[[], CommandResult]) -> CommandResult:
    """Repeat a command as long as the job is held."""
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
def test_a_late_process_is_refused_and_nothing_is_lost(
    new_workspace: NewWorkspace, effect: Effect, number: int
) -> None:
    """Another process takes over after the lease has ended; the late one writes nothing more."""
    one = new_workspace(orders(14), concurrency=1)
    late = frozen(one, effect, number)
    ends = [time.monotonic()]

    finished = repeat_while_held(lambda: one.child("resume", "last"))

    assert finished.exit_code == one.export.exit_code, finished.stderr
    lines = one.outcomes()
    os.kill(late.pid, signal.SIGCONT)
    ends.append(time.monotonic())
    woken = late.end()
    assert (woken.exit_code, "was taken over by another run" in woken.stderr) == (2, True), woken.stderr
    assert one.child("report", "last").exit_code == 0
    assert one.outcomes() == lines
    promises.all_rows_are_done(one.export, lines, one.simulator.journal.entries)
    assert max(promises.resent_by_end(one.simulator.journal.entries, ends)) <= 2 * one.concurrency


def test_a_process_frozen_in_a_transaction_blocks_the_ledger(new_workspace: NewWorkspace) -> None:
    """The next command says that the ledger is locked. After the process is killed the run is resumed."""
    one = new_workspace(orders(14), concurrency=1)
    stuck = frozen(one, Effect.BEFORE_COMMIT, BUILT + 9)

    refused = one.child("resume", "last", fault=Impatient())
    stuck.kill()
    ends = [time.monotonic()]
    finished = one.child("resume", "last")

    assert refused == CommandResult(
        2,
        "",
        f"backfill: ledger {one.ledger}: another process keeps it locked; wait for that process or end it, "
        "then try again (SQLITE_BUSY)\n",
    )
    assert finished.exit_code == one.export.exit_code, finished.stderr
    promises.all_rows_are_done(one.export, one.outcomes(), one.simulator.journal.entries)
    assert max(promises.resent_by_end(one.simulator.journal.entries, ends)) <= 2 * one.concurrency
