"""Time as a dependency, so that every rule about time can be tested without sleeping."""

import time
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Protocol


class Clock(Protocol):
    """
    Wall time, steady time and sleep.

    `now` is UTC and may jump. `steady` is in seconds, never goes back, and is the same for all processes of a machine
    since its start. `sleep` may return early after `wake`.
    """

    def now(self) -> datetime:
        """Return the current time in UTC."""
        ...

    def steady(self) -> float:
        """Return seconds on a clock that never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds, or until `wake` is called."""
        ...

    def pause(self, seconds: float) -> None:
        """Wait for some seconds, also after `wake`."""
        ...

    def wake(self) -> None:
        """End all current and future sleeps, because the run is draining. Safe in a signal handler."""
        ...


class SystemClock:
    """The machine's clocks. `wake` ends the sleep of all threads."""

    def __init__(self) -> None:
        # `SimpleQueue.put` is reentrant, so a signal handler may call it; the methods of an Event are not.
        self._woken: SimpleQueue[None] = SimpleQueue()

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)

    def steady(self) -> float:
        """Return seconds since the machine started (CLOCK_MONOTONIC, shared by all its processes)."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds, or until `wake` is called."""
        with suppress(Empty):
            self._woken.get(timeout=max(0.0, seconds))
            # Put it back for the next sleeper.
            self._woken.put(None)

    def pause(self, seconds: float) -> None:
        """Wait for some seconds, also after `wake`."""
        time.sleep(seconds)

    def wake(self) -> None:
        """End all current and future sleeps. Safe in a signal handler."""
        self._woken.put(None)
