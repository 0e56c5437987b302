"""What the crews of a run share: its lanes, ledger, gate, watch and course, all in the run's own process."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from pipeline.by_values import ByValues
from pipeline.ledger.admission import Admission
from pipeline.ledger.deliveries import Entry
from pipeline.ledger.lease import LEASE_SECONDS
from pipeline.ledger.records import Due, Settlement
from pipeline.write.course import Course, Ending
from pipeline.write.gate import Gate
from pipeline.write.lanes import Lane, Stretch, admitted, draw, first_dues
from pipeline.write.watch import Watch

# Well before the lease of a run whose own process was held up can end: then nobody sends any more.
_GOOD_SECONDS = LEASE_SECONDS / 3


class Records(Protocol):
    """What the bridge asks of the ledger."""

    @property
    def renewed_at(self) -> float:
        """Return a moment, in steady seconds, since which the lease was renewed."""
        ...

    def record(self, entries: Sequence[Entry]) -> list[Admission | None]:
        """Put settlements and intents on disk; return an admission for each intent."""
        ...


@dataclass(frozen=True, slots=True)
class Standing(ByValues):
    """
    How a run stands, as its crews are told. `number` tells the later of two.

    `good_until`, in steady seconds: after that nothing is started until more is heard. `is_calm`: the platform takes
    us, and nothing speaks against it, so that nobody has to ask before a request. `ending`: the run drains.
    """

    number: int
    good_until: float
    is_calm: bool
    ending: Ending | None = None
    reason: str | None = None
    halt_code: str | None = None


class Bridge:
    """
    Answers what crews ask, and says how the run stands. Thread-safe.

    Crews never touch the ledger: what all of them are about to send becomes durable here, in common transactions, and
    nowhere but under this run's lease. `throttled` counts the throttled answers of all crews.
    """

    def __init__(
        self, records: Records, lanes: Iterator[list[Due]], *, course: Course, gate: Gate, watch: Watch
    ) -> None:
        self._records = records
        self._lanes = lanes
        self._course = course
        self._gate = gate
        self._watch = watch
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._under_way: dict[int, Due] = {}
        self._number = 0
        self._told: tuple[object, ...] = ()
        self.throttled = 0
        self._answers: dict[str, Callable[..., object]] = {
            "record": self._record,
            "enter": gate.enter,
            "abandon": gate.abandon,
            "leave": gate.leave,
            "attempted": watch.attempted,
            "settled": watch.settled,
            "drain": self._drain,
            "report": self._report,
        }

    def answer(self, question: str, args: tuple[Any, ...]) -> object:
        """Answer a question of a crew; raise what the ledger raises where it can't be read or written."""
        return self._answers[question](*args)

    def standing(self) -> Standing:
        """Return how the run stands."""
        with self._lock:
            return self._standing()

    def news(self) -> Standing | None:
        """Return how the run stands where calm or course have changed since the last news, else None."""
        with self._lock:
            now = self._standing()
            matter = (now.is_calm, now.ending)
            if matter == self._told:
                return None
            self._told = matter
            return now

    def _standing(self) -> Standing:
        course = self._course
        self._number += 1
        is_calm = self._gate.is_calm and self._watch.is_calm
        # From when the job was last seen to be ours, not from now: in between this process may have been held up.
        good_until = self._records.renewed_at + _GOOD_SECONDS
        return Standing(self._number, good_until, is_calm, course.ending, course.reason, course.halt_code)

    def _record(
        self, entries: Sequence[tuple[int, Settlement | None]], wanted: int
    ) -> tuple[list[Admission | None], list[Lane]]:
        """
        Put down what a crew did and is about to do, dues by their numbers; admit new lanes with so many dues for it.

        No lanes come where there are no more, or the run drains.
        """
        lanes = self._draw(wanted)
        told: list[Entry] = [(self._under_way[due_no], end) for due_no, end in entries]
        starts: list[Entry] = [(due, None) for due in first_dues(lanes)]
        admissions = self._records.record([*told, *starts])
        for due_no, end in entries:
            if end is not None:
                del self._under_way[due_no]
                self._course.count(end.status)
        return admissions[: len(told)], admitted(lanes, cast("list[Admission]", admissions[len(told) :]))

    def _draw(self, dues: int) -> list[list[Stretch]]:
        with self._reading:
            lanes = [] if self._course.ending else draw(self._lanes, dues)
            self._under_way.update((due.due_no, due) for lane in lanes for stretch in lane for due in stretch)
            return lanes

    def _drain(self, ending: Ending, reason: str, halt_code: str | None) -> None:
        self._course.drain(ending, reason, halt_code=halt_code)

    def _report(self, throttled: int) -> None:
        with self._lock:
            self.throttled += throttled
