"""A run that is asked to stop finishes what is in flight; asked twice, it ends at once. Both can be resumed."""

import json
import signal
import time
from typing import Any

import pytest

from pipeline.simulator import InjectedFault, Kind, When
from tests.kills import laws
from tests.kills.exports import orders
from tests.kills.fixtures import MakeScene
from tests.kills.scene import Scene, end_of, wait_until


def summary(one: Scene) -> Any:
    (path,) = one.folder.glob("reports/*/summary.json")
    return json.loads(path.read_bytes())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_run_that_is_asked_to_stop_drains(scene: MakeScene, number: signal.Signals) -> None:
    """What is in flight gets its outcome, the rest stays unsent, the exit code is 5, and `resume` ends the run."""
    one = scene(orders(120))
    one.simulator.set_faults([InjectedFault(Kind.SLOW, seconds=0.1, when=When.AFTER_APPLYING)])
    process = one.start("run", "orders")
    wait_until(lambda: len(one.simulator.journal.entries) >= 9)
    process.send_signal(number)
    stopped = end_of(process)

    assert (stopped.exit_code, f"{number.name}: waiting for requests in flight" in stopped.stderr) == (5, True)
    assert (summary(one)["state"], summary(one)["rows"], summary(one)["counts"]["unknown"]) == ("interrupted", 120, 0)
    assert {line["code"] for line in one.outcomes() if line["status"] == "unsent"} == {"interrupted"}
    laws.what_is_told_is_so(one.outcomes(), one.simulator.journal.entries)
    one.simulator.set_faults([])
    assert one.command("resume", "last").exit_code == one.export.exit_code
    laws.all_is_done(one.export, one.outcomes(), one.simulator.journal.entries)
    assert laws.duplicates_by_end(one.simulator.journal.entries, []) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_run_that_is_asked_twice_ends_at_once(scene: MakeScene, number: signal.Signals) -> None:
    """The second signal does not wait for answers; `resume` sends again what was in flight, and ends the run."""
    one = scene(orders(20))
    # Not the first: until that is answered no other is sent.
    one.simulator.set_faults([InjectedFault(Kind.SLOW, key="A[1-9]*", seconds=30, when=When.AFTER_APPLYING)])
    process = one.start("run", "orders", "--no-progress")
    wait_until(lambda: one.simulator.journal.summary()["faults"] == {"slow": one.concurrency})
    process.send_signal(number)
    assert process.stderr is not None
    for line in process.stderr:
        if "once more to end at once" in line:
            break
    asked = time.monotonic()
    process.send_signal(number)
    ended = end_of(process)
    died = time.monotonic()

    assert (ended.exit_code, died - asked < 15) == (5, True)
    one.simulator.set_faults([])
    assert one.command("resume", "last").exit_code == one.export.exit_code
    laws.all_is_done(one.export, one.outcomes(), one.simulator.journal.entries)
    (repeats,) = laws.duplicates_by_end(one.simulator.journal.entries, [died])
    assert one.concurrency <= repeats <= 2 * one.concurrency
