"""
One gate for all workers: is the platform there, and does it know us?

Until the platform has accepted or refused a row on its merits, one request is under way at a time: if it refuses the
caller, a run stops after that one and not after as many as there are workers. The same holds while an answer that
refuses the caller waits to be confirmed. When the platform seems to be down, one request at a time probes, with growing
pauses, and all others wait.
"""

import threading
from dataclasses import dataclass

from pipeline.clock import Clock
from pipeline.write.verdict import Halt, Refused, Succeeded, TryAgain, Verdict

_SIGNS_OF_OUTAGE = 5
_ROWS_OF_OUTAGE = 3
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
# How often a waiting worker looks whether the way is free.
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Pass:
    """The right to go through the gate once. `alone`: nobody else is under way; `probing`: the platform is down."""

    alone: bool
    probing: bool


def proves_acceptance(verdict: Verdict) -> bool:
    """Return whether the platform has looked at the row itself, so that it accepts the caller."""
    return isinstance(verdict, Succeeded) or (isinstance(verdict, Refused) and verdict.halts_after is None)


class Gate:
    """
    Lets attempts through. Thread-safe; `enter` answers at once, and only its caller waits.

    After `outage_limit_seconds` without an answer `leave` returns a Halt.
    """

    def __init__(self, clock: Clock, outage_limit_seconds: float) -> None:
        self._clock = clock
        self._limit = outage_limit_seconds
        self._lock = threading.Lock()
        self._accepted = False
        self._alone = False
        self._signs = 0
        self._rows: set[int] = set()
        self._since = 0.0
        self._pause = 0.0
        self._probe_at = 0.0

    @property
    def is_down(self) -> bool:
        """Return whether the platform counts as down."""
        return self._pause > 0

    def enter(self) -> Pass | float:
        """Return a pass, or how many seconds to wait before asking again."""
        with self._lock:
            if self._accepted and not self.is_down:
                return Pass(alone=False, probing=False)
            if self._alone:
                return _LOOK_SECONDS
            wait = self._probe_at - self._clock.steady()
            if self.is_down and wait > 0:
                return wait
            self._alone = True
            return Pass(alone=True, probing=self.is_down)

    def abandon(self, held: Pass) -> None:
        """Give a pass back unused."""
        with self._lock:
            self._alone = self._alone and not held.alone

    def leave(self, held: Pass, row: int, verdict: Verdict) -> Halt | None:
        """Take in what came of an attempt for this row; return a Halt when the platform was down for too long."""
        with self._lock:
            self._alone = self._alone and not held.alone
            if isinstance(verdict, TryAgain) and verdict.platform_down:
                return self._note_sign(row, verdict)
            is_in_question = isinstance(verdict, TryAgain) and verdict.questions_caller
            self._accepted = (self._accepted and not is_in_question) or proves_acceptance(verdict)
            self._signs, self._pause = 0, 0.0
            self._rows.clear()
            return None

    def _note_sign(self, row: int, verdict: TryAgain) -> Halt | None:
        now = self._clock.steady()
        if self._signs == 0:
            self._since = now
        self._signs += 1
        if len(self._rows) < _ROWS_OF_OUTAGE:
            self._rows.add(row)
        if self._signs < _SIGNS_OF_OUTAGE or len(self._rows) < _ROWS_OF_OUTAGE:
            return None
        self._pause = min(_LONGEST_PAUSE_SECONDS, self._pause * 2 or _FIRST_PAUSE_SECONDS)
        left = self._since + self._limit - now
        self._probe_at = now + min(self._pause, max(left, 0.0))
        if left > 0:
            return None
        return Halt(
            "platform_down",
            f"the platform has not answered as it should for {now - self._since:.0f} s (last: {verdict.code}"
            f"{', ' + verdict.text if verdict.text else ''}); if it is up, check the account's ids and keys; "
            "then resume the run",
        )
