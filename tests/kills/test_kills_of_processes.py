"""A run of several processes: whichever of them dies or is stopped, nothing is lost and nothing counts twice."""

import os
import signal
import time
from pathlib import Path
from subprocess import Popen

import pytest

from pipeline.simulator import Fault, Kind, When
from tests.kills import laws
from tests.kills.exports import orders
from tests.kills.fixtures import MakeScene
from tests.kills.scene import Scene, end_of, wait_until

THREE = ("--processes", "3")


@pytest.fixture
def one(scene: MakeScene) -> Scene:
    """A platform that takes its time, and a hundred orders, six at once."""
    made = scene(orders(100), concurrency=6)
    made.simulator.set_faults([Fault(Kind.SLOW, seconds=0.05, when=When.AFTER_APPLYING)])
    return made


def children(process: "Popen[str]") -> list[int]:
    """Return the processes that a process has started, the first one first."""
    text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    return sorted(map(int, text.split()))


def sending(one: Scene, *words: str, requests: int = 20) -> tuple["Popen[str]", list[int]]:
    """Start a run, wait until so many requests have come, and return its process and those of its crews."""
    process = one.start(*words, *THREE)
    wait_until(lambda: len(one.simulator.journal.entries) >= requests or process.poll() is not None)
    crews = children(process)
    assert len(crews) == 3
    return process, crews


def is_gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return True


def resume_and_hold(one: Scene, ends: list[float]) -> None:
    """Resume the run, and hold what must be so after any history."""
    one.simulator.set_faults([])
    resumed = one.command("resume", "last", *THREE)
    assert resumed.exit_code == one.export.exit_code, resumed.stderr
    entries = one.simulator.journal.entries
    laws.all_is_done(one.export, one.outcomes(), entries)
    assert sum(laws.repeats_by_end(entries, ends)) <= 2 * one.concurrency


def test_a_crew_that_is_killed_ends_the_run(one: Scene) -> None:
    """The other processes finish what they have in flight, the run ends with exit 1, and resume goes on."""
    process, crews = sending(one, "run", "orders")
    os.kill(crews[1], signal.SIGKILL)
    ends = [time.monotonic()]
    ended = end_of(process)

    assert (ended.exit_code, ended.stdout) == (1, "")
    assert f"process {crews[1]} of the run was killed by SIGKILL" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert all(map(is_gone, crews))
    assert not list(one.folder.glob("reports/*/outcome.csv"))
    resume_and_hold(one, ends)


def test_crews_do_not_outlive_a_run_that_is_killed(one: Scene) -> None:
    """Once the run's own process is dead its crews send nothing more; another run takes the job at once."""
    process, crews = sending(one, "run", "orders")
    process.kill()
    ends = [time.monotonic()]
    process.wait()
    wait_until(lambda: all(map(is_gone, crews)))
    seconds = time.monotonic() - ends[0]
    stderr = end_of(process).stderr

    assert seconds < 5
    assert "Traceback" not in stderr
    resume_and_hold(one, ends)


def test_crews_that_were_stopped_do_not_outlive_it_either(one: Scene) -> None:
    """A crew that is stopped dies with its run, and leaves neither a lock nor a request behind."""
    process, crews = sending(one, "run", "orders")
    for crew in crews:
        os.kill(crew, signal.SIGSTOP)
    process.kill()
    ends = [time.monotonic()]
    process.wait()
    wait_until(lambda: all(map(is_gone, crews)))

    resume_and_hold(one, ends)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_to_the_whole_group_drains_all(one: Scene, number: signal.Signals) -> None:
    """Ctrl-C of a terminal reaches every process: all finish what is in flight, and the command exits with 5."""
    process = one.start("run", "orders", *THREE, wrapper=["setsid"])
    wait_until(lambda: len(one.simulator.journal.entries) >= 20)
    os.killpg(process.pid, number)
    stopped = end_of(process)

    assert (stopped.exit_code, "Traceback" in stopped.stderr) == (5, False), stopped.stderr
    assert {line["code"] for line in one.outcomes() if line["status"] == "unsent"} == {"interrupted"}
    assert not [line for line in one.outcomes() if line["status"] == "unknown"]
    laws.what_is_told_is_so(one.outcomes(), one.simulator.journal.entries)
    resume_and_hold(one, [])


def test_a_signal_while_crews_begin_leaves_no_traceback(one: Scene) -> None:
    """A Ctrl-C in the moment in which processes are started reaches none of them."""
    process = one.start("run", "orders", *THREE, wrapper=["setsid"])
    wait_until(lambda: len(children(process)) >= 1)
    os.killpg(process.pid, signal.SIGINT)
    stopped = end_of(process)

    assert (stopped.exit_code, "Traceback" in stopped.stderr) == (5, False), stopped.stderr
    resume_and_hold(one, [])


def test_a_second_signal_ends_all_at_once(one: Scene) -> None:
    """Asked twice the command does not wait for answers, and its crews end with it."""
    one.simulator.set_faults([Fault(Kind.SLOW, key="A[1-9]*", seconds=30, when=When.AFTER_APPLYING)])
    process = one.start("run", "orders", "--no-progress", *THREE)
    wait_until(lambda: one.simulator.journal.summary()["faults"] == {"slow": one.concurrency})
    crews = children(process)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    wait_until(lambda: "once more to end at once" in process.stderr.readline())  # type: ignore[union-attr]
    process.send_signal(signal.SIGINT)
    ended = end_of(process)
    ends = [time.monotonic()]

    assert ended.exit_code == 5
    wait_until(lambda: all(map(is_gone, crews)))
    resume_and_hold(one, ends)


def test_a_crew_that_is_stopped_for_a_while_does_no_harm(one: Scene) -> None:
    """A process that is held up goes on where it was once it wakes, and the others go on meanwhile."""
    process, crews = sending(one, "run", "orders")
    os.kill(crews[0], signal.SIGSTOP)
    before, patience = len(one.simulator.journal.entries), time.monotonic() + 5
    # Stopped while it held the quota, it would be waited for.
    wait_until(lambda: len(one.simulator.journal.entries) >= before + 20 or time.monotonic() > patience)
    os.kill(crews[0], signal.SIGCONT)
    ended = end_of(process)

    assert ended.exit_code == one.export.exit_code, ended.stderr
    entries = one.simulator.journal.entries
    laws.all_is_done(one.export, one.outcomes(), entries)
    assert laws.repeats_by_end(entries, []) == []
