"""Carrying lanes of dues to outcomes that the ledger can stand by."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from pipeline.ledger.records import Due, Settlement
from pipeline.ledger.rules.admission import Admission, Blocked, Conflict, Go, Skip
from pipeline.model import Status
from pipeline.write.brakes.circuit_breaker import CircuitBreaker
from pipeline.write.brakes.run_control import Drained, Ending
from pipeline.write.delivery import Delivery, Means
from pipeline.write.lanes import Lane, Stretch, draw
from pipeline.write.settlement import History


class Deliveries(Protocol):
    """What the writer asks of the ledger."""

    def intend(self, dues: Sequence[Due]) -> list[Admission]:
        """Put the intents on disk, all at once, or say why one may not be sent."""
        ...

    def settle(self, due: Due, end: Settlement) -> None:
        """Fix the outcome."""
        ...

    def limit_waiting(self, outcomes: int) -> None:
        """Return when no more outcomes than these wait to be put on disk."""
        ...

    def keep_job(self) -> None:
        """Return where the run may still send; raise where it was held up until another took its job."""
        ...


class LaneQueue:
    """
    The lanes of a run as workers take them, and as they put them back.

    A lane whose due was deferred comes again once the platform answers, or when there is no other lane to probe with.
    `next` is called by one thread at a time, `carry` by all.
    """

    def __init__(self, lanes: Iterator[Iterator[None]], breaker: CircuitBreaker) -> None:
        self._lanes = lanes
        self._breaker = breaker
        self._deferred: deque[Iterator[None]] = deque()

    def __iter__(self) -> "LaneQueue":
        return self

    def __next__(self) -> Iterator[None]:
        if self._deferred and not self._breaker.is_open:
            return self._deferred.popleft()
        lane = next(self._lanes, None)
        if lane is not None:
            return lane
        if self._deferred:
            return self._deferred.popleft()
        raise StopIteration

    def carry(self, lane: Iterator[None]) -> None:
        """Deliver the dues of a lane up to its end, or until one is deferred."""
        for _ in lane:
            self._deferred.append(lane)
            return


class Writer:
    """
    Delivers dues to one API with one account. Thread-safe: lanes are carried side by side, by so many workers.

    After a crash at most twice as many requests are repeated as there are workers: those under way, and as many whose
    outcome is not on disk yet. How the run fares shows in the course of its means; exceptions are faults of the ledger
    or of the program.
    """

    def __init__(self, means: Means, deliveries: Deliveries, workers: int) -> None:
        self._means = means
        self._workers = workers
        self._deliveries = deliveries

    def handed_out(self, lanes: Iterator[Iterable[Due]], *, dues: int) -> "LaneQueue":
        """Return the lanes to carry, up to this many dues of them admitted, or not, by one commit."""
        return LaneQueue(map(self._deliver, self._admitted(lanes, dues)), self._means.breaker)

    def _admitted(self, lanes: Iterator[Iterable[Due]], dues: int) -> Iterator[Lane]:
        """Yield lanes whose first dues are admitted, or not; no more once the run ends."""
        try:
            self._means.control.check_running()
            while drawn := draw(lanes, dues):
                self._have_keys()
                admissions = iter(self._deliveries.intend([due for first, _ in drawn for due in first]))
                yield from [Lane(first, list(islice(admissions, len(first))), others) for first, others in drawn]
                self._means.control.check_running()
        except Drained:
            return

    def _have_keys(self) -> None:
        """End the run where no key is to be had by which its answers could be verified."""
        control = self._means.control
        halt = self._means.keys.load(control.check_running)
        if halt is not None:
            control.drain(Ending.STOPPED, halt.text, halt_code=halt.code)
            control.check_running()

    def _deliver(self, lane: Lane) -> Iterator[None]:
        """
        Deliver the dues of one lane, one after another; yield each time that one is deferred.

        At the end of the run those that have no intent are left.
        """
        yield from self._write_all(lane.first, lane.admissions)
        try:
            for stretch in lane.others:
                self._means.control.check_running()
                yield from self._write_all(stretch, self._deliveries.intend(stretch))
        except Drained:
            return

    def _write_all(self, stretch: Stretch, admissions: Sequence[Admission]) -> Iterator[None]:
        for due, admission in zip(stretch, admissions, strict=True):
            yield from self._write(due, admission)

    def _write(self, due: Due, admission: Admission) -> Iterator[None]:
        """Carry one due to an outcome. Its intent is on disk, and brings back any doubt that an earlier run left."""
        match admission:
            case Go(doubt, before):
                self._deliveries.limit_waiting(self._workers)
                history = History(before=before, doubt=doubt)
                delivery = Delivery(self._means, due, history, self._deliveries.keep_job)
                while (end := delivery.carry_out()) is None:
                    yield
            case Skip(code):
                end = Settlement(Status.SKIPPED, code)
            case Conflict(message):
                end = Settlement(Status.INVALID, "key_conflict", message)
            case Blocked(code, message):
                end = Settlement(Status.BLOCKED, code, message)
        self._deliveries.settle(due, end)
        self._means.control.count(end.status)
