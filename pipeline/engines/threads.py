"""Plain functions, spread over threads."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class ThreadEngine:
    """
    Hands tasks to threads, each thread taking the next task when it is done with one.

    The calling thread only watches: it calls `tick` a few times a second, so that signals reach it at once.
    """

    def __init__(self, tick_seconds: float = 0.2) -> None:
        self._tick_seconds = tick_seconds

    def run(
        self,
        tasks: Iterator[T],
        work: Callable[[T], None],
        *,
        workers: int,
        tick: Callable[[], None],
        give_up: Callable[[], None],
    ) -> None:
        """
        Work off all tasks; return when every thread is done.

        The first exception, of a task or of `tick`, is raised again once all threads have come to rest; `give_up` is
        called at once, so that they soon do.
        """
        worker_threads = _WorkerThreads(tasks, work, give_up)
        threads = [
            threading.Thread(target=worker_threads.labour, name=f"worker-{n}", daemon=True) for n in range(workers)
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(self._tick_seconds)
                    tick()
        except BaseException as exc:  # noqa: BLE001 - raised again below, once the threads are at rest
            worker_threads.fail(exc)
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
        if worker_threads.error is not None:
            raise worker_threads.error


class _WorkerThreads(Generic[T]):
    def __init__(self, tasks: Iterator[T], work: Callable[[T], None], give_up: Callable[[], None]) -> None:
        self._tasks = tasks
        self._work = work
        self._give_up = give_up
        self._lock = threading.Lock()
        self.error: BaseException | None = None

    def labour(self) -> None:
        try:
            for task in iter(self._next, None):
                self._work(task.value)
        except BaseException as exc:  # noqa: BLE001 - handed to the calling thread, which raises it
            self.fail(exc)

    def _next(self) -> "_Task[T] | None":
        # Generators can't be asked by two threads at once.
        with self._lock:
            return None if self.error is not None else next(map(_Task, self._tasks), None)

    def fail(self, exc: BaseException) -> None:
        self.error = self.error or exc
        self._give_up()


@dataclass(frozen=True, slots=True)
class _Task(Generic[T]):
    value: T
