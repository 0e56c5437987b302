"""Permits: when they are given out and given back."""

from collections.abc import Callable
from random import Random
from typing import TypeVar

import pytest

from pipeline.limits.permits import Permit, Permits
from pipeline.limits.window import decode
from pipeline.model import RoundTrip, Wait
from tests.limits.traffic import (
    EVEN,
    EventClock,
    MemoryStore,
    SlowClock,
    Traffic,
    Waits,
    check_running,
    most_within,
    process,
)

T = TypeVar("T")


class SlowStore(MemoryStore):
    """The same states, for a process that reaches them only at a later time of its clock."""

    def __init__(self, store: MemoryStore, clock: EventClock, until: float = 0.0) -> None:
        super().__init__()
        self.states = store.states
        self.until = until
        self._clock = clock

    def change(self, name: str, step: Callable[[bytes | None], tuple[bytes, T]]) -> T:
        self._clock.at = max(self._clock.at, self.until)
        return super().change(name, step)


def next_permit(permits: Permits, clock: EventClock) -> Permit:
    """Wait for a permit."""
    while True:
        try:
            return permits.take(check_running)
        except Waits as wait:
            clock.at += wait.seconds


def test_permits_come_evenly() -> None:
    """The first permits are spread over time."""
    clock = EventClock(1000.0)
    traffic = Traffic(clock, EVEN, Random(1))
    traffic.start(process(MemoryStore(), clock), workers=9)
    traffic.run(0.5)

    assert [at - 1000.0 - EVEN.there for at in traffic.counted] == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2])


def test_a_limit_below_one_is_kept_over_its_period() -> None:
    """Half a request per second is one request in 2 seconds."""
    clock = EventClock()
    traffic = Traffic(clock, EVEN, Random(1))
    traffic.start(process(MemoryStore(), clock, 0.5), workers=3)
    traffic.run(60)

    assert most_within(traffic.counted, 2.0) == 1
    assert len(traffic.counted) >= 0.95 * 30


def test_a_reboot_waits_for_a_full_period() -> None:
    """Times of another boot mean nothing, so a full period passes before the first permit."""
    store, before, after = MemoryStore(), EventClock(90_000.0), EventClock(5.0)
    for _ in range(2):
        traffic = Traffic(before, EVEN, Random(1))
        traffic.start(process(store, before, boot="first"), workers=5)
        traffic.run(1)
    permits = process(store, after, boot="second")

    with pytest.raises(Waits) as waits:
        permits.take(check_running)
    assert waits.value.seconds == 1.5
    after.at += 1.5
    assert permits.take(check_running) == Permit(1, 6.5)


def test_a_reboot_is_recognised_by_future_times() -> None:
    """Without a boot id, times in the future show that the state is from another boot."""
    store, after = MemoryStore(), EventClock(5.0)
    process(store, EventClock(90_000.0), boot="-").take(check_running)
    permits = process(store, after, boot="-")

    with pytest.raises(Waits) as waits:
        permits.take(check_running)
    assert waits.value.seconds == 1.5


@pytest.mark.parametrize("left", [pytest.param(0, id="lost"), pytest.param(1, id="restored")])
def test_a_window_that_turned_back_is_not_used(left: int) -> None:
    """The first permit comes after a full period; requests of before are given back, and count for no newer slot."""
    store, clock = MemoryStore(), EventClock(1000.0)
    permits, copies, given = process(store, clock, 1.0), [store.states.copy()], list[Permit]()
    for _ in range(2):
        given.append(permits.take(check_running))
        copies.append(store.states.copy())
        clock.at += 3.0
    lost = dict.fromkeys(store.states, b"[0, null]")
    store.states.update(lost if left == 0 else copies[left])

    with pytest.raises(Waits) as waits:
        permits.take(check_running)
    assert waits.value.seconds == 1.5
    clock.at += 1.5
    given.append(permits.take(check_running))
    for permit in given[:2]:
        permits.give_back(permit, RoundTrip())
    (slot,) = decode(store.states["points"], "boot", clock.at).slots
    assert (slot.serial, slot.sent_at, slot.answered_at) == (1, clock.at, None)
    permits.give_back(given[2], RoundTrip())
    assert decode(store.states["points"], "boot", clock.at).slots[0].answered_at == clock.at


def test_a_suspended_process_waits_for_requests_of_others() -> None:
    """A process suspended on its way to the store sees what others sent meanwhile, and waits for it."""
    store, clock = MemoryStore(), EventClock(1000.0)
    process(store, EventClock(1099.9), 1.0).take(check_running)

    permit = next_permit(process(SlowStore(store, clock, until=1100.0), clock, 1.0), clock)
    # 0.5 s to leave, 0.5 s to be counted, and the period.
    assert permit.given_at == pytest.approx(1101.9)


@pytest.mark.parametrize(
    "report",
    [
        pytest.param(lambda permits, permit: permits.give_back(permit, RoundTrip()), id="an-answer"),
        pytest.param(lambda permits, _: permits.slow_down(None), id="throttled"),
    ],
)
def test_a_suspended_process_erases_nothing(report: Callable[[Permits, Permit], None]) -> None:
    """A late update of a suspended process keeps what others sent meanwhile."""
    store, clock = MemoryStore(), EventClock(1000.0)
    busy = SlowStore(store, clock)
    permits = process(busy, clock)
    permit = permits.take(check_running)
    process(store, EventClock(1099.9)).take(check_running)
    busy.until = 1100.0
    report(permits, permit)

    assert [slot.sent_at for slot in decode(store.states["points"], "boot", clock.at).slots] == [1000.0, 1099.9]


def test_untaken_permits_expire() -> None:
    """An untaken permit of a slot expires, and its time is free again."""
    clock = EventClock()
    permits = process(MemoryStore(), clock, 100.0)
    first = permits.take(check_running)
    clock.at += 0.2
    second = permits.take(check_running)
    third = permits.take(check_running)

    assert [permit.slot_no for permit in (first, second, third)] == [1, 2, 2]


def test_local_lag_is_shared_with_the_next_permit() -> None:
    """The local lag of a thread reaches all processes with its next permit."""
    clock, store = SlowClock(late=0.03), MemoryStore()
    permits = process(store, clock)
    first, second = permits.take(check_running), permits.take(check_running)

    assert [first.given_at, second.given_at] == pytest.approx([1000.0, 1000.08])
    assert decode(store.states["points"], "boot", clock.at).local_lag == pytest.approx(0.03)


def test_local_lag_is_reported_once() -> None:
    """One late wake-up is reported once, so that it can decay."""
    clock, store = SlowClock(late=0.03), MemoryStore()
    permits = process(store, clock)
    reported_at = [permits.take(check_running).given_at for _ in range(2)][-1]
    clock.late = 0.0
    clock.at += 60.0
    for _ in range(5):
        permits.take(check_running)

    window = decode(store.states["points"], "boot", clock.at)
    assert [window.local_lag, window.local_lag_seen_at] == pytest.approx([0.03, reported_at])


def test_the_longest_wait_is_shared() -> None:
    """The longest wait for an answer reaches all processes."""
    clock, store = EventClock(), MemoryStore()
    permits = process(store, clock)
    permit = permits.take(check_running)
    clock.at += 1.3
    permits.give_back(permit, RoundTrip())

    assert decode(store.states["points"], "boot", clock.at).route.longest_wait == pytest.approx(1.3)


def test_the_store_is_not_read_before_the_next_start() -> None:
    """Threads that wait for a permit do not read the store before the known start."""
    clock, store = EventClock(), MemoryStore()
    permits = process(store, clock)
    permits.take(check_running)
    waits = []
    for _ in range(3):
        with pytest.raises(Waits) as wait:
            permits.take(check_running)
        waits.append(wait.value.seconds)

    assert waits == pytest.approx([0.05] * 3)
    assert store.changes == 2


def test_an_answer_to_another_process_is_soon_known() -> None:
    """A process asks again while it waits for an answer that another process may get."""
    store, clock = MemoryStore(), EventClock(1000.0)
    one, other = process(store, clock, 1.0), process(store, clock, 1.0)
    permit = one.take(check_running)
    with pytest.raises(Waits) as waits:
        other.take(check_running)
    assert waits.value.seconds == 1.0
    clock.at += 1.2
    one.give_back(permit, RoundTrip())

    # A second after the answer. Without it, two after the permit.
    assert 1002.2 <= next_permit(other, clock).given_at <= 1002.25


def test_a_process_that_is_gone_costs_one_slot() -> None:
    """Its turn passes to the next one, and does not come again."""
    store, clock = MemoryStore(), EventClock(1000.0)
    traffic = Traffic(clock, EVEN, Random(1))
    traffic.start(process(store, clock), workers=5)
    traffic.run(10)
    for _ in range(2):
        with pytest.raises(Waits):
            process(store, clock).take(check_running)
    traffic.counted.clear()
    traffic.run(20)

    assert len(traffic.counted) >= 20 * 5 - 4


def test_giving_up_takes_no_permit() -> None:
    """A caller that gives up leaves the permit to others."""
    clock, store = EventClock(), MemoryStore()

    def give_up() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        process(store, clock).take(give_up)
    assert store.states == {}


def test_a_throttled_answer_slows_all_processes_down() -> None:
    """After one throttled answer every process sends at half the rate, which then recovers."""
    clock, store = EventClock(), MemoryStore()
    traffic = Traffic(clock, EVEN, Random(1))
    one, other = process(store, clock, 20.0), process(store, clock, 20.0)
    for permits in (one, other):
        traffic.start(permits, workers=20)
    traffic.run(5)
    one.slow_down(None)
    spans = []
    for seconds in (5, 10, 10, 10):
        traffic.counted.clear()
        traffic.run(seconds)
        spans.append(len(traffic.counted) / seconds / 20)

    # Averages of a share that grows from a half to 1 in 30 s.
    assert spans == pytest.approx([0.54, 0.67, 0.83, 0.97], abs=0.06)
    assert (one.throttled, other.throttled) == (1, 0)


def test_retry_after_holds_for_all_processes() -> None:
    """No process sends before the time given to one of them."""
    clock, store = EventClock(), MemoryStore()
    traffic = Traffic(clock, EVEN, Random(1))
    one, other = process(store, clock), process(store, clock)
    traffic.start(other, workers=5)
    traffic.run(1)
    one.slow_down(7.0)
    reported_at = clock.at
    traffic.counted.clear()
    traffic.run(20)

    assert min(traffic.counted) >= reported_at + 7.0


def test_a_slot_ended_by_a_slowdown_is_closed_by_its_answers() -> None:
    """A slot that a throttled answer ends early is closed by the answers to its sent requests."""
    clock, store = EventClock(), MemoryStore()
    permits = process(store, clock, 100.0)
    permit = permits.take(check_running)
    permits.slow_down(None)
    clock.at += 0.04
    permits.give_back(permit, RoundTrip(1000.001, 0.03))

    assert b"[1,2,1000.0,1000.04,1000.001,false]" in store.states["points"]


def test_a_slot_with_a_lost_request_stays_unanswered() -> None:
    """A lost request may still be in flight, so its slot stays without an answer."""
    clock, store = EventClock(), MemoryStore()
    permits = process(store, clock)
    permit = permits.take(check_running)
    clock.at += 0.1
    permits.give_back(permit, None)

    assert b"[[1,1,1000.0,null,null,false]]" in store.states["points"]


def test_a_closed_quota_says_until_when() -> None:
    """Each process reports Retry-After, also one that finds the quota closed by another."""
    store, clock = MemoryStore(), EventClock(1000.0)
    throttled, other = process(store, clock), process(store, clock)
    throttled.take(check_running)
    throttled.slow_down(60.0)

    for permits in (throttled, other):
        assert permits.waiting() == []
        with pytest.raises(Waits):
            permits.take(check_running)
        assert permits.waiting() == [Wait("the platform asked to wait (Retry-After)", 1000.0, 1060.0)]
    clock.at = 1060.0
    assert other.waiting() == []
