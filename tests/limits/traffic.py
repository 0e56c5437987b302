"""Traffic in virtual time: workers that take permits, a network, and a platform that counts what arrives."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from random import Random
from typing import TypeVar

from pipeline.limits.permits import Permit, Permits
from tests.moved_clock import NOON

T = TypeVar("T")

TIMEOUT_SECONDS = 0.7


class Shelf:
    """Keeps the state of quotas in memory, for all processes of a test."""

    def __init__(self) -> None:
        self.states: dict[str, bytes] = {}

    def change(self, name: str, step: Callable[[bytes | None], tuple[bytes, T]]) -> T:
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


def go_on() -> None:
    """Never give up."""


@dataclass(frozen=True)
class Network:
    """
    How long requests are under way: at least `there` and `back`, and up to `jitter` more each way.

    The platform works up to `work` on each, and counts it at any moment of that time. Of all answers the share `lost`
    never comes; the platform counts such a request when it arrives.
    """

    there: float
    back: float
    jitter: float = 0.0
    work: float = 0.0
    lost: float = 0.0

    def trip(self, chance: Random) -> tuple[float, float | None]:
        """Return when a request is counted, and when its answer is here, if it comes, from when it is sent."""
        arrives = self.there + chance.uniform(0, self.jitter)
        if chance.random() < self.lost:
            return arrives, None
        works = chance.uniform(0, self.work)
        counted = arrives + chance.uniform(0, works)
        return counted, arrives + works + self.back + chance.uniform(0, self.jitter)

    @property
    def shortest(self) -> float:
        """What the system can tell of the shortest trip."""
        return self.there + self.back


@dataclass(frozen=True)
class _Sent:
    permit: Permit
    is_answered: bool


@dataclass
class Traffic:
    """Workers of several processes, each with permits of its own, over one network."""

    clock: EventClock
    network: Network
    chance: Random
    counted: list[float] = field(default_factory=list)
    _events: list[tuple[float, int, Permits, _Sent | None]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def start(self, permits: Permits, workers: int) -> None:
        """Let a process begin, its workers one shortly after another."""
        for worker in range(workers):
            self._at(self.clock.at + worker * 1e-4, permits)

    def crash(self) -> None:
        """Let all processes die; what they sent goes on to the platform."""
        self._events.clear()

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.clock.at + seconds
        while self._events and self._events[0][0] < end:
            self.clock.at, _, permits, sent = heapq.heappop(self._events)
            if sent is not None:
                permits.give_back(sent.permit, self.network.shortest, is_answered=sent.is_answered)
            self._ask(permits)
        self.clock.at = end

    def _ask(self, permits: Permits) -> None:
        try:
            permit = permits.take(go_on)
        except Waits as wait:
            self._at(self.clock.at + wait.seconds, permits)
            return
        counted, answered = self.network.trip(self.chance)
        self.counted.append(self.clock.at + counted)
        until = TIMEOUT_SECONDS if answered is None else answered
        self._at(self.clock.at + until, permits, _Sent(permit, answered is not None))

    def _at(self, when: float, permits: Permits, sent: _Sent | None = None) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), permits, sent))


def most_within(counted: Sequence[float], seconds: float) -> int:
    """Return the most requests that were counted within any span of so many seconds."""
    times, first, most = sorted(counted), 0, 0
    for last, at in enumerate(times):
        # Sums of binary fractions are off by some billionths.
        while at - times[first] >= seconds - 1e-6:
            first += 1
        most = max(most, last - first + 1)
    return most
