"""What was measured of the way to the platform: how short a trip can be, and how much longer one may take."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pipeline.model import RoundTrip

UNKNOWN_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 2.0
# A round trip may come in a little under the shortest so far.
_SHORTEST_SHARE = 0.95
# What was long is forgotten slowly: one slow answer or handshake must not slow down a night.
_KEPT = 0.98
_ENOUGH_HANDSHAKES = 5
# Taken on top, shared among the handshakes: five that differ by little may all have been lucky, fifty hardly.
_DOUBT = 16
# Of so many answers one takes longer than what is usual, and moves that by this much; the first may be slow by chance.
_USUAL_AMONG = 20
_USUAL_STEP = 0.1
_USUAL_AT_FIRST_SECONDS = 0.02
# What is only a little longer says nothing.
_SLOW_FACTOR = 1.25


@dataclass(frozen=True, slots=True)
class Route:
    """
    Round trips to the platform and back, in seconds; `shortest_trip` is 0 where none was ever measured.

    `longest_wait` is how long an answer may take, `usual_wait` what 19 of 20 take at most, from when the
    request had left; 0 before the first. Handshakes are answered by the platform's system and not by the programs
    behind it, so they show the network alone.
    """

    shortest_round_trip: float = 0.0
    longest_wait: float = UNKNOWN_WAIT_SECONDS
    handshakes: int = 0
    slowest_handshake: float = 0.0
    usual_wait: float = 0.0


def quickest(route: Route) -> float:
    """Return a time that no round trip stays below."""
    return route.shortest_round_trip * _SHORTEST_SHARE


def path_jitter(route: Route) -> float | None:
    """
    Return how much longer than the quickest a request may be on its way; None where too little was measured to say.

    That is what the handshakes differ by, several times where there were only a few of them.
    """
    if route.handshakes < _ENOUGH_HANDSHAKES:
        return None
    spread = route.slowest_handshake - route.shortest_round_trip
    return route.shortest_round_trip - quickest(route) + spread * (1 + _DOUBT / route.handshakes)


def travelled(route: Route, round_trip: RoundTrip) -> Route:
    """Take in what the system measured of one trip."""
    shortest = min((t for t in (route.shortest_round_trip, round_trip.shortest) if t > 0.0), default=0.0)
    route = replace(route, shortest_round_trip=shortest)
    if round_trip.handshake <= 0.0:
        return route
    slowest = max(round_trip.handshake, route.slowest_handshake * _KEPT)
    return replace(route, handshakes=route.handshakes + 1, slowest_handshake=slowest)


def waited(route: Route, seconds: float) -> Route:
    """Take in how long an answer took."""
    return replace(route, longest_wait=min(LONGEST_WAIT_SECONDS, max(seconds, route.longest_wait * _KEPT)))


def is_not_slow(route: Route, seconds: float) -> bool:
    """Tell whether an answer that took so long from when its request had left may have come as all others do."""
    return seconds <= route.usual_wait * _SLOW_FACTOR


def took(route: Route, waits: Iterable[float]) -> Route:
    """Take in how long answers took from when their requests had left: what is usual moves a little with each."""
    usual = route.usual_wait
    for seconds in waits:
        if seconds > usual:
            usual = usual * (1 + _USUAL_STEP) or min(seconds, _USUAL_AT_FIRST_SECONDS)
        else:
            usual *= 1 - _USUAL_STEP / _USUAL_AMONG
    return replace(route, usual_wait=usual)
