"""Traffic in virtual time: workers that take permits, a network, and a platform that counts requests."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from random import Random
from typing import TypeVar

from pipeline.clock import Clock
from pipeline.limits.permits import Permit, Permits, Store
from pipeline.model import RoundTrip
from tests.moved_clock import NOON

T = TypeVar("T")

TIMEOUT_SECONDS = 0.7
# Numbers of processes.
_PROCESSES = count(1)


class MemoryStore:
    """Keeps the states of quotas in memory, for all processes of a test. Its time is that of their machine."""

    offset = 0.0
    error = 0.0

    def __init__(self) -> None:
        self.states: dict[str, bytes] = {}
        self.changes = 0

    def epoch(self, boot: str) -> str:
        return boot

    def change(self, name: str, step: Callable[[bytes | None], tuple[bytes, T]]) -> T:
        self.changes += 1
        self.states[name], result = step(self.states.get(name))
        return result


class Waits(Exception):
    """The caller has to wait for this many seconds, then try again."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"wait for {seconds} s")


class EventClock:
    """A clock moved by events; sleeping on it raises Waits."""

    def __init__(self, at: float = 1000.0) -> None:
        self.at = at

    def now(self) -> datetime:
        return NOON

    def steady(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        raise Waits(seconds)

    def pause(self, seconds: float) -> None:
        raise Waits(seconds)

    def wake(self) -> None:
        return


class SlowClock(EventClock):
    """A clock whose sleepers wake late."""

    def __init__(self, late: float) -> None:
        super().__init__()
        self.late = late

    def sleep(self, seconds: float) -> None:
        self.at += seconds + self.late


def check_running() -> None:
    """Never raise."""


@dataclass(frozen=True)
class Network:
    """
    A network, and the platform behind it. All times are seconds.

    - A packet takes `there` or `back`, plus up to `jitter`.
    - The platform counts a request up to `server_lag` after its arrival, and works on it for `least_work` to `work`.
    - A share `stuck` of the requests arrives 20 to 200 ms later.
    - A share `lost` of the answers is lost; the platform counts the request.
    - A `silent` network has no measurements.
    - A new connection opens at the next multiple of `connect`, together with all others that wait.
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
        """Return when a connection opens that was requested at this time."""
        return (at // self.connect + 1) * self.connect if self.connect else at

    def one_way_times(self, chance: Random) -> tuple[float, float]:
        """Return the travel times of a packet there, and of another one back."""
        return self.there + chance.uniform(0, self.jitter), self.back + chance.uniform(0, self.jitter)

    def round_trip(self, chance: Random) -> tuple[float, float | None]:
        """Return the times from sending a request until it is counted, and until its answer (None if lost)."""
        there, back = self.one_way_times(chance)
        counted_after = chance.uniform(0, self.server_lag)
        if self.stuck and chance.random() < self.stuck:
            there += chance.uniform(0.02, 0.2)
        if chance.random() < self.lost:
            return there + counted_after, None
        return there + counted_after, there + max(
            counted_after, chance.uniform(self.least_work, max(self.least_work, self.work))
        ) + back

    def measured(self, left_at: float, chance: Random, *, is_first: bool) -> RoundTrip:
        """Return the system's measurements; the first request over a connection has its handshake."""
        if self.silent:
            return RoundTrip()
        return RoundTrip(left_at, self.there + self.back, sum(self.one_way_times(chance)) if is_first else 0.0)


EVEN = Network(0.02, 0.02)


def process(store: Store, clock: Clock, limit: float = 5.0, boot: str = "boot") -> Permits:
    """Return the permits of a new process."""
    return Permits(store, "points", limit, clock, boot, next(_PROCESSES))


@dataclass(eq=False)
class _Worker:
    """One worker of a process, with its own connection. The steady clock of its host is `ahead` of the traffic's."""

    permits: Permits
    ahead: float = 0.0
    is_connected: bool = False
    is_measured: bool = False


@dataclass(frozen=True)
class _Sent:
    """A sent request, with its round trip if its answer comes. `counted_at` is None for an unused permit."""

    permit: Permit
    counted_at: float | None
    round_trip: RoundTrip | None


@dataclass
class Traffic:
    """
    Workers of several processes over one network.

    With a `limit`, the platform throttles requests above it.
    """

    clock: EventClock
    network: Network
    chance: Random
    limit: float | None = None
    counted: list[float] = field(default_factory=list)
    sent_by: Counter[Permits] = field(default_factory=Counter)
    throttled: list[float] = field(default_factory=list)
    _events: list[tuple[float, int, _Worker, _Sent | None]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def start(self, permits: Permits, workers: int, ahead: float = 0.0) -> None:
        """Start a process; its workers start one shortly after another."""
        for worker in range(workers):
            self._at(self.clock.at + worker * 1e-4, _Worker(permits, ahead))

    def crash(self) -> None:
        """End all processes; their requests in flight still reach the platform."""
        self._events.clear()

    def run(self, seconds: float) -> None:
        """Let this many seconds pass."""
        end = self.clock.at + seconds
        while self._events and self._events[0][0] < end:
            at, _, worker, sent = heapq.heappop(self._events)
            # A store may take time; all other workers wait meanwhile.
            self.clock.at = max(self.clock.at, at)
            if sent is not None:
                self._answer(worker, sent)
            self._send(worker)
        self.clock.at = end

    def _send(self, worker: _Worker) -> None:
        try:
            permit = worker.permits.take(check_running)
        except Waits as wait:
            self._at(self.clock.at + wait.seconds, worker)
            return
        left_at = self.clock.at if worker.is_connected else self.network.connected(self.clock.at)
        worker.is_connected = True
        if left_at + worker.ahead > permit.leave_by:
            self._at(left_at, worker, _Sent(permit, None, RoundTrip()))
            return
        counted, answered = self.network.round_trip(self.chance)
        self.counted.append(left_at + counted)
        self.sent_by[worker.permits] += 1
        if answered is None:
            worker.is_connected = worker.is_measured = False
            self._at(left_at + TIMEOUT_SECONDS, worker, _Sent(permit, left_at + counted, None))
            return
        round_trip = self.network.measured(left_at + worker.ahead, self.chance, is_first=not worker.is_measured)
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
    """Return the largest number of requests within any span of this many seconds."""
    times, first, most = sorted(counted), 0, 0
    for last, at in enumerate(times):
        # Floating-point sums are off by a few billionths.
        while at - times[first] >= seconds - 1e-6:
            first += 1
        most = max(most, last - first + 1)
    return most
