"""Run tasks on threads."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class ThreadEngine:
    """
    Runs tasks on threads. A thread takes the next task when it has finished one.

    The calling thread only calls `tick`, a few times per second, so that signals reach it quickly.
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
        Run all tasks; return when every thread has finished.

        The first exception of a task, of `tasks` or of `tick` is raised once all threads have finished. `give_up` is
        called immediately, so that they finish soon.
        """
        pool = _ThreadPool(tasks, work, give_up)
        threads = [
            threading.Thread(target=pool.work_until_done, name=f"worker-{n}", daemon=True) for n in range(workers)
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(self._tick_seconds)
                    tick()
        except BaseException as exc:  # noqa: BLE001 - raised again below, once the threads have finished
            pool.fail(exc)
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
        if pool.error is not None:
            raise pool.error


class _ThreadPool(Generic[T]):
    def __init__(self, tasks: Iterator[T], work: Callable[[T], None], give_up: Callable[[], None]) -> None:
        self._tasks = tasks
        self._work = work
        self._give_up = give_up
        self._lock = threading.Lock()
        self.error: BaseException | None = None

    def work_until_done(self) -> None:
        try:
            for task in iter(self._next, None):
                self._work(task.value)
        except BaseException as exc:  # noqa: BLE001 - the calling thread raises it
            self.fail(exc)

    def _next(self) -> "_Task[T] | None":
        # Two threads must not call the same generator concurrently.
        with self._lock:
            return None if self.error is not None else next(map(_Task, self._tasks), None)

    def fail(self, exc: BaseException) -> None:
        self.error = self.error or exc
        self._give_up()


@dataclass(frozen=True, slots=True)
class _Task(Generic[T]):
    value: T
