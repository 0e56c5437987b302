"""Watching all verdicts of a run for signs that the caller is refused and not the row."""

import threading
from collections.abc import Hashable

from pipeline.write.answers.verdict import Halt, Verdict
from pipeline.write.brakes.failure_streaks import EqualEndings, RefusalStreak


class FailureStreaks:
    """Takes in the verdicts of all workers, one at a time; returns a Halt when they show that no row would pass."""

    def __init__(self, refusals: RefusalStreak, equal_endings: EqualEndings) -> None:
        self._lock = threading.Lock()
        self._refusals = refusals
        self._equal_endings = equal_endings

    def attempted(self, row: Hashable, verdict: Verdict) -> Halt | None:
        """Take in the verdict on one attempt for this row."""
        with self._lock:
            return self._refusals.note(row, verdict)

    def settled(self, verdict: Verdict) -> Halt | None:
        """Take in the last verdict on one delivery."""
        with self._lock:
            return self._equal_endings.note(verdict)
