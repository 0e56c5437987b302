"""Fakes for the tests of `write`: signer, network, quota and ledger, on a clock that never really waits."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

import orjson

from pipeline.errors import LedgerError
from pipeline.ledger.records import Due, Settlement
from pipeline.ledger.rules.admission import Admission, Go
from pipeline.limits.permits import Permit
from pipeline.model import Api, Loss, Lost, Opened, Reply, RoundTrip, SignedRequest, Trust, digest
from pipeline.write.brakes.circuit_breaker import CircuitBreaker
from pipeline.write.brakes.failure_streaks import FailureStreaks
from pipeline.write.brakes.run_control import RunControl
from pipeline.write.delivery import Services
from pipeline.write.keys import Keys
from pipeline.write.ports import at_once
from pipeline.write.retry import RetryPolicy
from pipeline.write.writer import LaneQueue, Writer
from tests.moved_clock import MovedClock

ROUND_TRIP_SECONDS = 0.05
ROUND_TRIP = RoundTrip(left_at=5.0, shortest=0.01, handshake=0.02)

Answer = Reply | Lost


def due(key: str, *, number: int = 1, refund_of: str | None = None) -> Due:
    """Return a due for a cumulation report."""
    body = orjson.dumps({"out_biz_no": key, "user_id": "2088000000000001"})
    return Due(
        due_no=number,
        row_no=number,
        request_key=key,
        identity=key,
        digest=digest(body),
        body=body,
        lane=b"lane",
        refund_of=refund_of,
        balance=None,
        position=number,
    )


def reply(
    status: int, *, trust: Trust = Trust.VERIFIED, headers: Mapping[str, str] | None = None, **content: str
) -> Reply:
    """Return an answer; the fake signer gives it this trust."""
    return Reply(status, {"trust": trust, "alipay-trace-id": "trace", **(headers or {})}, orjson.dumps(content))


def refused(code: str) -> Reply:
    return reply(400, code=code, message="fix it")


TIMEOUT = Lost(Loss.TIMEOUT)
NOT_CONNECTED = Lost(Loss.NOT_CONNECTED)
THROTTLED = reply(429)
THROTTLED_FOR_A_WHILE = reply(429, headers={"retry-after": "7"})
REFUSED = refused("INVALID_PARAMETER")
BAD_SIGNATURE = refused("invalid-signature")
UNKNOWN_KEY = reply(200, trust=Trust.UNKNOWN_SERIAL, out_biz_no="A")


class FakeSigner:
    """Signs without a key, and trusts an answer as its `trust` header says."""

    def __init__(self) -> None:
        self.knows_new_key = False
        self.has_keys_to_fetch = True
        self.is_due = False
        self.has_key = True
        self.learns = True

    def sign(self, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:
        return SignedRequest("POST", "/sync", {"nonce": nonce, "at": at.isoformat()}, body)

    def open(self, reply: Reply, *, at: datetime) -> Opened:
        trust = Trust(reply.headers["trust"])
        if trust is Trust.UNKNOWN_SERIAL and self.knows_new_key:
            trust = Trust.VERIFIED
        return Opened(trust, reply.body, "serial")

    def key_request(self, opened: Opened | None, *, at: datetime, nonce: str) -> SignedRequest | None:
        return SignedRequest("GET", "/keys", {"nonce": nonce}, b"") if self.has_keys_to_fetch else None

    def can_verify(self) -> bool:
        return self.has_key or self.knows_new_key

    def keys_due(self, at: datetime) -> bool:
        return self.is_due

    def learn_keys(self, reply: Reply, *, at: datetime) -> bool:
        self.knows_new_key = reply.status == 200 and self.learns
        return self.knows_new_key


@dataclass
class FakeNetwork:
    """
    Answers each request key with its planned answers, then with successes. Each request takes a fixed time.

    - `connects_in`: seconds that the next connections take to open.
    - `keys`: answers to requests for the platform's keys.
    - `fresh`: for each request, whether a new connection was requested.
    - `down_until`: steady time before which no request is answered in time.

    A planned callable is called when its answer is due.
    """

    clock: MovedClock
    answers: dict[str, list[Answer | Callable[[], Answer]]] = field(default_factory=dict)
    keys: list[Answer] = field(default_factory=list)
    sent: list[SignedRequest] = field(default_factory=list)
    connects_in: list[float] = field(default_factory=list)
    fresh: list[bool] = field(default_factory=list)
    down_until: float = 0.0

    def send(self, request: SignedRequest, depart: Callable[[], None] = at_once, *, fresh: bool = False) -> Answer:
        self.clock.move(self.connects_in.pop(0) if self.connects_in else 0.0)
        depart()
        self.sent.append(request)
        self.fresh.append(fresh)
        self.clock.move(ROUND_TRIP_SECONDS)
        if request.method == "GET":
            return self.keys.pop(0)
        if self.clock.steady() < self.down_until:
            return TIMEOUT
        key = orjson.loads(request.body)["out_biz_no"]
        planned = self.answers.get(key, [])
        answer = planned.pop(0) if planned else reply(200, out_biz_no=key)
        answer = answer if isinstance(answer, Reply | Lost) else answer()
        return replace(answer, round_trip=ROUND_TRIP) if isinstance(answer, Reply) else answer

    def keys_sent(self) -> list[str]:
        return [orjson.loads(request.body)["out_biz_no"] for request in self.sent if request.method == "POST"]


class FakeQuota:
    """A quota that gives each permit immediately. `late_by` are the ages of the next permits, in seconds."""

    def __init__(self, clock: MovedClock) -> None:
        self._clock = clock
        self.late_by: list[float] = []
        self.given: list[Permit] = []
        self.returned: list[tuple[int, RoundTrip | None]] = []
        self.slowed: list[float | None] = []

    def take(self, check_running: Callable[[], None]) -> Permit:
        check_running()
        late_by = self.late_by.pop(0) if self.late_by else 0.0
        self.given.append(Permit(len(self.given) + 1, self._clock.steady() - late_by))
        return self.given[-1]

    def give_back(self, permit: Permit, round_trip: RoundTrip | None) -> None:
        self.returned.append((permit.slot_no, round_trip))

    def slow_down(self, wait_seconds: float | None) -> None:
        self.slowed.append(wait_seconds)


class LongestWaits(Random):
    """Randomness that always picks the longest wait."""

    def uniform(self, a: float, b: float) -> float:
        return b


class FakeLedger:
    """A ledger that records events and settlements. It admits each due unless `admissions` differs."""

    def __init__(self) -> None:
        self.job_is_taken = False
        self.admissions: dict[str, Admission] = {}
        self.events: list[str] = []
        self.limits: list[int] = []
        self.settled: dict[str, Settlement] = {}

    def intend(self, dues: Sequence[Due]) -> list[Admission]:
        self.events.extend(f"intend {due.identity}" for due in dues)
        return [self.admissions.get(due.identity, Go(doubt=False)) for due in dues]

    def settle(self, due: Due, end: Settlement) -> None:
        self.events.append(f"settle {due.identity} {end.status}")
        self.settled[due.identity] = end

    def limit_waiting(self, outcomes: int) -> None:
        self.limits.append(outcomes)

    def keep_job(self) -> None:
        if self.job_is_taken:
            raise LedgerError("the job was taken over")


class WriterHarness:
    """A writer with all its services, ready to deliver."""

    def __init__(
        self,
        *,
        api: Api = Api.CUMULATION,
        max_attempts: int = 3,
        outage_limit_seconds: float = 300.0,
        until_seconds: float | None = None,
    ):
        self.clock = MovedClock()
        until = None if until_seconds is None else self.clock.now() + timedelta(seconds=until_seconds)
        self.control = RunControl(self.clock, until=until)
        self.signer = FakeSigner()
        self.network = FakeNetwork(self.clock)
        self.quota = FakeQuota(self.clock)
        self.breaker = CircuitBreaker(self.clock, outage_limit_seconds)
        self.ledger = FakeLedger()
        chance = LongestWaits(7)
        self.services = Services(
            api=api,
            signer=self.signer,
            transport=self.network,
            quota=self.quota,
            control=self.control,
            breaker=self.breaker,
            streaks=FailureStreaks(),
            keys=Keys(self.signer, self.network, self.clock, chance),
            policy=RetryPolicy(max_attempts, base_seconds=1.0, cap_seconds=8.0),
            clock=self.clock,
            chance=chance,
        )
        self.writer = Writer(self.services, self.ledger, workers=2)

    def plan_answers(self, key: str, answers: Iterable[Answer | Callable[[], Answer]]) -> None:
        """Set the platform's answers to the next requests with this key."""
        self.network.answers[key] = list(answers)

    def deliver(self, *dues: Due) -> dict[str, Settlement]:
        """Deliver one lane; return the settlements."""
        return self.deliver_all([dues])

    def deliver_all(self, lanes: Iterable[Sequence[Due]]) -> dict[str, Settlement]:
        """Deliver lanes with one worker; return the settlements."""
        queue = self.lane_queue(lanes, at_once=1)
        for lane in queue:
            queue.deliver(lane)
        return self.ledger.settled

    def lane_queue(self, lanes: Iterable[Sequence[Due]], *, at_once: int) -> LaneQueue:
        """Return the queue of lanes; `at_once` dues are admitted together."""
        return self.writer.lane_queue(iter(lanes), dues=at_once)
