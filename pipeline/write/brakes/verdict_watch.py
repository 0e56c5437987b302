"""Watching all verdicts of a run for signs that the caller is refused and not the row."""

import threading
from collections.abc import Hashable

from pipeline.write.answers.verdict import Halt, Verdict
from pipeline.write.brakes.failure_streaks import Monotony, Suspicion


class Watch:
    """Takes in the verdicts of all workers, one at a time; returns a Halt when they show that no row would pass."""

    def __init__(self, suspicion: Suspicion, monotony: Monotony) -> None:
        self._lock = threading.Lock()
        self._suspicion = suspicion
        self._monotony = monotony

    def attempted(self, row: Hashable, verdict: Verdict) -> Halt | None:
        """Take in the verdict on one attempt for this row."""
        with self._lock:
            return self._suspicion.note(row, verdict)

    def settled(self, verdict: Verdict) -> Halt | None:
        """Take in the last verdict on one delivery."""
        with self._lock:
            return self._monotony.note(verdict)
