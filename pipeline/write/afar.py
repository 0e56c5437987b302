"""
Ledger, gate, watch and course as a crew has them: the run's own are at the bridge, in another process.

While all is calm a crew need not ask: then neither gate nor watch would say anything, nor learn anything. What may end
the calm is always told before anything else happens.
"""

import threading
from collections.abc import Hashable, Sequence
from typing import Any, Protocol, cast

from pipeline.clock import Clock
from pipeline.ledger.admission import Admission
from pipeline.ledger.commit import GroupCommit
from pipeline.ledger.records import Due, Settlement
from pipeline.model import Status
from pipeline.write.bridge import Standing
from pipeline.write.course import Course, Ending
from pipeline.write.gate import Pass
from pipeline.write.lanes import Lane
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
        """Leave it to the bridge, which counts what is settled as it writes it down."""


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


class _Wanted:
    """Lanes are wanted."""


_Entry = tuple[int, Settlement | None] | _Wanted
_Answer = Admission | None | list[Lane]


class FarLedger:
    """
    The run's ledger.

    What several threads write at one moment goes over in one message, and lanes come back with the answer. `settle`
    returns at once: it is on disk with the next intent of any thread, or with `flush`.
    """

    def __init__(self, ask: Ask, workers: int) -> None:
        self._ask = ask
        self._workers = workers
        self._entries = GroupCommit[_Entry, _Answer](self._write)

    def _write(self, entries: Sequence[_Entry]) -> list[_Answer]:
        told = [entry for entry in entries if not isinstance(entry, _Wanted)]
        admissions, lanes = self._ask("record", told, self._workers if len(told) < len(entries) else 0)
        of_told = iter(admissions)
        return [lanes if isinstance(entry, _Wanted) else next(of_told) for entry in entries]

    def next_lanes(self) -> list[Lane]:
        """Return new lanes, admitted or not, none where there are no more; asked for by one thread at a time."""
        (lanes,) = self._entries.run([_Wanted()])
        return cast("list[Lane]", lanes)

    def intend(self, dues: Sequence[Due]) -> list[Admission]:
        """Put the intents on disk, or say why one may not be sent."""
        return cast("list[Admission]", self._entries.run([(due.due_no, None) for due in dues]))

    def settle(self, due: Due, end: Settlement) -> None:
        """Fix the outcome."""
        self._entries.later((due.due_no, end))

    def limit_waiting(self, outcomes: int) -> None:
        """Return when no more outcomes than these wait to be put on disk."""
        self._entries.keep_up(outcomes)

    def keep_job(self) -> None:
        """Do nothing: while the run is not heard of, its course lets no crew begin an attempt."""

    def flush(self) -> None:
        """Put on disk what was settled."""
        self._entries.flush()
