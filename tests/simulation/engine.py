"""The engine under virtual time."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from tests.simulation.world import Killed, Process, Sleep

T = TypeVar("T")

_TICK_SECONDS = 0.5


class SimulatedEngine:
    """Runs tasks in greenlets of one process; see `pipeline.run.ports.Engine`."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def run(
        self,
        tasks: Iterator[T],
        work: Callable[[T], None],
        *,
        workers: int,
        tick: Callable[[], None],
        give_up: Callable[[], None],
    ) -> None:
        """Run all tasks; raise the first exception after all workers have stopped."""
        pool = _WorkerPool(self._process, tasks, work, give_up)
        pool.at_work = workers
        for _ in range(workers):
            self._process.spawn(pool.work)
        while pool.at_work:
            pool.wait_a_tick()
            pool.guarded(tick)
        if pool.errors:
            raise pool.errors[0]


class _WorkerPool(Generic[T]):
    def __init__(
        self, process: Process, tasks: Iterator[T], work: Callable[[T], None], give_up: Callable[[], None]
    ) -> None:
        self._process = process
        self._tasks = tasks
        self._work = work
        self._give_up = give_up
        self._sleep: Sleep | None = None
        self.errors: list[BaseException] = []
        self.at_work = 0

    def work(self) -> None:
        self.guarded(self._work_off)
        self.at_work -= 1
        if self.at_work == 0 and self._sleep is not None:
            self._sleep.end()

    def _work_off(self) -> None:
        while not self.errors and (task := next(self._tasks, None)) is not None:
            self._work(task)

    def wait_a_tick(self) -> None:
        """Wait for one tick, or until the last worker has stopped."""
        self._sleep = Sleep(self._process.world, self._process)
        self._sleep.begin(_TICK_SECONDS)

    def guarded(self, act: Callable[[], None]) -> None:
        """Keep an exception for the waiting greenlet, unless the process died."""
        try:
            act()
        except Killed:
            raise
        except BaseException as exc:  # noqa: BLE001 - raised again by the greenlet that waits
            self.errors.append(exc)
            self._give_up()
