"""Tasks in threads of their own, with a time limit for all of them together."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread

from pipeline.clock import Clock
from pipeline.language import t
from pipeline.notify.channels.not_sent import NotSent


class Background:
    """
    Runs tasks without delaying anything else. Tasks of one name run one after another.

    The threads end with the process, so a task that hangs holds nothing up.
    """

    def __init__(self, clock: Clock, new_thread: Callable[..., Thread] = Thread) -> None:
        self._clock = clock
        self._new_thread = new_thread
        self._threads: dict[str, Thread] = {}
        self._faults: SimpleQueue[str] = SimpleQueue()

    def start(self, name: str, task: Callable[[], None]) -> None:
        """Start a task; `name` names its receiver in faults."""
        before = self._threads.get(name)
        thread = self._new_thread(target=self._run, args=(name, task, before), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._faults.put(t("{receiver}: {fault}", receiver=name, fault=t("this machine has no thread left")))
        else:
            self._threads[name] = thread

    def wait(self, seconds: float) -> list[str]:
        """Wait for all tasks, at most for some seconds. Return the faults of those that failed or go on."""
        end = self._clock.steady() + seconds
        for thread in self._threads.values():
            thread.join(max(0.0, end - self._clock.steady()))
        late = [name for name, thread in self._threads.items() if thread.is_alive()]
        self._threads = {}
        # Several tasks of one name fail alike.
        faults = list(dict.fromkeys(self._taken()))
        return faults + [t("{receiver}: no end after {seconds} s", receiver=n, seconds=f"{seconds:g}") for n in late]

    def _taken(self) -> list[str]:
        faults = []
        while True:
            try:
                faults.append(self._faults.get_nowait())
            except Empty:
                return faults

    def _run(self, name: str, task: Callable[[], None], before: Thread | None) -> None:
        if before is not None:
            before.join()
        try:
            task()
        except NotSent as exc:
            self._faults.put(t("{receiver}: {fault}", receiver=name, fault=exc))
        except Exception as exc:  # noqa: BLE001 - whatever it is, the run is not to fail; its text may hold a secret
            self._faults.put(t("{receiver}: {fault}", receiver=name, fault=type(exc).__name__))
