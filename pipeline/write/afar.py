"""
Gate, watch and course as a crew has them: the run's own are on the bridge, in another process.

While all is calm a crew need not ask: then neither gate nor watch would say anything, nor learn anything. What may end
the calm is always told before anything else happens.
"""

import threading
from collections import Counter
from collections.abc import Hashable
from typing import Any, Protocol, cast

from pipeline.clock import Clock
from pipeline.model import Status
from pipeline.write.bridge import Standing
from pipeline.write.course import FAILURES, Course, Ending
from pipeline.write.gate import Pass
from pipeline.write.verdict import Halt, Refused, TryAgain, Verdict

_LOOK_SECONDS = 0.05
_NOTHING_HEARD = Standing(number=0, good_until=0.0, is_calm=False)


class Ask(Protocol):
    """How a question gets to the bridge, and its answer back; news of the run is heard before the answer."""

    def __call__(self, question: str, *args: object) -> Any:
        """Ask, and wait for the answer."""
        ...


class FarCourse(Course):
    """
    The run's course, as far as it was heard.

    A crew that has heard nothing for too long starts nothing until it does: its run may have lost the job meanwhile.
    """

    def __init__(self, clock: Clock, ask: Ask) -> None:
        super().__init__(clock)
        self._ask = ask
        self._hearing = threading.Lock()
        self._standing = _NOTHING_HEARD
        self._untold: Counter[Status] = Counter()

    @property
    def is_calm(self) -> bool:
        """Return whether nobody has to ask before a request."""
        return self._standing.is_calm

    def hear(self, standing: Standing) -> None:
        """Take in how the run stands, unless something later was heard already."""
        with self._hearing:
            if standing.number < self._standing.number:
                return
            self._standing = standing
        if standing.ending is not None:
            super().drain(standing.ending, standing.reason or "", halt_code=standing.halt_code)

    def go_on(self) -> None:
        """Raise Drained once the run is to end; wait while it is not known how the run stands."""
        while self.ending is None and self._clock.steady() > self._standing.good_until:
            self._clock.sleep(_LOOK_SECONDS)
        super().go_on()

    def drain(self, ending: Ending, reason: str, *, halt_code: str | None = None) -> None:
        """Drain the whole run."""
        self._ask("drain", ending, reason, halt_code)

    def count(self, status: Status, rows: int = 1) -> None:
        """Take in the outcome of rows; a failure is told at once, since it may be one too many."""
        with self._hearing:
            self._untold[status] += rows
        if status in FAILURES:
            self.tell()

    def tell(self, throttled: int = 0) -> None:
        """Report what came of rows since the last time, and how many answers were throttled."""
        with self._hearing:
            untold, self._untold = self._untold, Counter()
        self._ask("report", dict(untold), throttled)


class FarGate:
    """The run's gate."""

    def __init__(self, course: FarCourse, ask: Ask) -> None:
        self._course = course
        self._ask = ask

    def enter(self) -> Pass | float:
        """Return a pass, or how many seconds to wait before asking again."""
        if self._course.is_calm:
            return Pass(alone=False, probing=False)
        return cast("Pass | float", self._ask("enter"))

    def abandon(self, held: Pass) -> None:
        """Give a pass back unused."""
        if held.alone:
            self._ask("abandon", held)

    def leave(self, held: Pass, row: int, verdict: Verdict) -> Halt | None:
        """Take in what came of an attempt for this row; return a Halt when the platform was down for too long."""
        is_sign = isinstance(verdict, TryAgain) and verdict.platform_down
        if self._course.is_calm and not held.alone and not is_sign:
            return None
        return cast("Halt | None", self._ask("leave", held, row, verdict))


class FarWatch:
    """The run's watch."""

    def __init__(self, course: FarCourse, ask: Ask) -> None:
        self._course = course
        self._ask = ask

    def attempted(self, row: Hashable, verdict: Verdict) -> Halt | None:
        """Take in the verdict on one attempt for this row."""
        is_suspect = isinstance(verdict, Refused | TryAgain) and verdict.halts_after is not None
        if self._course.is_calm and not is_suspect:
            return None
        return cast("Halt | None", self._ask("attempted", row, verdict))

    def settled(self, verdict: Verdict) -> Halt | None:
        """Take in the last verdict on one delivery."""
        return None if self._course.is_calm else cast("Halt | None", self._ask("settled", verdict))
