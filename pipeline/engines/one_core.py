"""
Busy threads on one core.

Python lets one thread of a process compute at a time. Threads that run on several cores meet at every call which lets
others compute meanwhile, however short: one is put to sleep, and woken by another core. On one core they do not meet.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

# Threads that leave half of a core idle seldom meet, and may run wherever there is room.
_BUSY_SHARE = 0.5
# In a thread's line of /proc, counted from behind its name: the core that it runs on (proc(5), processor).
_CORE_AT = 36


@dataclass(frozen=True, slots=True)
class Seat:
    """Which one a process is of those that share its work; the first one is 0."""

    number: int = 0
    among: int = 1

    def cores(self, allowed: set[int]) -> set[int]:
        """Return those of the cores that are this process's own: one at least, of its own alone if there are enough."""
        ordered = sorted(allowed)
        return set(ordered[self.number :: self.among] or [ordered[self.number % len(ordered)]])


class Cores(Protocol):
    """The cores of the machine, seen from one of the processes that share its work."""

    def here(self) -> set[int]:
        """Return the core on which the calling thread runs."""
        ...

    def allowed(self) -> set[int]:
        """Return the cores on which the calling thread may run."""
        ...

    def own(self) -> set[int]:
        """Return those of the allowed cores that the others keep away from."""
        ...

    def keep(self, thread: threading.Thread, cores: set[int]) -> None:
        """Have a thread, where it is alive, run on these cores only."""
        ...


class LinuxCores:
    """The cores as Linux tells of them; what it refuses is an OSError."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat

    def here(self) -> set[int]:
        """Return the core on which the calling thread runs."""
        told = Path("/proc/thread-self/stat").read_text(encoding="utf-8", errors="replace")
        return {int(told.rpartition(")")[2].split()[_CORE_AT])}

    def allowed(self) -> set[int]:
        """Return the cores on which the calling thread may run."""
        return os.sched_getaffinity(0)

    def own(self) -> set[int]:
        """Return those of the allowed cores that the others keep away from."""
        return self._seat.cores(self.allowed())

    def keep(self, thread: threading.Thread, cores: set[int]) -> None:
        """Have a thread, where it is alive, run on these cores only."""
        if thread.is_alive() and thread.native_id is not None:
            os.sched_setaffinity(thread.native_id, cores)


def system_cores(seat: Seat | None = None) -> Cores | None:
    """
    Return the cores of this machine; None where threads can't be kept on one, or compute side by side anyway.

    Without a seat the process is the only one.
    """
    can_be_kept = sys.platform == "linux" and "free-threading" not in sys.version
    return LinuxCores(seat or Seat()) if can_be_kept else None


class OneCore:
    """
    Keeps threads of this process together on one core while the process is busy, and leaves them alone otherwise.

    The core is chosen anew each time: the one on which the system has just woken the calling thread, an idle one where
    there is any among the process's own. So nobody stays where others compute as well while there is room elsewhere.
    """

    def __init__(
        self,
        cores: Cores,
        *,
        used: Callable[[], float] = time.process_time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cores = cores
        self._used = used
        self._steady = steady
        self._looked_at = (used(), steady())
        self._own = cores.own()
        self._all = self._kept = self._watched_from = cores.allowed()

    def look_after(self, threads: Sequence[threading.Thread]) -> None:
        """Put the threads where they cost least; the caller, who has just woken, is none of them."""
        # Where the system refuses they stay as they are; it is asked again the next time.
        with suppress(OSError):
            is_busy = self._is_busy()
            # Where the caller is woken the busy threads go: so it may be woken on the process's own cores alone.
            self._watch_from(self._own if is_busy else self._all)
            self._keep(threads, self._cores.here() if is_busy else self._all)

    def let_go(self) -> None:
        """Leave the calling thread where the system places it, as it was found."""
        with suppress(OSError):
            self._watch_from(self._all)

    def _watch_from(self, cores: set[int]) -> None:
        if cores != self._watched_from:
            self._cores.keep(threading.current_thread(), cores)
            self._watched_from = cores

    def _keep(self, threads: Sequence[threading.Thread], cores: set[int]) -> None:
        if cores != self._kept:
            for thread in threads:
                self._cores.keep(thread, cores)
            self._kept = cores

    def _is_busy(self) -> bool:
        used, at = self._looked_at
        self._looked_at = (self._used(), self._steady())
        return self._looked_at[0] - used > _BUSY_SHARE * (self._looked_at[1] - at)
