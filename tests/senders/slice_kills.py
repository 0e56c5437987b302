"""One run that several processes stage, and the death of one of them at a moment; what has to hold afterwards."""

import signal
import subprocess
import time

from pipeline.ledger.store.lease import LeaseOwner
from tests.acceptance.workspace import order, refund
from tests.senders.kills import RATE, Death, Killed, Lines, check, drain, resume_until_free
from tests.senders.scene import Ended, Scene, end_of, wait_until

# Payments of each input. Each input is a slice.
_PAYMENTS = 3
# A cell that makes a slice take longer.
_NOTE = "x" * 400_000
# How long a commit takes at most.
_COMMIT_SECONDS = 0.1
# Each slice has two steps: it is staged, then its rows are written.
_STEPS = "SELECT count(*) FILTER (WHERE state <> 'open') + count(*) FILTER (WHERE state = 'written') FROM slices"
# A slice whose lease has ended is its owner's until another process takes it.
_OWNERS = "SELECT holder FROM slices WHERE state IN ('open', 'found') AND expires_at > '-infinity'"


def play(scene: Scene, death: Death, *, after: int, slices: int, within: float = 0.0) -> Killed:
    """
    Let three processes stage a run, end one of them after so many steps, and let the run end.

    A slice is staged in one step, and its rows are written in another. `within` are seconds that pass in between.

    Raises AssertionError for each promise that does not hold.
    """
    wanted = _export(scene, slices)
    orders = {"input": ["orders-*.csv"], "processes": 2, "rate": RATE}
    scene.configure({"jobs.orders": orders, "jobs.tasks": {"rate": RATE}})
    worker = scene.start("worker", "--log-format", "json")
    lines = Lines(worker)
    wait_until(lambda: lines.has("worker_begun"))
    driver = scene.start("run", "orders", "--no-progress")
    wait_until(lambda: driver.poll() is not None or _steps(scene) >= after)
    time.sleep(within)
    if death is Death.LEADER:
        driver.kill()
        end_of(driver)
        ended = resume_until_free(scene)
    else:
        ended = _end_worker(scene, death, worker, driver)
    if death is not Death.WORKER:
        drain(worker, lines)
    _check(scene, ended, wanted)
    return Killed(ended.exit_code, was_refused="was taken over by another process" in lines.text)


def _export(scene: Scene, slices: int) -> set[str]:
    """Write the inputs, with each refund in another one than its payment; return the keys of all rows."""
    payments = slices * _PAYMENTS
    for n in range(slices):
        first = n * _PAYMENTS
        rows = [*map(order, range(first, first + _PAYMENTS)), refund(first, (first + _PAYMENTS) % payments)]
        scene.export(f"orders-{n:03d}.csv", [{**row, "note": _NOTE} for row in rows])
    return {*(f"A{n}" for n in range(payments)), *(f"R{n}" for n in range(0, payments, _PAYMENTS))}


def _steps(scene: Scene) -> int:
    return int(scene.ask(_STEPS)[0][0])


def _end_worker(scene: Scene, death: Death, worker: "subprocess.Popen[str]", driver: "subprocess.Popen[str]") -> Ended:
    """Stop the worker while it has a slice, for good or until another process has it; return how the run ended."""

    def has_a_slice() -> bool:
        return any(LeaseOwner.parse(owner).pid == worker.pid for (owner,) in scene.ask(_OWNERS))

    def is_stopped() -> bool:
        worker.send_signal(signal.SIGSTOP)
        if has_a_slice():
            # The server may still commit what the worker had sent.
            time.sleep(_COMMIT_SECONDS)
            if has_a_slice():
                return True
        worker.send_signal(signal.SIGCONT)
        return driver.poll() is not None

    wait_until(is_stopped)
    if death is Death.WORKER:
        worker.kill()
    else:
        wait_until(lambda: not has_a_slice())
        worker.send_signal(signal.SIGCONT)
    return end_of(driver)


def _check(scene: Scene, ended: Ended, wanted: set[str]) -> None:
    check(scene, ended, wanted)
    summary = scene.summary()
    assert (summary["rows"], summary["counts"]) == (len(wanted), {**_NONE, "succeeded": len(wanted)})
    assert sum(file["rows"] for file in summary["inputs"]) == len(wanted)
    assert scene.ask("SELECT (SELECT count(*) FROM slices) + (SELECT count(*) FROM blocks)") == [(0,)]


_NONE = dict.fromkeys(("skipped", "invalid", "rejected", "unknown", "blocked", "unsent"), 0)
