"""
The arithmetic of a quota: at most so many requests in any second, as the platform sees it.

The platform sees a request some time after it is sent. So a request may be sent once the one that is `limit` places
before it was surely counted a full window ago, less the shortest round trip of the network: that much sooner than its
answer the older one was counted, or that much later than it is sent the newer one will be.

When the older one was surely counted is the earlier of two times. One is its answer: nothing is lost then but the span
of the answers. The other is when its last byte left, and on top of that

- the detour: what the network was seen to vary by;
- the hold: what platforms take before they count what has arrived. Of a platform that is not known yet the answer alone
  is believed; with each request that was not throttled a little more than that. It doubles when the platform
  throttles, since then it counts later than was believed, and comes back slowly;
- the stall: how late threads woke lately. Where they do packets may leave late, and be read late by a server nearby.

An answer that takes unusually long says that something is held up, and maybe before it is counted: of its request the
answer alone is believed. But two seconds after it left a request counts as seen, however much later its answer comes.

A permit is for now: a request that has not left soon after takes another. One without an answer may still be on its
way: from the last moment at which it may have left it counts as seen as late as the longest wait lately seen.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import orjson

from pipeline.limits.route import (
    LONGEST_WAIT_SECONDS,
    UNKNOWN_WAIT_SECONDS,
    Route,
    is_not_slow,
    path_jitter,
    quickest,
    took,
    travelled,
    waited,
)
from pipeline.model import RoundTrip

# A request leaves within this time of when its slot was given out, or not with that permit.
PERMIT_SECONDS = 0.5
# A quota of many requests a second is handed out in slots of several permits, so that the state stays small.
_SLOTS = 40
# Permits do not all come at once; much faster than the limit, so that the window and not the pace decides.
_EVENNESS = 0.25
_SLOWEST = 1 / 16
_RECOVERY_PER_SECOND = 1 / 60
# What a busy server was seen to take from the arrival of a request to its look at the clock, and a little more.
_LEAST_SERVER_LAG_SECONDS = 0.012
_MOST_SERVER_LAG_SECONDS = 0.5
# Before anything is known, and how many slots without a throttled answer halve it.
_UNKNOWN_SERVER_LAG_SECONDS = 0.1
_SLOTS_TO_TRUST = 20
_SERVER_LAG_HALVES_IN_SECONDS = 3600.0
_LONGEST_LOCAL_LAG_SECONDS = 0.5
_LOCAL_LAG_HALVES_IN_SECONDS = 5.0
# Of a state nothing was noted later than now, but for the little by which the clocks of two cores may differ.
_ASTRAY_SECONDS = 60.0
# Format version of the state. Other versions are ignored.
_FORM = 4


@dataclass(frozen=True, slots=True)
class Slot:
    """
    Some permits given out together: when the first was given, when the last was answered, and had left.

    `permits` is how many they are. `was_prompt`: no answer took unusually long.
    """

    serial: int
    permits: int
    sent_at: float
    answered_at: float | None = None
    left_at: float | None = None
    was_prompt: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """
    What is known of a quota; all times are steady seconds of one machine.

    `share` of the limit is in use: less than 1 after the platform asked for it, at `changed_at` (0 where it never did).
    `hold` is what was learnt then of how long the platform takes to count a request that has arrived. `stall` is how
    long a thread was held up, at `stalled_at`. `limit` is the highest limit that any process used: so many permits
    are remembered.
    """

    slots: tuple[Slot, ...] = ()
    serial: int = 0
    limit: float = 0.0
    share: float = 1.0
    changed_at: float = 0.0
    closed_until: float = 0.0
    server_lag: float = _LEAST_SERVER_LAG_SECONDS
    local_lag: float = 0.0
    local_lag_seen_at: float = 0.0
    route: Route = field(default_factory=Route)


def permits_per_slot(limit: float) -> int:
    """Return how many permits are given out together."""
    return max(1, int(limit // _SLOTS))


def share_at(window: Window, now: float) -> float:
    """Return the share of the limit in use: after a slowdown it grows back steadily."""
    return min(1.0, window.share + max(0.0, now - window.changed_at) * _RECOVERY_PER_SECOND)


def server_lag_at(window: Window, now: float) -> float:
    """
    Return how long the platform may take to count what has arrived.

    It is long at first, and soon short where the platform never throttles; what was learnt is forgotten slowly.
    """
    if not window.changed_at:
        return _LEAST_SERVER_LAG_SECONDS + _UNKNOWN_SERVER_LAG_SECONDS * math.exp2(-window.serial / _SLOTS_TO_TRUST)
    halvings = max(0.0, now - window.changed_at) / _SERVER_LAG_HALVES_IN_SECONDS
    return _LEAST_SERVER_LAG_SECONDS + (window.server_lag - _LEAST_SERVER_LAG_SECONDS) * math.exp2(-halvings)


def local_lag_at(window: Window, now: float) -> float:
    """Return how long what is on its way may be held up by a busy machine: that it was is forgotten soon."""
    return window.local_lag * math.exp2(-max(0.0, now - window.local_lag_seen_at) / _LOCAL_LAG_HALVES_IN_SECONDS)


def next_start(window: Window, limit: float, now: float) -> float:
    """Return when the next slot may start; not after `now` means at once."""
    period = 1.0 / share_at(window, now)
    size = permits_per_slot(limit)
    if limit < 1:
        period /= limit
    start = window.closed_until
    if window.slots:
        start = max(start, window.slots[-1].sent_at + period * _EVENNESS * size / max(1.0, limit))
    # Permits are counted, not slots: a process with another limit gives out slots of another size.
    oldest = _newest_slots(window.slots, max(1.0, limit) - size)[1]
    if oldest is not None:
        start = max(start, _seen_by(window, oldest, now) + period)
    return start


def _newest_slots(slots: tuple[Slot, ...], permits: float) -> tuple[int, Slot | None]:
    """Return how many of the newest slots hold no more than this many permits, and the slot before them if any."""
    total = 0
    for count, slot in enumerate(reversed(slots)):
        total += slot.permits
        if total > permits:
            return count, slot
    return len(slots), None


def _seen_by(window: Window, slot: Slot, now: float) -> float:
    """Return the time, less the shortest trip, by which the platform has surely counted the slot."""
    if slot.answered_at is None:
        longest = max(window.route.longest_wait, UNKNOWN_WAIT_SECONDS)
        latest = slot.sent_at + PERMIT_SECONDS + longest - quickest(window.route)
    else:
        # An answer that took very long was slow at the platform: once it had left, the request was there before.
        left_by = slot.sent_at + PERMIT_SECONDS if slot.left_at is None else slot.left_at
        latest = min(slot.answered_at, left_by + LONGEST_WAIT_SECONDS) - quickest(window.route)
        longer = path_jitter(window.route)
        if slot.was_prompt and slot.left_at is not None and longer is not None:
            latest = min(latest, slot.left_at + longer + server_lag_at(window, now) + local_lag_at(window, now))
    return max(slot.sent_at, slot.left_at or 0.0, latest)


def started(window: Window, limit: float, now: float) -> tuple[Window, Slot]:
    """Give out the next slot, now."""
    slot = Slot(window.serial + 1, permits_per_slot(limit), now)
    most = max(limit, window.limit)
    slots = (*window.slots, slot)
    kept = _newest_slots(slots, max(1.0, most))[0]
    return replace(window, slots=slots[-kept:], serial=slot.serial, limit=most), slot


def answered(
    window: Window, serial: int, at: float, *, longest: float, round_trips: Iterable[RoundTrip], waits: Sequence[float]
) -> Window:
    """
    Take in that a slot's last answer came, after the longest wait of the slot, and how its requests travelled.

    `waits` is how long each answer took from when its request had left, as far as that is known.
    """
    round_trips, route = tuple(round_trips), waited(window.route, longest)
    for round_trip in round_trips:
        route = travelled(route, round_trip)
    left = [round_trip.left_at for round_trip in round_trips if round_trip.left_at is not None]
    left_at = max(left) if left and len(left) == len(round_trips) else None
    was_prompt = left_at is not None and is_not_slow(route, max(waits))
    slots = tuple(
        replace(slot, answered_at=at, left_at=left_at, was_prompt=was_prompt) if slot.serial == serial else slot
        for slot in window.slots
    )
    return replace(window, slots=slots, route=took(route, waits))


def delayed_locally(window: Window, now: float, seconds: float) -> Window:
    """Take in that a thread of this machine was held up for so long."""
    if seconds <= local_lag_at(window, now):
        return window
    return replace(window, local_lag=min(_LONGEST_LOCAL_LAG_SECONDS, seconds), local_lag_seen_at=now)


def slowed(window: Window, now: float, wait: float | None) -> Window:
    """
    Take in a throttled answer: half the rate, twice the hold, and nothing before what the platform asked to wait.

    Several answers to requests that were under way at once are one sign, not several.
    """
    closed_until = max(window.closed_until, now + (wait or 0.0))
    period = 1.0 / share_at(window, now)
    if now < window.changed_at + period:
        return replace(window, closed_until=closed_until)
    return replace(
        window,
        share=max(_SLOWEST, share_at(window, now) / 2),
        server_lag=min(_MOST_SERVER_LAG_SECONDS, server_lag_at(window, now) * 2),
        changed_at=now,
        closed_until=closed_until,
    )


def after_restart(now: float) -> Window:
    """Return the window to go on with when what happened up to now can't be told: one that waits it out."""
    return Window(closed_until=now + 1.0 + UNKNOWN_WAIT_SECONDS)


def encode(window: Window, boot: str) -> bytes:
    """Return the window as bytes; `boot` tells which start of the machine its times belong to."""
    slots = [(s.serial, s.permits, s.sent_at, s.answered_at, s.left_at, s.was_prompt) for s in window.slots]
    rest = (window.serial, window.limit, window.share, window.changed_at, window.closed_until)
    learnt = (window.server_lag, window.local_lag, window.local_lag_seen_at)
    route = window.route
    measured = (
        route.shortest_round_trip,
        route.longest_wait,
        route.handshakes,
        route.slowest_handshake,
        route.usual_wait,
    )
    return orjson.dumps([_FORM, boot, slots, (*rest, *learnt), measured])


def decode(state: bytes | None, boot: str, now: float) -> Window:
    """
    Return what `encode` made; a fresh window where there is none.

    It is a cautious one where the state is of another start of the machine, or was written in another form. `now` was
    read after the state, or while nobody else could write it: a state that was noted later than that is of another
    start, also where `boot` can't tell. Raises ValueError where it is damaged.
    """
    if state is None:
        return Window()
    try:
        form, kept_boot, *parts = orjson.loads(state)
        if (form, kept_boot) != (_FORM, boot):
            return after_restart(now)
        slots, rest, measured = parts
        window = Window(tuple(Slot(*slot) for slot in slots), *(*rest, Route(*measured)))
        return after_restart(now) if _last_noted_at(window) > now + _ASTRAY_SECONDS else window
    except (TypeError, ValueError) as exc:
        raise ValueError("the state of the quota is damaged") from exc


def _last_noted_at(window: Window) -> float:
    """Return the latest of the times that were the present when they were noted; a quota may be closed for longer."""
    return max(window.changed_at, window.local_lag_seen_at, *(slot.sent_at for slot in window.slots))
