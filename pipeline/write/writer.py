"""Carrying one lane of dues to outcomes that the ledger can stand by."""

from collections.abc import Sequence
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

    def intend(self, due: Due) -> Admission:
        """Put the intent on disk, or say why this may not be sent."""
        ...

    def settle(self, due: Due, end: Settlement) -> None:
        """Fix the outcome."""
        ...

    def keep_job(self) -> None:
        """Return where the run may still send; raise where it was held up until another took its job."""
        ...


class Writer:
    """
    Delivers dues to one API with one account. Thread-safe: lanes are carried side by side.

    How the run fares shows in the course of its means; exceptions are faults of the ledger or of the program.
    """

    def __init__(self, means: Means, deliveries: Deliveries) -> None:
        self._means = means
        self._deliveries = deliveries

    def carry(self, lane: Sequence[Due]) -> None:
        """Deliver the dues of one lane, one after another; leave the rest untouched once the run ends."""
        try:
            for due in payments_first(lane):
                self._means.course.go_on()
                self._write(due)
        except Drained:
            return

    def _write(self, due: Due) -> None:
        """
        Carry one due to an outcome.

        The intent is on disk before the first byte leaves, and brings back any doubt that an earlier run left.
        """
        match self._deliveries.intend(due):
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
