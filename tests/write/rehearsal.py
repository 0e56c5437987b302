"""Everything that a delivery needs, without keys, network, disk or waiting."""

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
from pipeline.write.brakes.failure_streaks import EqualEndings, RefusalStreak
from pipeline.write.brakes.run_control import RunControl
from pipeline.write.brakes.verdict_watch import FailureStreaks
from pipeline.write.delivery import Means
from pipeline.write.keys import Keys
from pipeline.write.ports import at_once
from pipeline.write.retry import RetryPolicy
from pipeline.write.writer import LaneQueue, Writer
from tests.moved_clock import MovedClock

TRIP_SECONDS = 0.05
TRIP = RoundTrip(left_at=5.0, shortest=0.01, handshake=0.02)

Answer = Reply | Lost


def due(key: str, *, number: int = 1, refund_of: str | None = None) -> Due:
    """Return a report that is due."""
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
    """Return an answer, which the signer will find as trustworthy as told."""
    return Reply(status, {"trust": trust, "alipay-trace-id": "trace", **(headers or {})}, orjson.dumps(content))


def refused(code: str) -> Reply:
    return reply(400, code=code, message="mend it")


TIMEOUT = Lost(Loss.TIMEOUT)
NOT_CONNECTED = Lost(Loss.NOT_CONNECTED)
THROTTLED = reply(429)
THROTTLED_FOR_A_WHILE = reply(429, headers={"retry-after": "7"})
REFUSED = refused("INVALID_PARAMETER")
BAD_SIGNATURE = refused("invalid-signature")
UNKNOWN_KEY = reply(200, trust=Trust.UNKNOWN_SERIAL, out_biz_no="A")


class PlainSigner:
    """Signs with nothing, and trusts an answer as its header says."""

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
class Network:
    """
    Answers by request key with what is laid out, then with a success. Each trip takes its time.

    `connects_in` holds how long the next connections take to come about, `keys` the answers to requests for the
    platform's keys. What an answer is made by is called when it is due. `fresh` says for each request whether a new
    connection was asked for. Until `down_until`, in steady seconds, no request is answered in time.
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
        self.clock.move(TRIP_SECONDS)
        if request.method == "GET":
            return self.keys.pop(0)
        if self.clock.steady() < self.down_until:
            return TIMEOUT
        key = orjson.loads(request.body)["out_biz_no"]
        laid_out = self.answers.get(key, [])
        answer = laid_out.pop(0) if laid_out else reply(200, out_biz_no=key)
        answer = answer if isinstance(answer, Reply | Lost) else answer()
        return replace(answer, round_trip=TRIP) if isinstance(answer, Reply) else answer

    def keys_sent(self) -> list[str]:
        return [orjson.loads(request.body)["out_biz_no"] for request in self.sent if request.method == "POST"]


class Permitting:
    """A quota that gives a permit at once; late ones are as old as the test says."""

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
        self.returned.append((permit.serial, round_trip))

    def slow_down(self, wait_seconds: float | None) -> None:
        self.slowed.append(wait_seconds)


class Highest(Random):
    """Chance that always waits as long as it may."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Book:
    """A ledger of settlements; admits everything unless told otherwise, until its job is taken."""

    def __init__(self) -> None:
        self.is_taken = False
        self.admissions: dict[str, Admission] = {}
        self.lines: list[str] = []
        self.limits: list[int] = []
        self.settled: dict[str, Settlement] = {}

    def intend(self, dues: Sequence[Due]) -> list[Admission]:
        self.lines.extend(f"intend {due.identity}" for due in dues)
        return [self.admissions.get(due.identity, Go(doubt=False)) for due in dues]

    def settle(self, due: Due, end: Settlement) -> None:
        self.lines.append(f"settle {due.identity} {end.status}")
        self.settled[due.identity] = end

    def limit_waiting(self, outcomes: int) -> None:
        self.limits.append(outcomes)

    def keep_job(self) -> None:
        if self.is_taken:
            raise LedgerError("the job was taken over")


class DryRun:
    """All parts of a delivery, ready to be carried out."""

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
        self.signer = PlainSigner()
        self.network = Network(self.clock)
        self.quota = Permitting(self.clock)
        self.breaker = CircuitBreaker(self.clock, outage_limit_seconds)
        self.book = Book()
        chance = Highest(7)
        self.means = Means(
            api=api,
            signer=self.signer,
            transport=self.network,
            quota=self.quota,
            control=self.control,
            breaker=self.breaker,
            streaks=FailureStreaks(RefusalStreak(), EqualEndings()),
            keys=Keys(self.signer, self.network, self.clock, chance),
            policy=RetryPolicy(max_attempts, base_seconds=1.0, cap_seconds=8.0),
            clock=self.clock,
            chance=chance,
        )
        self.writer = Writer(self.means, self.book, workers=2)

    def lay_out(self, key: str, answers: Iterable[Answer | Callable[[], Answer]]) -> None:
        """Say how the platform answers the next requests with this key."""
        self.network.answers[key] = list(answers)

    def carry(self, *dues: Due) -> dict[str, Settlement]:
        """Carry one lane, and return what was settled."""
        return self.carry_all([dues])

    def carry_all(self, lanes: Iterable[Sequence[Due]]) -> dict[str, Settlement]:
        """Carry lanes by one worker, and return what was settled."""
        queue = self.handed_out(lanes, at_once=1)
        for lane in queue:
            queue.carry(lane)
        return self.book.settled

    def handed_out(self, lanes: Iterable[Sequence[Due]], *, at_once: int) -> LaneQueue:
        """Return lanes to carry; so many dues are admitted at once."""
        return self.writer.handed_out(iter(lanes), dues=at_once)
