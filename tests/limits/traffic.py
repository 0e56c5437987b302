"""Traffic in virtual time: workers that take permits, a network, and a platform that counts what arrives."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from random import Random
from typing import TypeVar

from pipeline.limits.permits import Permit, Permits
from pipeline.model import RoundTrip
from tests.moved_clock import NOON

T = TypeVar("T")

TIMEOUT_SECONDS = 0.7


class Shelf:
    """Keeps the state of quotas in memory, for all processes of a test."""

    def __init__(self) -> None:
        self.states: dict[str, bytes] = {}
        self.changes = 0

    def change(self, name: str, step: Callable[[bytes | None], tuple[bytes, T]]) -> T:
        self.changes += 1
        self.states[name], told = step(self.states.get(name))
        return told


class Waits(Exception):
    """Whoever asked has to wait for so many seconds, and to ask again then."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"wait for {seconds} s")


class EventClock:
    """A clock that the events move; nobody sleeps on it."""

    def __init__(self, at: float = 1000.0) -> None:
        self.at = at

    def now(self) -> datetime:
        return NOON

    def steady(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        raise Waits(seconds)

    def wake(self) -> None:
        return


class SlowClock(EventClock):
    """A clock on which whoever sleeps wakes up late."""

    def __init__(self, late: float) -> None:
        super().__init__()
        self.late = late

    def sleep(self, seconds: float) -> None:
        self.at += seconds + self.late


def check_running() -> None:
    """Never give up."""


@dataclass(frozen=True)
class Network:
    """
    How long requests are under way: at least `there` and `back`, and up to `jitter` more each way.

    The platform counts a request up to `hold` after it has arrived, and works on it for `least_work` to `work`; to the
    share `stuck` of all it does not come for 20 to 200 ms more. Of all answers the share `lost` never comes; the
    platform counts such a request all the same. What the system can measure of a trip it tells unless the network is
    `silent`. A connection that is not there yet stands at the next multiple of `connect` seconds, as all others that
    were waited for until then: so does a front that hangs and goes on.
    """

    there: float
    back: float
    jitter: float = 0.0
    work: float = 0.0
    least_work: float = 0.0
    server_lag: float = 0.0
    stuck: float = 0.0
    lost: float = 0.0
    silent: bool = False
    connect: float = 0.0

    def connected(self, at: float) -> float:
        """Return when a connection stands that was asked for at this time."""
        return (at // self.connect + 1) * self.connect if self.connect else at

    def ways(self, chance: Random) -> tuple[float, float]:
        """Return how long a packet takes there, and another one back."""
        return self.there + chance.uniform(0, self.jitter), self.back + chance.uniform(0, self.jitter)

    def round_trip(self, chance: Random) -> tuple[float, float | None]:
        """Return when a request is counted, and when its answer is here, if it comes, from when it is sent."""
        there, back = self.ways(chance)
        held = chance.uniform(0, self.server_lag)
        if self.stuck and chance.random() < self.stuck:
            there += chance.uniform(0.02, 0.2)
        if chance.random() < self.lost:
            return there + held, None
        return there + held, there + max(held, chance.uniform(self.least_work, max(self.least_work, self.work))) + back

    def measured(self, left_at: float, chance: Random, *, is_first: bool) -> RoundTrip:
        """Return what the system says of a trip; the first over a connection comes with that one's handshake."""
        if self.silent:
            return RoundTrip()
        return RoundTrip(left_at, self.there + self.back, sum(self.ways(chance)) if is_first else 0.0)


EVEN = Network(0.02, 0.02)


def process(shelf: Shelf, clock: EventClock, limit: float = 5.0, boot: str = "boot") -> Permits:
    """Return the permits of one process more."""
    return Permits(shelf, "points", limit, clock, boot)


@dataclass(eq=False)
class _Worker:
    """One worker of a process, with a connection of its own."""

    permits: Permits
    is_connected: bool = False
    is_measured: bool = False


@dataclass(frozen=True)
class _Sent:
    """A request whose answer comes, as it travelled, or never comes; not counted where its permit went back unused."""

    permit: Permit
    counted_at: float | None
    round_trip: RoundTrip | None


@dataclass
class Traffic:
    """
    Workers of several processes, each with permits of its own, over one network.

    With a `limit` the platform throttles what exceeds it.
    """

    clock: EventClock
    network: Network
    chance: Random
    limit: float | None = None
    counted: list[float] = field(default_factory=list)
    throttled: list[float] = field(default_factory=list)
    _events: list[tuple[float, int, _Worker, _Sent | None]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def start(self, permits: Permits, workers: int) -> None:
        """Let a process begin, its workers one shortly after another."""
        for worker in range(workers):
            self._at(self.clock.at + worker * 1e-4, _Worker(permits))

    def crash(self) -> None:
        """Let all processes die; what they sent goes on to the platform."""
        self._events.clear()

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.clock.at + seconds
        while self._events and self._events[0][0] < end:
            self.clock.at, _, worker, sent = heapq.heappop(self._events)
            if sent is not None:
                self._answer(worker, sent)
            self._ask(worker)
        self.clock.at = end

    def _ask(self, worker: _Worker) -> None:
        try:
            permit = worker.permits.take(check_running)
        except Waits as wait:
            self._at(self.clock.at + wait.seconds, worker)
            return
        left_at = self.clock.at if worker.is_connected else self.network.connected(self.clock.at)
        worker.is_connected = True
        if left_at > permit.leave_by:
            self._at(left_at, worker, _Sent(permit, None, RoundTrip()))
            return
        counted, answered = self.network.round_trip(self.chance)
        self.counted.append(left_at + counted)
        if answered is None:
            worker.is_connected = worker.is_measured = False
            self._at(left_at + TIMEOUT_SECONDS, worker, _Sent(permit, left_at + counted, None))
            return
        round_trip = self.network.measured(left_at, self.chance, is_first=not worker.is_measured)
        worker.is_measured = True
        self._at(left_at + answered, worker, _Sent(permit, left_at + counted, round_trip))

    def _answer(self, worker: _Worker, sent: _Sent) -> None:
        worker.permits.give_back(sent.permit, sent.round_trip)
        at = None if sent.round_trip is None else sent.counted_at
        if self.limit is not None and at is not None and self._is_over(at, self.limit):
            self.throttled.append(at)
            worker.permits.slow_down(None)

    def _is_over(self, at: float, limit: float) -> bool:
        return sum(at - 1.0 + 1e-6 < other <= at for other in self.counted[-2 * int(limit) :]) > limit

    def _at(self, when: float, worker: _Worker, sent: _Sent | None = None) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), worker, sent))


def most_within(counted: Sequence[float], seconds: float) -> int:
    """Return the most requests that were counted within any span of so many seconds."""
    times, first, most = sorted(counted), 0, 0
    for last, at in enumerate(times):
        # Sums of binary fractions are off by some billionths.
        while at - times[first] >= seconds - 1e-6:
            first += 1
        most = max(most, last - first + 1)
    return most
