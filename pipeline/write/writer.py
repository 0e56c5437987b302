"""The writer: deliver lanes of dues, and settle each due in the ledger."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from pipeline.ledger.records import Due, Settlement
from pipeline.ledger.rules.admission import Admission, Blocked, Conflict, Go, Skip
from pipeline.model import Status
from pipeline.write.brakes.circuit_breaker import CircuitBreaker
from pipeline.write.brakes.run_control import Drained, Ending
from pipeline.write.delivery import Delivery, Services
from pipeline.write.lanes import Lane, Stretch, draw
from pipeline.write.settlement import DeliveryHistory


class Deliveries(Protocol):
    """The ledger, as the writer uses it."""

    def intend(self, dues: Sequence[Due]) -> list[Admission]:
        """Write all intents in one durable commit. Return one admission for each due: `Go`, or why it is not sent."""
        ...

    def settle(self, due: Due, end: Settlement) -> None:
        """Record the outcome of a due."""
        ...

    def limit_waiting(self, outcomes: int) -> None:
        """Block until at most this many outcomes wait for their commit."""
        ...

    def keep_job(self) -> None:
        """Return if the run still owns its job. Raise LedgerError if another run took it."""
        ...


class LaneQueue:
    """
    The lanes that wait for a worker, new ones and deferred ones.

    A lane with a deferred due comes back once the platform answers, or when no other lane is left to probe with.

    One thread at a time calls `next`. All workers call `deliver`.
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

    def deliver(self, lane: Iterator[None]) -> None:
        """Deliver the dues of a lane until its end, or until one is deferred."""
        for _ in lane:
            self._deferred.append(lane)
            return


class Writer:
    """
    Delivers dues to one API with one account. Thread-safe: each worker delivers its own lane.

    After a crash, up to twice as many requests as workers are repeated: those in flight, and those whose outcome was
    not yet committed.

    Failures of rows and halts of the run go to `RunControl`. An exception is an error of the ledger or of the program.
    """

    def __init__(self, services: Services, deliveries: Deliveries, workers: int) -> None:
        self._services = services
        self._workers = workers
        self._deliveries = deliveries

    def lane_queue(self, lanes: Iterator[Iterable[Due]], *, dues: int) -> "LaneQueue":
        """Return the lanes for the workers. One commit admits the first stretches of lanes, with about `dues` dues."""
        return LaneQueue(map(self._deliver_lane, self._admitted(lanes, dues)), self._services.breaker)

    def _admitted(self, lanes: Iterator[Iterable[Due]], dues: int) -> Iterator[Lane]:
        """Yield lanes whose first dues have an admission. Stop when the run ends."""
        try:
            self._services.control.check_running()
            while drawn := draw(lanes, dues):
                self._load_keys()
                admissions = iter(self._deliveries.intend([due for first, _ in drawn for due in first]))
                yield from [Lane(first, list(islice(admissions, len(first))), others) for first, others in drawn]
                self._services.control.check_running()
        except Drained:
            return

    def _load_keys(self) -> None:
        """Stop the run if no key is available to verify its answers."""
        control = self._services.control
        halt = self._services.keys.load(control.check_running)
        if halt is not None:
            control.drain(Ending.STOPPED, halt.text, halt_code=halt.code)
            control.check_running()

    def _deliver_lane(self, lane: Lane) -> Iterator[None]:
        """
        Deliver the dues of one lane in order; yield each time a due is deferred.

        When the run ends, dues without an intent are left for `resume`.
        """
        yield from self._deliver_stretch(lane.first, lane.admissions)
        try:
            for stretch in lane.others:
                self._services.control.check_running()
                yield from self._deliver_stretch(stretch, self._deliveries.intend(stretch))
        except Drained:
            return

    def _deliver_stretch(self, stretch: Stretch, admissions: Sequence[Admission]) -> Iterator[None]:
        for due, admission in zip(stretch, admissions, strict=True):
            yield from self._deliver_due(due, admission)

    def _deliver_due(self, due: Due, admission: Admission) -> Iterator[None]:
        """Deliver and settle one due. Its intent is durable; its admission has any doubt from an earlier run."""
        match admission:
            case Go(doubt, before):
                self._deliveries.limit_waiting(self._workers)
                history = DeliveryHistory(before=before, doubt=doubt)
                delivery = Delivery(self._services, due, history, self._deliveries.keep_job)
                while (end := delivery.carry_out()) is None:
                    yield
            case Skip(code):
                end = Settlement(Status.SKIPPED, code)
            case Conflict(message):
                end = Settlement(Status.INVALID, "key_conflict", message)
            case Blocked(code, message):
                end = Settlement(Status.BLOCKED, code, message)
        self._deliveries.settle(due, end)
        self._services.control.count(end.status)
