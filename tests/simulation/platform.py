"""
A model of the platforms and of the network to them, with a journal of all requests.

It knows of the client only method, headers and body of a request. Requests arrive with a random delay. The platform may
apply a request at once, or long after the client stopped waiting.
"""

import json
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from greenlet import getcurrent, greenlet

from pipeline.model import Api, Loss, Lost, Opened, Reply, RoundTrip, SignedRequest, Trust
from pipeline.write.ports import at_once
from tests.simulation.strays import Stray, Strays
from tests.simulation.world import Process, World

# A refusal with status 500: the row always fails.
POISON = "HTTP 500"
KEY_OF = {
    Api.CUMULATION: "out_biz_no",
    Api.STATE: "out_biz_no",
    Api.POINTS: "out_request_no",
    Api.BRAND_POINTS: "out_request_no",
}
BRAND_ID = "1004"


def state_identity(fields: Mapping[str, str]) -> str:
    """Return the identity of a state here: all fields of its row. Several rows may have the same."""
    return "|".join(fields[name] for name in _STATE)


_STATE = ("out_biz_no", "out_principal_id", "user_id", "biz_state_code", "biz_data")

# Seconds of one way; a round trip takes 20 to 120 ms.
_LEAST_SECONDS, _MOST_SECONDS = 0.01, 0.06
# A connection that was idle longer is not used again.
_IDLE_SECONDS = 25.0


@dataclass(frozen=True, slots=True)
class FaultPeriod:
    """The faults of a period of time, each with its share of requests."""

    begins: float
    ends: float
    lost_before: float = 0.0
    lost_after: float = 0.0
    late: float = 0.0
    error_before: float = 0.0
    error_after: float = 0.0
    throttled: float = 0.0
    bad_signature: float = 0.0
    probe: float = 0.0
    cut: float = 0.0
    not_connected: float = 0.0
    forged: float = 0.0
    caller_refused: float = 0.0


@dataclass(slots=True)
class Entry:
    """One request as the platform saw it."""

    sent_at: float
    arrived_at: float
    process: int
    key: str
    identity: str
    body: str
    nonce: str
    decided: str = "none"
    applied_at: float | None = None
    answered: bool = False
    answered_at: float | None = None


@dataclass(frozen=True, slots=True)
class OnlineBalance:
    """A balance that the merchant's online system set."""

    at: float
    card: str
    points: str


@dataclass(slots=True)
class Journal:
    """
    All requests of this program in order of arrival, what was applied, and what the online system set.

    `listed` has the time at which a query first listed an applied identity; `queried` the arrivals of all queries.
    """

    entries: list[Entry] = field(default_factory=list)
    online: list[OnlineBalance] = field(default_factory=list)
    applied: dict[str, str] = field(default_factory=dict)
    times_applied: Counter[str] = field(default_factory=Counter)
    over_quota: int = 0
    applied_at: dict[str, float] = field(default_factory=dict)
    listed: dict[str, float] = field(default_factory=dict)
    queried: list[float] = field(default_factory=list)


class Platform:
    """One API for one merchant."""

    def __init__(
        self,
        world: World,
        api: Api,
        *,
        limit: float | None,
        fault_periods: list[FaultPeriod],
        refusals: dict[str, str],
        strays: Strays,
        refuses_until: float = float("inf"),
        lists_after: float = 0.0,
    ) -> None:
        self.world = world
        self.api = api
        self.journal = Journal()
        self.strays = strays
        # For handshakes of new connections: their number must not change the rest of a scenario.
        self.handshakes = random.Random(0)
        self._limit = limit
        self._fault_periods = fault_periods
        self._refusals = refusals
        self._refuses_until = refuses_until
        self._lists_after = lists_after
        self._recent: deque[float] = deque()

    def faults_now(self) -> FaultPeriod | None:
        """Return the faults of the present time."""
        now = self.world.now
        return next((period for period in self._fault_periods if period.begins <= now < period.ends), None)

    def end_faults(self) -> None:
        """End all faults."""
        self._fault_periods.clear()
        self.strays.end_faults()

    def arrive(self, entry: Entry, fault: str, apply_after: float) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Handle a request; return status, body and headers of the answer."""
        entry.arrived_at = self.world.now
        self.journal.entries.append(entry)
        if self._is_over_quota():
            self.journal.over_quota += 1
            return self._throttled(entry, {})
        if fault == "caller_refused":
            entry.decided = "caller_refused"
            return self._caller_refused()
        if fault == "throttled":
            return self._throttled(entry, {"retry-after": str(self.world.chance.randint(1, 5))})
        if fault == "error_before":
            entry.decided = "error"
            return self._error(self.world.chance.choice([500, 502, 503]), "")
        status, body = self._judge(entry, apply_after)
        if fault == "error_after":
            return self._error(500, "")
        return status, body, {}

    def list_reports(self, target: str, fault: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Answer a query for the reports of an agreement."""
        self.journal.queried.append(self.world.now)
        if self._is_over_quota():
            self.journal.over_quota += 1
            return 429, {"code": "app-call-limited", "message": "slow down"}, {}
        if fault == "caller_refused":
            return self._caller_refused()
        if fault == "throttled":
            return 429, {"code": "app-call-limited", "message": "slow down"}, {"retry-after": "1"}
        if fault.startswith("error"):
            return self._error(500, "")
        query = dict(parse_qsl(target.partition("?")[2]))
        entries = [*self._listed(query["agreement_id"]), *self._used_otherwise(query["agreement_id"])]
        first, size = int(query["page_no"]) - 1, int(query["page_size"])
        page = entries[first * size : (first + 1) * size]
        return 200, {"agreement_id": query["agreement_id"], "page_no": first + 1, "detail_list": page}, {}

    def _listed(self, agreement: str) -> Iterator[dict[str, Any]]:
        """Yield the applied reports of an agreement that are old enough to be listed."""
        for identity, body in self.journal.applied.items():
            fields = json.loads(body)
            is_old = self.world.now - self.journal.applied_at[identity] >= self._lists_after
            if fields["agreement_no"] == agreement and is_old:
                self.journal.listed.setdefault(identity, self.world.now)
                yield _listed_report(fields)

    def _used_otherwise(self, agreement: str) -> Iterator[dict[str, Any]]:
        """Yield the reports of somebody else under keys that are refused for that: the amount is another one."""
        bodies = {entry.key: entry.body for entry in self.journal.entries if entry.decided in ("refused", "none")}
        for key, body in bodies.items():
            fields, was_used = json.loads(body), self._refusals.get(key) == "IDEMPOTENT_ERROR"
            if was_used and fields["agreement_no"] == agreement and key not in self.journal.applied:
                yield _listed_report(fields) | {"task_amount": "987654.32"}

    def _caller_refused(self) -> tuple[int, dict[str, Any], dict[str, str]]:
        return self._error(401, "SIGN_ERROR" if self.api.sends_balances else "invalid-signature")

    def arrive_online(self, card: str, points: str) -> None:
        """Take a balance from the merchant's online system; nobody repeats a throttled one."""
        if not self._is_over_quota():
            self.journal.online.append(OnlineBalance(self.world.now, card, points))

    def _is_over_quota(self) -> bool:
        now = self.world.now
        while self._recent and self._recent[0] <= now - 1.0:
            self._recent.popleft()
        self._recent.append(now)
        return self._limit is not None and len(self._recent) > self._limit

    def _throttled(self, entry: Entry, headers: dict[str, str]) -> tuple[int, dict[str, Any], dict[str, str]]:
        entry.decided = "throttled"
        if self.api is Api.STATE:
            return 200, {"code": "40005", "msg": "x", "sub_code": "isv.app-call-limited"}, headers
        code = "RATELIMIT_EXCEEDED" if self.api.sends_balances else "app-call-limited"
        return 429, {"code": code, "message": "slow down"}, headers

    def _error(self, status: int, code: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        if self.api is Api.STATE and code:
            return 200, {"code": "40002", "msg": "x", "sub_code": f"isv.{code}"}, {}
        return status, {"code": code, "message": "x"} if code else {}, {}

    def _judge(self, entry: Entry, apply_after: float) -> tuple[int, dict[str, Any]]:
        """Decide on a request by its content, and apply it now or later."""
        refusal = self._refusals.get(entry.key) if self.world.now < self._refuses_until else None
        if refusal == POISON:
            entry.decided = "poisoned"
            return 500, {}
        if refusal is not None:
            entry.decided = "refused"
            return self._refused(refusal)
        known = self.journal.applied.get(entry.identity)
        # States have no request key: any difference is a change.
        if known not in (None, entry.body) and self.api is not Api.STATE:
            entry.decided = "conflict"
            return self._refused("IDEMPOTENT_ERROR")
        fields = json.loads(entry.body)
        if self.api is Api.BRAND_POINTS and "brand_id" in fields:
            entry.decided = "refused"
            return self._refused("PARAM_ERROR")
        if fields.get("biz_action") == "ORDER_REFUND" and fields["pay_out_biz_no"] not in self.journal.applied:
            entry.decided = "refused"
            return self._refused("PAY_ORDER_NOT_EXIST")
        entry.decided = "accepted"
        if apply_after:
            self.world.at(self.world.now + apply_after, lambda: self._apply(entry))
        else:
            self._apply(entry)
        return 200, self.success(fields)

    def _apply(self, entry: Entry) -> None:
        entry.applied_at = self.world.now
        self.journal.applied_at.setdefault(entry.identity, self.world.now)
        if entry.identity not in self.journal.applied:
            self.journal.times_applied[entry.identity] += 1
        self.journal.applied[entry.identity] = entry.body

    def _refused(self, code: str) -> tuple[int, dict[str, Any]]:
        if self.api is Api.STATE:
            return 200, {"code": "40004", "msg": "Business Failed", "sub_code": code}
        return 400, {"code": code, "message": "x"}

    def success(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the body of an answer that confirms a request."""
        if self.api is Api.STATE:
            return {"code": "10000", "msg": "Success", "biz_result": "success"}
        return fields | ({"brand_id": BRAND_ID} if self.api is Api.BRAND_POINTS else {})


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    One request on the network and its result.

    `noticed` is a stray answer that came over the kept connection before the request left, so that a new connection was
    used. `is_stray`: the answer is a stray one; the request's own answer comes after it.
    """

    ends: Reply | Lost
    left_at: float
    noticed: Reply | None = None
    is_stray: bool = False


@dataclass(frozen=True, slots=True)
class _Kept:
    """A connection that carried a request at `left_at`, and the stray answer that comes over it."""

    left_at: float
    stray: Stray | None


class SimulatedTransport:
    """The network between one process and the platform. Each greenlet has its own connection."""

    def __init__(self, process: Process, platform: Platform, timeout: float) -> None:
        self._process = process
        self._platform = platform
        self._timeout = timeout
        self._connected: set[greenlet] = set()
        self._kept: dict[greenlet, _Kept] = {}

    def send(
        self, request: SignedRequest, depart: Callable[[], None] = at_once, *, fresh: bool = False
    ) -> Reply | Lost:
        """Send once; the process may die before, during and after."""
        return self.exchange(request, depart, fresh=fresh).ends

    def exchange(self, request: SignedRequest, depart: Callable[[], None], *, fresh: bool) -> Exchange:
        """Send once, and return all that the network did."""
        self._process.effect()
        depart()
        exchange = self._exchange(request, fresh=fresh)
        self._process.effect()
        return exchange

    def _exchange(self, request: SignedRequest, *, fresh: bool) -> Exchange:
        world = self._process.world
        left_at, kept = world.now, self._kept_by(getcurrent(), fresh=fresh)
        if kept is not None and kept.stray is not None and kept.stray.arrives_at <= left_at:
            ends, is_stray = self._send(request, None, is_fresh=True)
            noticed, stray = kept.stray.reply, None
        else:
            noticed, stray = None, None if kept is None else kept.stray
            ends, is_stray = self._send(request, stray, is_fresh=kept is None)
        if isinstance(ends, Reply) and 200 <= ends.status < 300 and not is_stray:
            self._kept[getcurrent()] = _Kept(left_at, stray or self._platform.strays.after(ends, world.now))
        return Exchange(ends, left_at, noticed, is_stray=is_stray)

    def _kept_by(self, worker: greenlet, *, fresh: bool) -> _Kept | None:
        """Take the kept connection of a worker, if it may be used again."""
        kept = self._kept.pop(worker, None)
        is_idle = kept is not None and self._process.world.now - kept.left_at > _IDLE_SECONDS
        return None if fresh or is_idle else kept

    def _round_trip(self, left_at: float, *, is_fresh: bool) -> RoundTrip:
        """Return the measured round trip: its shortest time, and the handshake of a new connection."""
        world, worker = self._process.world, getcurrent()
        is_first = worker not in self._connected
        self._connected.add(worker)
        chance = world.chance if is_first else self._platform.handshakes
        handshake = sum(_ways(chance)) if is_fresh else 0.0
        return RoundTrip(left_at, 2 * _LEAST_SECONDS, handshake)

    def _send(self, request: SignedRequest, stray: Stray | None, *, is_fresh: bool) -> tuple[Reply | Lost, bool]:
        """Return the answer, and whether it is a stray one."""
        if request.method == "GET":
            return self._ask(request), False
        world, chance = self._process.world, self._process.world.chance
        fault = self._fault()
        if fault == "not_connected":
            world.wait(0.01, self._process)
            return Lost(Loss.NOT_CONNECTED), False
        left_at, (forward, back) = world.steady(), _ways(chance)
        entry = self._entry(request)
        box: list[tuple[int, dict[str, Any], dict[str, str]]] = []
        late = chance.uniform(0.0, 60.0) if fault == "late" else 0.0
        if fault not in ("lost_before", "forged"):
            world.at(world.now + forward, lambda: box.append(self._platform.arrive(entry, fault, late)))
        is_lost = fault in ("lost_before", "lost_after", "late")
        # Either the connection breaks, or the client times out.
        breaks = is_lost and fault != "late" and chance.random() < 0.5
        wait = self._timeout if is_lost and not breaks else forward if breaks else forward + back
        if stray is not None and stray.arrives_at < world.now + wait:
            world.wait(stray.arrives_at - world.now, self._process)
            return replace(stray.reply, round_trip=self._round_trip(left_at, is_fresh=is_fresh)), True
        world.wait(wait, self._process)
        if is_lost:
            return Lost(Loss.CONNECTION_LOST if breaks else Loss.TIMEOUT), False
        round_trip = self._round_trip(left_at, is_fresh=is_fresh)
        if fault == "forged":
            # A forged answer: the platform never saw the request.
            forged = _reply(200, self._platform.success(json.loads(request.body)), {}, fault)
            return replace(forged, round_trip=round_trip, is_fresh=is_fresh), False
        entry.answered, entry.answered_at = True, world.now
        if fault == "cut":
            return Lost(Loss.CUT_SHORT), False
        return replace(_reply(*box[0], fault), round_trip=round_trip, is_fresh=is_fresh), False

    def _ask(self, request: SignedRequest) -> Reply | Lost:
        """Return the answer to a query, over a fresh connection."""
        world, fault = self._process.world, self._fault()
        if fault == "not_connected":
            world.wait(0.01, self._process)
            return Lost(Loss.NOT_CONNECTED)
        left_at, (forward, back) = world.steady(), _ways(world.chance)
        box: list[tuple[int, dict[str, Any], dict[str, str]]] = []
        world.at(world.now + forward, lambda: box.append(self._platform.list_reports(request.target, fault)))
        is_lost = fault in ("lost_before", "lost_after", "late")
        world.wait(self._timeout if is_lost else forward + back, self._process)
        if is_lost:
            return Lost(Loss.TIMEOUT)
        if fault == "cut":
            return Lost(Loss.CUT_SHORT)
        return replace(_reply(*box[0], fault), round_trip=self._round_trip(left_at, is_fresh=True))

    def _fault(self) -> str:
        faults = self._platform.faults_now()
        if faults is None:
            return "none"
        drawn = self._process.world.chance.random()
        for name in faults.__slots__[2:]:
            drawn -= getattr(faults, name)
            if drawn < 0:
                return name
        return "none"

    def _entry(self, request: SignedRequest) -> Entry:
        fields = json.loads(request.body)
        key = fields[KEY_OF[self._platform.api]]
        identity = state_identity(fields) if self._platform.api is Api.STATE else key
        now = self._process.world.now
        return Entry(
            sent_at=now,
            arrived_at=now,
            process=self._process.pid,
            key=key,
            identity=identity,
            body=request.body.decode(),
            nonce=request.headers["nonce"],
        )


def _listed_report(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report as the platform lists it."""
    amounts, task = fields.get("amount_type_data", {}), fields.get("task_type_data", {})
    return {
        "out_biz_no": fields["out_biz_no"],
        "action_type": "POSITIVE" if fields["biz_action"] == "ORDER_PAID" else "REVERSE",
        "task_amount": amounts.get("trade_info", {}).get("amount"),
        "discount_amount": str(
            sum((Decimal(each["discount_amount"]) for each in amounts.get("out_discount_infos", [])), Decimal(0))
        ),
        "task_times": 1 if task else None,
        "task_desc": task.get("name") or amounts.get("name"),
    }


def _ways(chance: random.Random) -> list[float]:
    """Return the delays of a packet, there and back, in seconds."""
    return [chance.uniform(_LEAST_SECONDS, _MOST_SECONDS) for _ in range(2)]


def _reply(status: int, body: dict[str, Any], headers: dict[str, str], fault: str) -> Reply:
    is_success = status == 200 and body.get("code", "10000") == "10000"
    trust = Trust.VERIFIED if status == 200 else Trust.UNSIGNED_ERROR
    if is_success and fault in ("bad_signature", "probe", "forged"):
        trust = Trust.PROBE if fault == "probe" else Trust.BAD_SIGNATURE
    return Reply(status, {**headers, "trust": trust}, json.dumps(body).encode() if body else b"")


class SimulatedSigner:
    """Replaces signatures: each answer of the platform says how far it can be trusted."""

    def sign(self, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:
        """Return the request with its nonce."""
        return SignedRequest("POST", "/", {"nonce": nonce, "timestamp": at.isoformat()}, body)

    def sign_call(self, method: str, target: str, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:
        """Return a query with its nonce."""
        return SignedRequest(method, target, {"nonce": nonce, "timestamp": at.isoformat()}, body)

    def open(self, reply: Reply, *, at: datetime) -> Opened:
        """Return the answer with the trust that it names."""
        return Opened(Trust(reply.headers["trust"]), reply.body or None)

    def key_request(self, opened: Opened | None, *, at: datetime, nonce: str) -> SignedRequest | None:
        """Return None: there are no keys to fetch."""
        return None

    def can_verify(self) -> bool:
        """Return True: no key is needed."""
        return True

    def keys_due(self, at: datetime) -> bool:
        """Return False: there are no keys to fetch."""
        return False

    def learn_keys(self, reply: Reply, *, at: datetime) -> bool:
        """Return False: there are no keys to learn."""
        return False
