"""The engine under virtual time."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from tests.simulation.world import Killed, Process, Sleep

T = TypeVar("T")

_TICK_SECONDS = 0.5


class SimulatedEngine:
    """Works off tasks with greenlets of one process; see `pipeline.run.execution.Engine`."""

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
        """Work off all tasks; raise the first exception once all is at rest."""
        pool = _WorkerPool(self._process, tasks, work, give_up)
        pool.at_work = workers
        for _ in range(workers):
            self._process.spawn(pool.labour)
        while pool.at_work:
            pool.watch()
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
        self._watching: Sleep | None = None
        self.errors: list[BaseException] = []
        self.at_work = 0

    def labour(self) -> None:
        self.guarded(self._work_off)
        self.at_work -= 1
        if self.at_work == 0 and self._watching is not None:
            self._watching.end()

    def _work_off(self) -> None:
        while not self.errors and (task := next(self._tasks, None)) is not None:
            self._work(task)

    def watch(self) -> None:
        """Wait a while, or until the last worker is done."""
        self._watching = Sleep(self._process.world, self._process)
        self._watching.begin(_TICK_SECONDS)

    def guarded(self, act: Callable[[], None]) -> None:
        """Keep what is raised for the greenlet that waits, unless the process died."""
        try:
            act()
        except Killed:
            raise
        except BaseException as exc:  # noqa: BLE001 - raised again by the greenlet that waits
            self.errors.append(exc)
            self._give_up()
