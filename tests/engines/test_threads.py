"""Tasks on threads."""

import threading
from collections.abc import Iterator

import pytest

from pipeline.engines.threads import ThreadEngine


class Failed(Exception):
    """The error of a failing task."""


class EngineRun:
    """One run of the engine, with its finished tasks, ticks and give-up."""

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
    """Each task runs once, and the engine returns after the last one."""
    engine_run = EngineRun()
    engine_run.run(iter(range(500)))

    assert sorted(engine_run.done) == list(range(500))
    assert not engine_run.given_up.is_set()


def test_one_worker_keeps_the_order() -> None:
    """One worker runs the tasks in order."""
    engine_run = EngineRun()
    engine_run.run(iter(range(50)), workers=1)

    assert engine_run.done == list(range(50))


def test_without_tasks_it_returns() -> None:
    """Without tasks the engine returns immediately."""
    engine_run = EngineRun()
    engine_run.run(iter(()))

    assert engine_run.done == []


def test_workers_run_concurrently() -> None:
    """As many tasks run at once as there are workers."""
    together = threading.Barrier(4)

    def work(_: int) -> None:
        together.wait()

    ThreadEngine(0.001).run(iter(range(4)), work, workers=4, tick=lambda: None, give_up=together.abort)

    assert together.n_waiting == 0


def test_tasks_are_taken_on_demand() -> None:
    """A task is taken only when a worker is free for it."""
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


def test_a_failing_task_stops_the_others() -> None:
    """A task's error is raised once all threads have finished; no further task is taken."""
    engine_run = EngineRun()
    threads_before = threading.active_count()
    with pytest.raises(Failed):
        engine_run.run(iter(range(10_000)), workers=4, fails_at=20)

    assert engine_run.given_up.is_set()
    assert len(engine_run.done) < 9_999
    assert threading.active_count() == threads_before


def test_an_error_of_the_iterator_stops_the_run() -> None:
    """An error of the task iterator is raised like that of a task."""

    def tasks() -> Iterator[int]:
        yield 1
        raise Failed

    engine_run = EngineRun()
    with pytest.raises(Failed):
        engine_run.run(tasks())

    assert engine_run.done == [1]
    assert engine_run.given_up.is_set()


def test_a_failing_tick_stops_the_run() -> None:
    """An error of `tick` calls `give_up`, and is raised once the workers have finished."""
    given_up, finished = threading.Event(), threading.Event()

    def work(_: int) -> None:
        given_up.wait()
        finished.set()

    def tick() -> None:
        raise Failed

    with pytest.raises(Failed):
        ThreadEngine(0.001).run(iter((1,)), work, workers=1, tick=tick, give_up=given_up.set)

    assert finished.is_set()


def test_the_first_error_is_raised() -> None:
    """Errors caused by `give_up` do not hide the first error."""
    given_up = threading.Event()

    def work(task: int) -> None:
        if task == 0:
            raise Failed
        given_up.wait()
        raise RuntimeError

    with pytest.raises(Failed):
        ThreadEngine(0.001).run(iter(range(3)), work, workers=3, tick=lambda: None, give_up=given_up.set)


def test_the_calling_thread_only_ticks() -> None:
    """Tasks run on other threads, while the calling thread ticks."""
    calling_thread, ticked = threading.get_ident(), threading.Event()
    workers: list[int] = []

    def work(_: int) -> None:
        workers.append(threading.get_ident())
        ticked.wait()

    ThreadEngine(0.001).run(iter((1,)), work, workers=1, tick=ticked.set, give_up=lambda: None)

    assert calling_thread not in workers
    assert ticked.is_set()
