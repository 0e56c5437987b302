"""Tasks with a time limit."""

import threading
from collections.abc import Callable

from pipeline.clock import SystemClock
from pipeline.notify.background import Background
from pipeline.notify.channels.not_sent import NotSent


def raises(error: Exception) -> Callable[[], None]:
    def task() -> None:
        raise error

    return task


def test_faults_of_tasks_are_returned() -> None:
    """A reason in words is repeated; of any other error only the kind, because its text may hold a secret."""
    background, done = Background(SystemClock()), threading.Event()
    background.start("good", done.set)
    background.start("refused", raises(NotSent("HTTP 404")))
    background.start("broken", raises(ValueError("the secret")))

    assert sorted(background.wait(10)) == ["broken: ValueError", "refused: HTTP 404"]
    assert done.is_set()


def test_a_task_that_hangs_delays_no_longer_than_the_limit() -> None:
    """It is named, and the others are not held up."""
    background, ends = Background(SystemClock()), threading.Event()

    def wait() -> None:
        ends.wait(30)

    background.start("slow", wait)

    assert background.wait(0.05) == ["slow: no end after 0.05 s"]
    ends.set()


def test_tasks_of_one_name_run_in_order() -> None:
    """The end of a run is sent after its begin."""
    background, begins, order = Background(SystemClock()), threading.Event(), list[str]()

    def begin() -> None:
        begins.wait(30)
        order.append("begin")

    background.start("lineage", begin)
    background.start("lineage", lambda: order.append("end"))
    begins.set()

    assert (background.wait(10), order) == ([], ["begin", "end"])


class NoThread(threading.Thread):
    """A thread of a machine that has none left."""

    def start(self) -> None:
        raise RuntimeError("can't start new thread")


def test_a_machine_without_threads_is_a_fault() -> None:
    """The run that starts a task goes on."""
    background = Background(SystemClock(), NoThread)
    background.start("team", lambda: None)

    assert background.wait(10) == ["team: this machine has no thread left"]


def test_nothing_to_wait_for_takes_no_time() -> None:
    """Without tasks there are no faults."""
    assert Background(SystemClock()).wait(10) == []
