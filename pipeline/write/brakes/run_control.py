"""
The flag that ends a run, with its reason and the counts of outcomes. Each step checks it before it starts new work.
"""

import threading
from collections import Counter
from datetime import datetime
from enum import StrEnum

from pipeline.clock import Clock
from pipeline.language import later, t
from pipeline.model import Status

_FAILURES = (Status.INVALID, Status.REJECTED, Status.UNKNOWN)


class Ending(StrEnum):
    """The reason why a run ends with rows left; also the code of the rows left unsent."""

    DEADLINE = "deadline"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    TOO_MANY_INVALID = "too_many_invalid"


# Messages of unsent rows, if shorter than the reason why the run ended.
_ROW_MESSAGES = {Ending.TOO_MANY_INVALID: later("too many rows of the run are invalid, so nothing was sent")}


class Drained(Exception):
    """The run is ending: start nothing new."""


class RunControl:
    """
    Whether the run continues or drains, and the first reason to drain.

    `counts` has the number of outcomes of this execution, by status.
    """

    def __init__(self, clock: Clock, *, until: datetime | None = None) -> None:
        self._clock = clock
        self._until = until
        self._most_failures: float | None = None
        # Reentrant: a signal handler may drain the run while its own thread holds the lock.
        self._lock = threading.RLock()
        self.counts: Counter[Status] = Counter()
        # Requests of this execution, those that repeated another one, and those that the platform throttled.
        self.attempts = self.retries = self.throttled = 0
        self.ending: Ending | None = None
        self.halt_code: str | None = None
        self.reason: str | None = None
        # Reason why sending waits now, for the progress display; empty if it does not wait.
        self.waiting_for = ""

    @property
    def open_as(self) -> tuple[str, str]:
        """Code and message of the rows that the run leaves unsent."""
        ending = self.ending or Ending.INTERRUPTED
        shorter = _ROW_MESSAGES.get(ending)
        return ending, t(shorter) if shorter else self.reason or ""

    def drain(self, ending: Ending, reason: str, *, halt_code: str | None = None) -> None:
        """End the run: start nothing new, and wake sleeping threads. Only the first reason counts."""
        with self._lock:
            if self.ending is None:
                # Set the ending last: a thread that sees it must find the reason too.
                self.reason, self.halt_code, self.ending = reason, halt_code, ending
        self._clock.wake()

    def give_up(self) -> None:
        """Drain because the program itself failed. The exception has the reason."""
        self.drain(Ending.INTERRUPTED, t("the run was interrupted by an error"))

    def check_running(self) -> None:
        """Raise Drained if the run is ending."""
        if self.ending is None and self._until is not None and self._clock.now() >= self._until:
            self.drain(
                Ending.DEADLINE,
                t("the deadline {until:%H:%M} was reached; `backfill resume` goes on", until=self._until),
            )
        if self.ending is not None:
            raise Drained

    @property
    def most_failures(self) -> float | None:
        """How many rows may fail before the run stops itself; None: no limit."""
        return self._most_failures

    def allow_failures(self, most: float) -> None:
        """Set how many rows may fail before the run stops itself. The default is no limit."""
        self._most_failures = most
        self._stop_if_too_many()

    def count(self, status: Status, rows: int = 1) -> None:
        """Count outcomes of rows, and stop the run if too many failed."""
        with self._lock:
            self.counts[status] += rows
        self._stop_if_too_many()

    def count_attempt(self, *, is_retry: bool, is_throttled: bool) -> None:
        """Count a request, for the progress display."""
        with self._lock:
            self.attempts += 1
            self.retries += is_retry
            self.throttled += is_throttled

    def count_attempts(self, attempts: int, retries: int, throttled: int) -> None:
        """Count requests of other processes, for the progress display."""
        with self._lock:
            self.attempts += attempts
            self.retries += retries
            self.throttled += throttled

    def _stop_if_too_many(self) -> None:
        failures = sum(self.counts[status] for status in _FAILURES)
        if self._most_failures is not None and failures > self._most_failures:
            self.drain(
                Ending.STOPPED,
                t(
                    "{failures} rows failed, more than --max-failures allows; see the report, fix the cause, then "
                    "resume",
                    failures=failures,
                ),
                halt_code="too_many_failures",
            )
