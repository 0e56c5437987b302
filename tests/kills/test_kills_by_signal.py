"""The first signal makes a run drain, the second one ends it at once. Both runs can be resumed."""

import json
import signal
import time
from typing import Any

import pytest

from pipeline.simulator import FaultKind, InjectedFault, When
from tests.kills import promises
from tests.kills.exports import orders
from tests.kills.fixtures import NewWorkspace
from tests.kills.workspace import Workspace, end_of, wait_until


def summary(one: Workspace) -> Any:
    (path,) = one.folder.glob("reports/*/summary.json")
    return json.loads(path.read_bytes())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_makes_a_run_drain(new_workspace: NewWorkspace, number: signal.Signals) -> None:
    """Requests in flight get their outcome, the rest stays unsent, the exit code is 5, and `resume` completes."""
    one = new_workspace(orders(120))
    one.simulator.set_faults([InjectedFault(FaultKind.SLOW, seconds=0.1, when=When.AFTER_APPLYING)])
    process = one.start("run", "orders")
    wait_until(lambda: len(one.simulator.journal.entries) >= 9)
    process.send_signal(number)
    stopped = end_of(process)

    assert (stopped.exit_code, f"{number.name}: waiting for requests in flight" in stopped.stderr) == (5, True)
    assert (summary(one)["state"], summary(one)["rows"], summary(one)["counts"]["unknown"]) == ("interrupted", 120, 0)
    assert {line["code"] for line in one.outcomes() if line["status"] == "unsent"} == {"interrupted"}
    promises.statuses_are_true(one.outcomes(), one.simulator.journal.entries)
    one.simulator.set_faults([])
    assert one.command("resume", "last").exit_code == one.export.exit_code
    promises.all_rows_are_done(one.export, one.outcomes(), one.simulator.journal.entries)
    assert promises.resent_by_end(one.simulator.journal.entries, []) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_second_signal_ends_a_run_at_once(new_workspace: NewWorkspace, number: signal.Signals) -> None:
    """The second signal does not wait for answers; `resume` sends the requests in flight again."""
    one = new_workspace(orders(20))
    # Each second one, and so not the first: no other is sent before it is answered.
    one.simulator.set_faults([InjectedFault(FaultKind.SLOW, every=2, seconds=30, when=When.AFTER_APPLYING)])
    process = one.start("run", "orders", "--no-progress")
    wait_until(lambda: one.simulator.journal.summary()["faults"] == {"slow": one.concurrency})
    process.send_signal(number)
    assert process.stderr is not None
    for line in process.stderr:
        if "send it again to end at once" in line:
            break
    signalled = time.monotonic()
    process.send_signal(number)
    ended = end_of(process)
    died = time.monotonic()

    assert (ended.exit_code, died - signalled < 15) == (5, True)
    one.simulator.set_faults([])
    assert one.command("resume", "last").exit_code == one.export.exit_code
    promises.all_rows_are_done(one.export, one.outcomes(), one.simulator.journal.entries)
    (resent,) = promises.resent_by_end(one.simulator.journal.entries, [died])
    assert one.concurrency <= resent <= 2 * one.concurrency
