"""Time as a value that comes from outside, so that every rule about time can be tested without sleeping."""

import time
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Protocol


class Clock(Protocol):
    """
    Wall time, steady time, and the right to wait.

    `now` is UTC and may step; `steady` is in seconds, never goes back, and is shared by all processes of one
    machine since its start. `sleep` may return early after `wake`.
    """

    def now(self) -> datetime:
        """Return the present moment, in UTC."""
        ...

    def steady(self) -> float:
        """Return seconds on a clock that never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait that long, or until `wake` was called."""
        ...

    def wake(self) -> None:
        """End all sleeps, now and from here on: the run is draining. A signal may call it within any other call."""
        ...


class SystemClock:
    """The machine's own clocks. Sleeping threads wake as soon as one of them calls `wake`."""

    def __init__(self) -> None:
        # Its `put` is reentrant, so a signal may come within it; what an Event does is not.
        self._woken: SimpleQueue[None] = SimpleQueue()

    def now(self) -> datetime:
        """Return the present moment, in UTC."""
        return datetime.now(UTC)

    def steady(self) -> float:
        """Return seconds since the machine started (CLOCK_MONOTONIC, shared by all its processes)."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait that long, or until `wake` was called."""
        with suppress(Empty):
            self._woken.get(timeout=max(0.0, seconds))
            # For the next one who sleeps.
            self._woken.put(None)

    def wake(self) -> None:
        """End all sleeps, now and from here on. A signal may call it within any other call."""
        self._woken.put(None)
