"""Plain functions, spread over threads."""

import threading
from collections.abc import Iterator

import pytest

from pipeline.engines.threads import ThreadEngine


class Failed(Exception):
    """What a task of these tests raises."""


class Gang:
    """What the engine was given, and what it made of it."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.ticks = 0
        self.given_up = threading.Event()

    def run(self, tasks: Iterator[int], *, workers: int = 3, fails_at: int | None = None) -> None:
        def work(task: int) -> None:
            if task == fails_at:
                raise Failed
            self.done.append(task)

        ThreadEngine(0.001).run(tasks, work, workers=workers, tick=self.tick, give_up=self.given_up.set)

    def tick(self) -> None:
        self.ticks += 1


def test_every_task_is_done_once() -> None:
    """All tasks are done, each once, and the engine returns when the last one is."""
    worker_threads = Gang()
    worker_threads.run(iter(range(500)))

    assert sorted(worker_threads.done) == list(range(500))
    assert not worker_threads.given_up.is_set()


def test_one_worker_keeps_the_order() -> None:
    """With one worker tasks are done in their order."""
    worker_threads = Gang()
    worker_threads.run(iter(range(50)), workers=1)

    assert worker_threads.done == list(range(50))


def test_without_tasks_it_returns() -> None:
    """Where there is nothing to do the engine returns at once."""
    worker_threads = Gang()
    worker_threads.run(iter(()))

    assert worker_threads.done == []


def test_workers_work_side_by_side() -> None:
    """As many tasks are under way at once as there are workers."""
    together = threading.Barrier(4)

    def work(_: int) -> None:
        together.wait()

    ThreadEngine(0.001).run(iter(range(4)), work, workers=4, tick=lambda: None, give_up=together.abort)

    assert together.n_waiting == 0


def test_tasks_are_taken_as_they_are_wanted() -> None:
    """No task is taken before a worker is free for it."""
    taken: list[int] = []

    def tasks() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    seen: list[int] = []
    ThreadEngine(0.001).run(
        tasks(), lambda task: seen.append(len(taken) - task), workers=2, tick=lambda: None, give_up=lambda: None
    )

    assert max(seen) <= 2


def test_a_task_that_fails_stops_the_others() -> None:
    """The error of a task is raised once all threads are at rest; no further task is taken."""
    worker_threads = Gang()
    threads_before = threading.active_count()
    with pytest.raises(Failed):
        worker_threads.run(iter(range(10_000)), workers=4, fails_at=20)

    assert worker_threads.given_up.is_set()
    assert len(worker_threads.done) < 9_999
    assert threading.active_count() == threads_before


def test_tasks_that_can_not_be_read_stop_the_work() -> None:
    """An error of the tasks themselves is raised as that of a task is."""

    def tasks() -> Iterator[int]:
        yield 1
        raise Failed

    worker_threads = Gang()
    with pytest.raises(Failed):
        worker_threads.run(tasks())

    assert worker_threads.done == [1]
    assert worker_threads.given_up.is_set()


def test_a_tick_that_fails_stops_the_work() -> None:
    """Where the watching thread fails the workers are told to give up, and its error is raised when they have."""
    given_up, at_rest = threading.Event(), threading.Event()

    def work(_: int) -> None:
        given_up.wait()
        at_rest.set()

    def tick() -> None:
        raise Failed

    with pytest.raises(Failed):
        ThreadEngine(0.001).run(iter((1,)), work, workers=1, tick=tick, give_up=given_up.set)

    assert at_rest.is_set()


def test_the_first_error_is_the_one_that_is_raised() -> None:
    """What fails because the others were told to give up does not hide why."""
    given_up = threading.Event()

    def work(task: int) -> None:
        if task == 0:
            raise Failed
        given_up.wait()
        raise RuntimeError

    with pytest.raises(Failed):
        ThreadEngine(0.001).run(iter(range(3)), work, workers=3, tick=lambda: None, give_up=given_up.set)


def test_the_calling_thread_only_watches() -> None:
    """Work is done by threads of its own, and the calling thread ticks meanwhile."""
    here, ticked = threading.get_ident(), threading.Event()
    workers: list[int] = []

    def work(_: int) -> None:
        workers.append(threading.get_ident())
        ticked.wait()

    ThreadEngine(0.001).run(iter((1,)), work, workers=1, tick=ticked.set, give_up=lambda: None)

    assert here not in workers
    assert ticked.is_set()
