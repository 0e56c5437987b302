"""Measurements of the way to the platform: the shortest round trip, path jitter, and times of answers."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pipeline.model import RoundTrip

# Longest time of an answer before any was measured.
UNKNOWN_WAIT_SECONDS = 0.5
# Upper bound of the longest time of an answer that is remembered.
LONGEST_WAIT_SECONDS = 2.0
# A round trip may be a little shorter than the shortest so far.
_SHORTEST_SHARE = 0.95
# Decay of a maximum with each new value, so that one slow answer or handshake does not slow down a whole run.
_DECAY = 0.98
# Handshakes before path jitter is known.
_ENOUGH_HANDSHAKES = 5
# Extra margin of path jitter, divided by the number of handshakes: five similar ones may be chance, fifty are not.
_JITTER_MARGIN = 16
# One answer in 20 is above the 95th percentile, which moves by this share. The first answer may be slow by chance.
_PERCENTILE_AMONG = 20
_PERCENTILE_STEP = 0.1
_FIRST_PERCENTILE_SECONDS = 0.02
# An answer is slow beyond this multiple of the 95th percentile.
_SLOW_FACTOR = 1.25


@dataclass(frozen=True, slots=True)
class RouteTiming:
    """
    Measurements of round trips to the platform, in seconds; 0 before the first.

    - `shortest_round_trip`: the shortest one measured.
    - `longest_wait`: the longest recent time of an answer.
    - `handshakes`, `slowest_handshake`: their number, and the slowest recent one. The platform's system answers a
      handshake without its programs, so handshakes show the network alone.
    - `wait_p95`: the 95th percentile of the time of an answer, since its request had left.
    """

    shortest_round_trip: float = 0.0
    longest_wait: float = UNKNOWN_WAIT_SECONDS
    handshakes: int = 0
    slowest_handshake: float = 0.0
    wait_p95: float = 0.0


def least_round_trip(route: RouteTiming) -> float:
    """Return a lower bound of all round trips, in seconds."""
    return route.shortest_round_trip * _SHORTEST_SHARE


def path_jitter(route: RouteTiming) -> float | None:
    """
    Return how much longer than the least round trip a request may travel, in seconds; None if too little is known.

    It is the spread of the handshakes, with a larger margin the fewer there are.
    """
    if route.handshakes < _ENOUGH_HANDSHAKES:
        return None
    spread = route.slowest_handshake - route.shortest_round_trip
    return route.shortest_round_trip - least_round_trip(route) + spread * (1 + _JITTER_MARGIN / route.handshakes)


def with_round_trip(route: RouteTiming, round_trip: RoundTrip) -> RouteTiming:
    """Add the system's measurements of one round trip."""
    shortest = min((t for t in (route.shortest_round_trip, round_trip.shortest) if t > 0.0), default=0.0)
    route = replace(route, shortest_round_trip=shortest)
    if round_trip.handshake <= 0.0:
        return route
    slowest = max(round_trip.handshake, route.slowest_handshake * _DECAY)
    return replace(route, handshakes=route.handshakes + 1, slowest_handshake=slowest)


def with_longest_wait(route: RouteTiming, seconds: float) -> RouteTiming:
    """Add the longest time of an answer in a slot."""
    return replace(route, longest_wait=min(LONGEST_WAIT_SECONDS, max(seconds, route.longest_wait * _DECAY)))


def is_slow_answer(route: RouteTiming, seconds: float) -> bool:
    """
    Return whether an answer is slow: it took over a quarter longer than 19 of 20 answers, since its request had left.
    """
    return seconds > route.wait_p95 * _SLOW_FACTOR


def with_waits(route: RouteTiming, waits: Iterable[float]) -> RouteTiming:
    """Add times of answers since their requests had left; each moves the percentile a little."""
    percentile = route.wait_p95
    for seconds in waits:
        if seconds > percentile:
            percentile = percentile * (1 + _PERCENTILE_STEP) or min(seconds, _FIRST_PERCENTILE_SECONDS)
        else:
            percentile *= 1 - _PERCENTILE_STEP / _PERCENTILE_AMONG
    return replace(route, wait_p95=percentile)
