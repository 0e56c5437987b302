"""Threads of this process that lead others: each speaks with one of them over its pipes."""

import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import IO, Self

from pipeline.engines.processes import ProcessGroup

# Pause between two calls of `tick`. Seconds.
_LOOK_SECONDS = 0.2


class Leads:
    """
    A thread for each process of a group, which calls `lead` with the process's input and output.

    Where none can be started, as without memory, there are no threads either. Processes and threads end with the
    context. What `lead` raises is not seen here: it has to say itself what its process did.
    """

    def __init__(self, start: Callable[[], ProcessGroup], lead: Callable[[IO[bytes], IO[bytes]], None]) -> None:
        self._start, self._lead = start, lead
        self._threads: list[threading.Thread] = []
        self._processes = ExitStack()

    def __enter__(self) -> Self:
        with suppress(OSError, RuntimeError):
            group = self._processes.enter_context(self._start())
            for pipes in group.pipes():
                thread = threading.Thread(target=self._lead, args=pipes, daemon=True)
                thread.start()
                self._threads.append(thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def wait(self, tick: Callable[[], None]) -> None:
        """Return once `lead` has returned for each process; call `tick` a few times a second, which may raise."""
        for thread in self._threads:
            while thread.is_alive():
                thread.join(_LOOK_SECONDS)
                tick()

    def end(self) -> None:
        """End the processes, and with them the threads."""
        self._processes.close()
        for thread in self._threads:
            thread.join()
