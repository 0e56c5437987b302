"""Permits to start attempts, shared by threads, and by processes through a store."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol, TypeVar

from pipeline.clock import Clock
from pipeline.language import t
from pipeline.limits import window as arithmetic
from pipeline.limits.window import Window
from pipeline.model import RoundTrip, Wait

T = TypeVar("T")

# Seconds after which permits of a slot that nobody took expire.
_SLOT_SECONDS = 0.1
# Seconds after which the store is asked again for a slot that an answer may have made earlier, perhaps one of another
# process.
_ASK_AGAIN_SECONDS = 0.05


class Store(Protocol):
    """
    The store of quota states, shared by all processes.

    States are in the store's time: this machine's steady time plus `offset`, or up to `error` less. A state of another
    `epoch` is not valid. All three are read inside a `step`.
    """

    def epoch(self, boot: str) -> str:
        """Return the name of this store and of its time. `boot` names this boot of the machine."""
        ...

    @property
    def offset(self) -> float:
        """What is added to this machine's steady time to get the latest time that the store may have. Seconds."""
        ...

    @property
    def error(self) -> float:
        """How much earlier the store's time may be. Seconds."""
        ...

    def change(self, name: str, step: Callable[[bytes | None], tuple[bytes, T]]) -> T:
        """
        Replace a quota's state with the first result of `step`; return the second one.

        A ValueError of `step` means that the state is damaged.
        """
        ...


@dataclass(frozen=True, slots=True)
class Permit:
    """
    The right to start one attempt. Its first byte leaves by `leave_by`, or with another permit.

    `slot_no` numbers the slots of this process. `given_at` is the start of its slot, in steady seconds.
    """

    slot_no: int
    given_at: float

    @property
    def leave_by(self) -> float:
        """The last time, in steady seconds, at which a request may leave with this permit."""
        return self.given_at + arithmetic.PERMIT_SECONDS


@dataclass(slots=True)
class _OpenSlot:
    """
    A slot of this process: permits not yet taken, and answers not yet received.

    `serial` is its number in the window, which another slot gets too if the window begins anew. `slot_no` is its own.
    """

    slot_no: int
    serial: int
    started_at: float
    left: int
    awaited: int
    round_trips: list[RoundTrip] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    longest_wait: float = 0.0
    is_lost: bool = False


class Permits:
    """
    Gives out permits of one quota. Thread-safe.

    `take` waits for a permit. Each permit is later given back, when its answer came or will not come.

    `process` is a number that no other process has. Processes that wait take turns.
    """

    def __init__(self, store: Store, name: str, limit: float, clock: Clock, boot: str, process: int) -> None:
        self._store = store
        self._name = name
        self._limit = limit
        self._clock = clock
        self._boot = boot
        self._process = process
        self._lock = threading.Lock()
        self._slots: dict[int, _OpenSlot] = {}
        self._slot_nos = count(1)
        # The newest window that this process knows: its epoch, and the number of slots.
        self._newest = ("", 0)
        self._current: _OpenSlot | None = None
        self._not_before = 0.0
        self._local_lag = 0.0
        self._closed_since = 0.0
        self._closed_until = 0.0
        self.throttled = 0

    def take(self, check_running: Callable[[], None]) -> Permit:
        """Wait for a permit. `check_running` is called before each wait, and may raise to give up."""
        while True:
            check_running()
            with self._lock:
                now = self._clock.steady()
                permit = self._from_current(now) or self._from_store(now)
                wait = self._not_before - self._clock.steady()
            if permit is not None:
                return permit
            self._sleep(wait)

    def waiting(self) -> list[Wait]:
        """Return the reason why all workers wait: the platform's Retry-After. Empty if they do not wait."""
        with self._lock:
            if self._clock.steady() >= self._closed_until:
                return []
            return [Wait(t("the platform asked to wait (Retry-After)"), self._closed_since, self._closed_until)]

    def _sleep(self, seconds: float) -> None:
        """Wait, and record how late this thread wakes, which is the local lag."""
        until = self._clock.steady() + seconds
        self._clock.sleep(seconds)
        late = self._clock.steady() - until
        with self._lock:
            self._local_lag = max(self._local_lag, late)

    def _from_current(self, now: float) -> Permit | None:
        slot = self._current
        if slot is None or slot.left == 0:
            return None
        if now > slot.started_at + _SLOT_SECONDS:
            self._end_slot(slot, now)
            return None
        slot.left -= 1
        return Permit(slot.slot_no, slot.started_at)

    def _end_slot(self, slot: _OpenSlot, now: float) -> None:
        slot.awaited -= slot.left
        slot.left = 0
        self._close_if_answered(slot, now)

    def _from_store(self, now: float) -> Permit | None:
        if now < self._not_before:
            return None
        slot = self._change(self._reserve_slot)
        if isinstance(slot, float):
            self._not_before = slot
            return None
        size = arithmetic.permits_per_slot(self._limit)
        opened = _OpenSlot(next(self._slot_nos), slot.serial, slot.sent_at, size - 1, size)
        self._current = self._slots[opened.slot_no] = opened
        return Permit(opened.slot_no, slot.sent_at)

    def _change(self, step: Callable[[Window, float], tuple[Window, T]]) -> T:
        """Replace the window in the store by the first result of `step`; return the second one."""

        def change(state: bytes | None) -> tuple[bytes, T]:
            # Read under the store's lock: all times in the state are earlier, however long this thread was suspended.
            now, offset = self._clock.steady(), self._store.offset
            epoch = self._store.epoch(self._boot)
            window = arithmetic.shifted(arithmetic.decode(state, epoch, now + offset), -offset)
            if epoch == self._newest[0] and window.serial < self._newest[1]:
                # The ledger was restored: it lacks slots that were given out.
                window = arithmetic.after_restart(now)
            window, result = step(window, now)
            self._newest = (epoch, window.serial)
            return arithmetic.encode(arithmetic.shifted(window, offset), epoch), result

        return self._store.change(self._name, change)

    def _reserve_slot(self, window: Window, now: float) -> tuple[Window, arithmetic.Slot | float]:
        """Start a slot, or wait for a turn: return when to ask again, in steady seconds."""
        window = arithmetic.record_local_lag(window, now, self._local_lag)
        self._local_lag = 0.0
        if window.closed_until > max(now, self._closed_until):
            self._closed_since = self._closed_since if now < self._closed_until else now
            self._closed_until = window.closed_until
        start = self._turn(window, now)
        if start <= now:
            return arithmetic.start_slot(window, self._limit, self._process, now)
        asks_at = max(self._turn(arithmetic.as_answered(window), now), min(start, now + _ASK_AGAIN_SECONDS))
        return arithmetic.wait_for_turn(window, self._process), asks_at

    def _turn(self, window: Window, now: float) -> float:
        # Times of other processes may be later by the error than they seem here.
        return arithmetic.next_turn(window, self._limit, self._process, now) + self._store.error

    def give_back(self, permit: Permit, round_trip: RoundTrip | None) -> None:
        """
        Give a permit back with the round trip of its request; None if no answer will come.

        Without an answer the request may still be in flight, so the time when the platform counts it is unknown.
        """
        with self._lock:
            slot = self._slots[permit.slot_no]
            now = self._clock.steady()
            slot.awaited -= 1
            slot.longest_wait = max(slot.longest_wait, now - permit.given_at)
            if round_trip is None:
                slot.is_lost = True
            else:
                slot.round_trips.append(round_trip)
                if round_trip.left_at is not None:
                    slot.waits.append(now - round_trip.left_at)
            self._close_if_answered(slot, now)

    def _close_if_answered(self, slot: _OpenSlot, now: float) -> None:
        if slot.awaited > 0 or self._slots.pop(slot.slot_no, None) is None or slot.is_lost:
            return
        self._change(lambda window, _: (_with_answers(window, slot, now), None))
        # The answer may allow an earlier start than was computed without it.
        self._not_before = 0.0

    def slow_down(self, wait_seconds: float | None) -> None:
        """
        Record a throttled request: the quota slows down in all processes. `wait_seconds` is its Retry-After.
        """
        with self._lock:
            self.throttled += 1
            now = self._clock.steady()
            if self._current is not None:
                self._end_slot(self._current, now)
            self._change(lambda window, _: (arithmetic.slow_down(window, now, wait_seconds), None))
            self._not_before = 0.0


def _with_answers(window: Window, slot: _OpenSlot, now: float) -> Window:
    """Record the answers to all requests of a slot, of which the last came now."""
    return arithmetic.record_answer(
        window,
        slot.serial,
        slot.started_at,
        now,
        longest=slot.longest_wait,
        round_trips=slot.round_trips,
        waits=slot.waits,
    )
