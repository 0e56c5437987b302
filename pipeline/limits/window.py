"""
The arithmetic of a quota: in any second, at most `limit` requests as the platform sees them.

The platform counts a request some time after it leaves, and before its answer arrives. Travel there and back takes at
least the shortest round trip. So if a new request leaves after the answer to an old one, the platform counts them that
much further apart. The new one may leave once it will be counted a full window after the one `limit` places before it.

The old request was certainly counted by the earlier of two times:

- its answer. This is safe, but wastes the time of the answer.
- its departure, plus path jitter, server lag and local lag.

Their meanings:

- Path jitter is the variation of the network, measured by handshakes.
- Server lag is the time from the arrival of a request until the platform counts it. For an unknown platform it starts
  long, and shrinks with each request that is not throttled. It doubles when the platform throttles, and then shrinks
  slowly.
- Local lag is how late this machine's threads woke recently. On a busy machine packets leave late, and a server nearby
  reads them late.

After a slow answer, assume that the request was counted only when the answer came; but at most 2 seconds
after the request had left.

A permit is valid for a short time: a request that does not leave within it takes another permit. A request without an
answer may still be in flight. It counts as seen after its last possible departure plus the longest recent wait.

Processes that wait for a slot take turns, in the order in which they began to wait. Otherwise the one nearest to the
store would get all slots. A process whose turn has come may be gone, so its slot is kept only until the next one.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from operator import attrgetter

import orjson

from pipeline.limits.route import (
    LONGEST_WAIT_SECONDS,
    UNKNOWN_WAIT_SECONDS,
    RouteTiming,
    is_slow_answer,
    least_round_trip,
    path_jitter,
    with_longest_wait,
    with_round_trip,
    with_waits,
)
from pipeline.model import RoundTrip

# Validity of a permit: a request leaves within this time after its slot started, or takes another permit.
PERMIT_SECONDS = 0.5
# Most slots in the state. A large quota has several permits per slot, so that the state stays small.
_SLOTS = 40
# Least time between permits, as a share of the even pace. It spreads the first permits; later the window decides.
_PACE = 0.25
# Least share of the limit after throttled answers, and its recovery.
_LEAST_SHARE = 1 / 16
_RECOVERY_PER_SECOND = 1 / 60
# Least server lag: measured on a busy server, plus a margin.
_LEAST_SERVER_LAG_SECONDS = 0.012
_MOST_SERVER_LAG_SECONDS = 0.5
# Extra server lag of an unknown platform, and the number of slots without a throttled answer that halves it.
_UNKNOWN_SERVER_LAG_SECONDS = 0.1
_SLOTS_TO_TRUST = 20
# Half-lives of a learnt server lag and of a local lag.
_SERVER_LAG_HALF_LIFE_SECONDS = 3600.0
_LOCAL_LAG_HALF_LIFE_SECONDS = 5.0
_LONGEST_LOCAL_LAG_SECONDS = 0.5
# Times in the state later than now by more than this are of another boot. Clocks of two cores may differ a little.
_CLOCK_TOLERANCE_SECONDS = 60.0
# A window that begins anew numbers its slots anew, and its first slot comes later than this after the last one before.
_SAME_SLOT_SECONDS = 0.5
# The times of a window, besides those of its slots.
_TIMES = ("changed_at", "closed_until", "local_lag_seen_at")
# Format version of the state. Other versions are ignored.
_FORMAT = 5


@dataclass(frozen=True, slots=True)
class Slot:
    """
    Permits given out together, at `sent_at`. All times are steady seconds.

    - `answered_at`: time of the last answer. `left_at`: time when the last request had left, None if unknown.
    - `was_prompt`: no answer was slow.
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
    The state of a quota; all times are steady seconds of one machine.

    - `share`: share of the limit in use; less than 1 after the platform throttled at `changed_at` (0 if it never did).
    - `server_lag`: learnt at `changed_at`, in seconds.
    - `local_lag`: in seconds, measured at `local_lag_seen_at`.
    - `limit`: the highest limit of any process; permits up to this number are remembered.
    - `waiting`: the processes that wait for a slot, by their numbers; the one that waits longest is first.
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
    waiting: tuple[int, ...] = ()
    route: RouteTiming = field(default_factory=RouteTiming)


def most_per_second(limit: float) -> float:
    """Return the requests per second that a limit leaves in a long time: no second has a part of a request."""
    return math.floor(limit) if limit >= 1 else limit


def permits_per_slot(limit: float) -> int:
    """Return the number of permits in a slot."""
    return max(1, int(limit // _SLOTS))


def share_at(window: Window, now: float) -> float:
    """Return the share of the limit in use. After a slowdown it recovers steadily."""
    return min(1.0, window.share + max(0.0, now - window.changed_at) * _RECOVERY_PER_SECOND)


def server_lag_at(window: Window, now: float) -> float:
    """
    Return the server lag, in seconds.

    It is long at first, and soon short if the platform never throttles. A learnt value decays slowly.
    """
    if not window.changed_at:
        return _LEAST_SERVER_LAG_SECONDS + _UNKNOWN_SERVER_LAG_SECONDS * math.exp2(-window.serial / _SLOTS_TO_TRUST)
    halvings = max(0.0, now - window.changed_at) / _SERVER_LAG_HALF_LIFE_SECONDS
    return _LEAST_SERVER_LAG_SECONDS + (window.server_lag - _LEAST_SERVER_LAG_SECONDS) * math.exp2(-halvings)


def local_lag_at(window: Window, now: float) -> float:
    """Return the local lag, in seconds. It decays quickly."""
    return window.local_lag * math.exp2(-max(0.0, now - window.local_lag_seen_at) / _LOCAL_LAG_HALF_LIFE_SECONDS)


def next_start(window: Window, limit: float, now: float) -> float:
    """Return the earliest start of the next slot; at or before `now` means immediately."""
    period = 1.0 / share_at(window, now)
    size = permits_per_slot(limit)
    if limit < 1:
        period /= limit
    start = window.closed_until
    if window.slots:
        start = max(start, window.slots[-1].sent_at + period * _PACE * size / max(1.0, limit))
    # Count permits, not slots: the slots of a process with another limit have another size.
    oldest = _newest_slots(window.slots, max(1.0, limit) - size)[1]
    if oldest is not None:
        start = max(start, _seen_by(window, oldest, now) + period)
    return start


def next_turn(window: Window, limit: float, process: int, now: float) -> float:
    """Return the earliest start of a process's next slot: after a slot for each process that has waited longer."""
    for _ in takewhile(process.__ne__, window.waiting):
        start = next_start(window, limit, now)
        window = _with_slot(window, limit, Slot(window.serial + 1, permits_per_slot(limit), start, answered_at=start))
    return next_start(window, limit, now)


def as_answered(window: Window) -> Window:
    """Return the window as it would be if the platform had answered each request at once."""
    slots = (replace(slot, answered_at=slot.sent_at) if slot.answered_at is None else slot for slot in window.slots)
    return replace(window, slots=tuple(slots))


def _newest_slots(slots: tuple[Slot, ...], permits: float) -> tuple[int, Slot | None]:
    """Return the number of newest slots with at most this many permits, and the slot before them if any."""
    total = 0
    for count, slot in enumerate(reversed(slots)):
        total += slot.permits
        if total > permits:
            return count, slot
    return len(slots), None


def _seen_by(window: Window, slot: Slot, now: float) -> float:
    """Return the time by which the platform has certainly counted the slot, less the least round trip."""
    if slot.answered_at is None:
        longest = max(window.route.longest_wait, UNKNOWN_WAIT_SECONDS)
        counted_by = slot.sent_at + PERMIT_SECONDS + longest - least_round_trip(window.route)
    else:
        # A very slow answer was slow at the platform, so its request arrived long before.
        left_by = slot.sent_at + PERMIT_SECONDS if slot.left_at is None else slot.left_at
        counted_by = min(slot.answered_at, left_by + LONGEST_WAIT_SECONDS) - least_round_trip(window.route)
        jitter = path_jitter(window.route)
        if slot.was_prompt and slot.left_at is not None and jitter is not None:
            counted_by = min(counted_by, slot.left_at + jitter + server_lag_at(window, now) + local_lag_at(window, now))
    return max(slot.sent_at, slot.left_at or 0.0, counted_by)


def wait_for_turn(window: Window, process: int) -> Window:
    """Return the window with this process among those that wait, behind all others if it is new there."""
    return window if process in window.waiting else replace(window, waiting=(*window.waiting, process))


def start_slot(window: Window, limit: float, process: int, now: float) -> tuple[Window, Slot]:
    """Start the next slot of a process now. Those that have waited longer missed their turn, and wait no more."""
    slot = Slot(window.serial + 1, permits_per_slot(limit), now)
    ahead = sum(1 for _ in takewhile(process.__ne__, window.waiting))
    return replace(_with_slot(window, limit, slot), waiting=window.waiting[ahead + 1 :]), slot


def _with_slot(window: Window, limit: float, slot: Slot) -> Window:
    most = max(limit, window.limit)
    slots = (*window.slots, slot)
    kept = _newest_slots(slots, max(1.0, most))[0]
    return replace(window, slots=slots[-kept:], serial=slot.serial, limit=most)


def record_answer(
    window: Window,
    serial: int,
    sent_at: float,
    at: float,
    *,
    longest: float,
    round_trips: Iterable[RoundTrip],
    waits: Sequence[float],
) -> Window:
    """
    Record the last answer of a slot, which was given out at `sent_at`, and the round trips of its requests.

    `longest` is the longest wait of the slot. `waits` are the times from the departure of each request to its answer,
    if known. All in seconds.
    """
    round_trips, route = tuple(round_trips), with_longest_wait(window.route, longest)
    for round_trip in round_trips:
        route = with_round_trip(route, round_trip)
    left = [round_trip.left_at for round_trip in round_trips if round_trip.left_at is not None]
    left_at = max(left) if left and len(left) == len(round_trips) else None
    was_prompt = left_at is not None and not is_slow_answer(route, max(waits))
    slots = tuple(
        replace(slot, answered_at=at, left_at=left_at, was_prompt=was_prompt)
        if slot.serial == serial and abs(slot.sent_at - sent_at) < _SAME_SLOT_SECONDS
        else slot
        for slot in window.slots
    )
    return replace(window, slots=slots, route=with_waits(route, waits))


def record_local_lag(window: Window, now: float, seconds: float) -> Window:
    """Record how late a thread of this machine woke, in seconds."""
    if seconds <= local_lag_at(window, now):
        return window
    return replace(window, local_lag=min(_LONGEST_LOCAL_LAG_SECONDS, seconds), local_lag_seen_at=now)


def slow_down(window: Window, now: float, wait: float | None) -> Window:
    """
    Record a throttled answer: halve the rate, double the server lag, and close the quota for `wait` seconds.

    Several throttled answers to requests in flight together count once.
    """
    closed_until = max(window.closed_until, now + (wait or 0.0))
    period = 1.0 / share_at(window, now)
    if now < window.changed_at + period:
        return replace(window, closed_until=closed_until)
    return replace(
        window,
        share=max(_LEAST_SHARE, share_at(window, now) / 2),
        server_lag=min(_MOST_SERVER_LAG_SECONDS, server_lag_at(window, now) * 2),
        changed_at=now,
        closed_until=closed_until,
    )


def shifted(window: Window, seconds: float) -> Window:
    """Return the window with all of its times later by some seconds: in the time of another clock."""
    if not seconds:
        return window
    slots = (
        replace(
            slot,
            sent_at=slot.sent_at + seconds,
            answered_at=None if slot.answered_at is None else slot.answered_at + seconds,
            left_at=None if slot.left_at is None else slot.left_at + seconds,
        )
        for slot in window.slots
    )
    # 0 means never.
    seen = {name: at + seconds for name in _TIMES if (at := getattr(window, name))}
    return replace(window, slots=tuple(slots), **seen)


def after_restart(now: float) -> Window:
    """Return a window that waits until all requests of an unknown past were counted."""
    return Window(closed_until=now + 1.0 + UNKNOWN_WAIT_SECONDS)


def encode(window: Window, boot: str) -> bytes:
    """Return the window as bytes. `boot` names the boot of the machine to which its times belong."""
    _, *values, waiting, route = _of_window(window)
    return orjson.dumps([_FORMAT, boot, list(map(_of_slot, window.slots)), values, waiting, _of_route(route)])


# The values of each class, in the order of its fields.
_of_slot, _of_window, _of_route = (attrgetter(*kind.__slots__) for kind in (Slot, Window, RouteTiming))


def decode(state: bytes | None, boot: str, now: float) -> Window:
    """
    Return the window of `encode`'s bytes; a new window for None.

    The result is `after_restart` if the state is from another boot of the machine, or has another format. `now` must be
    read after the state, or under the state's lock: a state with later times is from another boot, even if `boot` does
    not show it.

    Raises ValueError for damaged bytes.
    """
    if state is None:
        return Window()
    try:
        format_version, stored_boot, *parts = orjson.loads(state)
        if (format_version, stored_boot) != (_FORMAT, boot):
            return after_restart(now)
        slots, values, waiting, measured = parts
        window = Window(tuple(Slot(*slot) for slot in slots), *(*values, tuple(waiting), RouteTiming(*measured)))
        return after_restart(now) if _newest_time(window) > now + _CLOCK_TOLERANCE_SECONDS else window
    except (TypeError, ValueError) as exc:
        raise ValueError("the state of the quota is damaged") from exc


def _newest_time(window: Window) -> float:
    """Return the latest past time in the state. `closed_until` is excluded, since it may be in the future."""
    return max(window.changed_at, window.local_lag_seen_at, *(slot.sent_at for slot in window.slots))
