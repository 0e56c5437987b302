"""Whether the run goes on: asked before every step that starts something new."""

import threading
from collections import Counter
from datetime import datetime
from enum import StrEnum

from pipeline.clock import Clock
from pipeline.model import Status

_FAILURES = (Status.INVALID, Status.REJECTED, Status.UNKNOWN)


class Ending(StrEnum):
    """Why a run ends with rows left; also the code of the rows that it leaves unsent."""

    DEADLINE = "deadline"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    TOO_MANY_INVALID = "too_many_invalid"


# What is said of each row that was not sent, where that is not the reason why the run ends: it would be long.
_OF_ROWS = {Ending.TOO_MANY_INVALID: "too many rows of the run are invalid, so nothing was sent"}


class Drained(Exception):
    """Nothing new is started any more."""


class RunControl:
    """
    The run's way: on, or draining, with the first reason that came up.

    `counts` are the outcomes so far of this execution.
    """

    def __init__(self, clock: Clock, *, until: datetime | None = None) -> None:
        self._clock = clock
        self._until = until
        self._most_failures: float | None = None
        # Reentrant: a signal drains the run from within whatever its thread is at.
        self._lock = threading.RLock()
        self.counts: Counter[Status] = Counter()
        self.ending: Ending | None = None
        self.halt_code: str | None = None
        self.reason: str | None = None
        # What sending waits for at the moment, for whoever shows progress; empty where it goes on.
        self.waiting_for = ""

    @property
    def open_as(self) -> tuple[str, str]:
        """Code and message of the rows that the run leaves unsent."""
        ending = self.ending or Ending.INTERRUPTED
        return ending, _OF_ROWS.get(ending, self.reason or "")

    def drain(self, ending: Ending, reason: str, *, halt_code: str | None = None) -> None:
        """Start nothing new from here on; sleeping threads wake up. Only the first reason counts."""
        with self._lock:
            if self.ending is None:
                # The ending last: who sees it finds the reason too.
                self.reason, self.halt_code, self.ending = reason, halt_code, ending
        self._clock.wake()

    def give_up(self) -> None:
        """Drain because the program itself failed; the exception tells the rest."""
        self.drain(Ending.INTERRUPTED, "the run was interrupted by an error")

    def check_running(self) -> None:
        """Raise Drained once the run is to end."""
        if self.ending is None and self._until is not None and self._clock.now() >= self._until:
            self.drain(Ending.DEADLINE, f"the deadline {self._until:%H:%M} was reached; `backfill resume` goes on")
        if self.ending is not None:
            raise Drained

    def allow_failures(self, most: float) -> None:
        """Say how many rows may fail before the run stops itself; as many as there are, where nothing is said."""
        self._most_failures = most
        self._stop_if_too_many()

    def count(self, status: Status, rows: int = 1) -> None:
        """Take in the outcome of rows, and stop the run where too many failed."""
        with self._lock:
            self.counts[status] += rows
        self._stop_if_too_many()

    def _stop_if_too_many(self) -> None:
        failures = sum(self.counts[status] for status in _FAILURES)
        if self._most_failures is not None and failures > self._most_failures:
            self.drain(
                Ending.STOPPED,
                f"{failures} rows failed, more than --max-failures allows; look at the report, "
                "mend the cause, then resume",
                halt_code="too_many_failures",
            )
