"""
The arithmetic of a quota: at most so many requests in any second, as the platform sees it.

The platform sees a request some time after it is sent and before its answer is here. So a request may be sent once the
one that is `limit` places before it was answered a full window ago, less the shortest round trip of the network: that
much sooner than its answer the older one was counted, or that much later than it is sent the newer one will be. Nothing
but the span of the round trips is lost, and no fixed padding has to be guessed. A request without an answer counts as
seen as late as the longest round trip lately seen.
"""

from dataclasses import dataclass, replace

import orjson

# A quota of many requests a second is handed out in slots of several permits, so that the state stays small.
_SLOTS = 40
# Permits do not all come at once; much faster than the limit, so that the window and not the pace decides.
_EVENNESS = 0.25
_UNKNOWN_TRIP_SECONDS = 0.5
_LONGEST_TRIP_SECONDS = 2.0
# A round trip may come in a little under the shortest so far.
_SHORTEST_TRIP_SHARE = 0.95
_SLOWEST = 1 / 16
_RECOVERY_PER_SECOND = 1 / 60


@dataclass(frozen=True, slots=True)
class Slot:
    """Some permits given out together: when the first was sent, when the last was answered."""

    serial: int
    sent_at: float
    answered_at: float | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """
    What is known of a quota; all times are steady seconds of one machine.

    `share` of the limit is in use: less than 1 after the platform asked for it.
    """

    slots: tuple[Slot, ...] = ()
    serial: int = 0
    share: float = 1.0
    changed_at: float = 0.0
    closed_until: float = 0.0
    shortest_trip: float = 0.0
    longest_trip: float = _UNKNOWN_TRIP_SECONDS


def permits_per_slot(limit: float) -> int:
    """Return how many permits are given out together."""
    return max(1, int(limit // _SLOTS))


def share_at(window: Window, now: float) -> float:
    """Return the share of the limit in use: after a slowdown it grows back steadily."""
    return min(1.0, window.share + max(0.0, now - window.changed_at) * _RECOVERY_PER_SECOND)


def next_start(window: Window, limit: float, now: float) -> float:
    """Return when the next slot may start; not after `now` means at once."""
    period = 1.0 / share_at(window, now)
    size = permits_per_slot(limit)
    places = max(1, int(limit // size))
    if limit < 1:
        period /= limit
    start = window.closed_until
    if window.slots:
        start = max(start, window.slots[-1].sent_at + period * _EVENNESS / places)
    if len(window.slots) >= places:
        start = max(start, _seen_by(window, window.slots[-places]) + period)
    return start


def _seen_by(window: Window, slot: Slot) -> float:
    """Return the time, less the shortest trip, by which the platform has surely counted the slot."""
    if slot.answered_at is None:
        latest = slot.sent_at + max(window.longest_trip, _UNKNOWN_TRIP_SECONDS)
    else:
        # An answer that took very long was slow at the platform: the request itself was there before.
        latest = min(slot.answered_at, slot.sent_at + _LONGEST_TRIP_SECONDS)
    return max(slot.sent_at, latest - window.shortest_trip * _SHORTEST_TRIP_SHARE)


def started(window: Window, limit: float, now: float) -> tuple[Window, Slot]:
    """Give out the next slot, now."""
    size = permits_per_slot(limit)
    places = max(1, int(limit // size))
    slot = Slot(window.serial + 1, now)
    return replace(window, slots=(*window.slots, slot)[-places:], serial=slot.serial), slot


def answered(window: Window, serial: int, at: float, *, shortest: float, longest: float) -> Window:
    """
    Take in that a slot's last answer came.

    `shortest` is the shortest trip that the network was ever seen to take, there and back, 0 where that is not known:
    the time of an answer does not show it, since the platform's own work is in it. `longest` is the longest wait for
    an answer of the slot.
    """
    slots = tuple(replace(slot, answered_at=at) if slot.serial == serial else slot for slot in window.slots)
    known = [trip for trip in (window.shortest_trip, shortest) if trip > 0.0]
    shortest = min(known, default=0.0)
    # The longest trip is forgotten slowly, and bounded: one slow answer must not slow down a night.
    longest = min(_LONGEST_TRIP_SECONDS, max(longest, window.longest_trip * 0.98))
    return replace(window, slots=slots, shortest_trip=shortest, longest_trip=longest)


def slowed(window: Window, now: float, wait: float | None) -> Window:
    """
    Take in a throttled answer: half the rate, and nothing before what the platform asked to wait.

    Several answers to requests that were under way at once are one sign, not several.
    """
    closed_until = max(window.closed_until, now + (wait or 0.0))
    period = 1.0 / share_at(window, now)
    if now < window.changed_at + period:
        return replace(window, closed_until=closed_until)
    share = max(_SLOWEST, share_at(window, now) / 2)
    return replace(window, share=share, changed_at=now, closed_until=closed_until)


def after_restart(now: float) -> Window:
    """Return the window to go on with when what happened up to now can't be told: one that waits it out."""
    return Window(closed_until=now + 1.0 + _UNKNOWN_TRIP_SECONDS)


def encode(window: Window, boot: str) -> bytes:
    """Return the window as bytes; `boot` tells which start of the machine its times belong to."""
    slots = [(s.serial, s.sent_at, s.answered_at) for s in window.slots]
    rest = (window.serial, window.share, window.changed_at, window.closed_until)
    return orjson.dumps([boot, slots, *rest, window.shortest_trip, window.longest_trip])


def decode(state: bytes | None, boot: str, now: float) -> Window:
    """Return what `encode` made; a fresh one where there is none; a cautious one for another start of the machine."""
    if state is None:
        return Window()
    kept_boot, slots, *rest = orjson.loads(state)
    if kept_boot != boot:
        return after_restart(now)
    return Window(tuple(Slot(*slot) for slot in slots), *rest)
