"""Carrying lanes of dues to outcomes that the ledger can stand by."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from pipeline.ledger.admission import Admission, Blocked, Conflict, Go, Skip
from pipeline.ledger.records import Due, Settlement
from pipeline.model import Status
from pipeline.write.course import Drained
from pipeline.write.delivery import Delivery, Means
from pipeline.write.lanes import payments_first
from pipeline.write.settlement import History


class Deliveries(Protocol):
    """What the writer asks of the ledger."""

    def intend(self, dues: Sequence[Due]) -> list[Admission]:
        """Put the intents on disk, all at once, or say why one may not be sent."""
        ...

    def settle(self, due: Due, end: Settlement) -> None:
        """Fix the outcome."""
        ...

    def keep_job(self) -> None:
        """Return where the run may still send; raise where it was held up until another took its job."""
        ...


@dataclass(frozen=True, slots=True)
class Lane:
    """Dues that go one after another, one at least; the first of them is admitted, or is not."""

    dues: Sequence[Due]
    first: Admission


class Writer:
    """
    Delivers dues to one API with one account. Thread-safe: lanes are carried side by side.

    How the run fares shows in the course of its means; exceptions are faults of the ledger or of the program.
    """

    def __init__(self, means: Means, deliveries: Deliveries) -> None:
        self._means = means
        self._deliveries = deliveries

    def admitted(self, lanes: Iterable[Sequence[Due]], at_once: int) -> Iterator[Lane]:
        """
        Yield lanes to carry, the first dues of so many admitted by one commit; no more once the run ends.

        Most lanes have no other due: so a commit serves as many requests as there are workers.
        """
        ordered = (list(payments_first(lane)) for lane in lanes)
        try:
            self._means.course.go_on()
            while some := list(islice(ordered, at_once)):
                yield from map(Lane, some, self._deliveries.intend([lane[0] for lane in some]))
                self._means.course.go_on()
        except Drained:
            return

    def carry(self, lane: Lane) -> None:
        """Deliver the dues of one lane, one after another; leave the rest untouched once the run ends."""
        self._write(lane.dues[0], lane.first)
        try:
            for due in lane.dues[1:]:
                self._means.course.go_on()
                self._write(due, *self._deliveries.intend([due]))
        except Drained:
            return

    def _write(self, due: Due, admission: Admission) -> None:
        """Carry one due to an outcome. Its intent is on disk, and brings back any doubt that an earlier run left."""
        match admission:
            case Go(doubt, before):
                history = History(before=before, doubt=doubt)
                end = Delivery(self._means, due, history, self._deliveries.keep_job).carry_out()
            case Skip(code):
                end = Settlement(Status.SKIPPED, code)
            case Conflict(message):
                end = Settlement(Status.INVALID, "key_conflict", message)
            case Blocked(code, message):
                end = Settlement(Status.BLOCKED, code, message)
        self._deliveries.settle(due, end)
        self._means.course.count(end.status)
