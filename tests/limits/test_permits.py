"""Permits: when they are given out, and what becomes of those that were."""

from collections.abc import Callable
from random import Random
from typing import TypeVar

import pytest

from pipeline.limits.permits import Permit, Permits
from pipeline.limits.window import decode
from pipeline.model import RoundTrip, Wait
from tests.limits.traffic import EVEN, EventClock, Shelf, SlowClock, Traffic, Waits, check_running, most_within, process

T = TypeVar("T")


class BusyShelf(Shelf):
    """What is on a shelf, to one that does not reach it before a time of its clock."""

    def __init__(self, shelf: Shelf, clock: EventClock, until: float = 0.0) -> None:
        super().__init__()
        self.states = shelf.states
        self.until = until
        self._clock = clock

    def change(self, name: str, step: Callable[[bytes | None], tuple[bytes, T]]) -> T:
        self._clock.at = max(self._clock.at, self.until)
        return super().change(name, step)


def test_permits_come_evenly() -> None:
    """The first requests do not go out at one moment."""
    clock = EventClock(1000.0)
    traffic = Traffic(clock, EVEN, Random(1))
    traffic.start(process(Shelf(), clock), workers=9)
    traffic.run(0.5)

    assert [at - 1000.0 - EVEN.there for at in traffic.counted] == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2])


def test_a_limit_below_one_is_kept_over_its_period() -> None:
    """Half a request a second is one in two seconds."""
    clock = EventClock()
    traffic = Traffic(clock, EVEN, Random(1))
    traffic.start(process(Shelf(), clock, 0.5), workers=3)
    traffic.run(60)

    assert most_within(traffic.counted, 2.0) == 1
    assert len(traffic.counted) >= 0.95 * 30


def test_a_restart_of_the_machine_waits_out_what_it_can_not_know() -> None:
    """Times of another start of the machine mean nothing now, so a full period passes before the first permit."""
    shelf, before, after = Shelf(), EventClock(90_000.0), EventClock(5.0)
    for _ in range(2):
        traffic = Traffic(before, EVEN, Random(1))
        traffic.start(process(shelf, before, boot="first"), workers=5)
        traffic.run(1)
    permits = process(shelf, after, boot="second")

    with pytest.raises(Waits) as waits:
        permits.take(check_running)
    assert waits.value.seconds == 1.5
    after.at += 1.5
    assert permits.take(check_running) == Permit(1, 6.5)


def test_a_restart_that_the_system_does_not_name_does_not_stop_the_quota() -> None:
    """Where no name tells one start of the machine from another, that the state is yet to come does."""
    shelf, after = Shelf(), EventClock(5.0)
    process(shelf, EventClock(90_000.0), boot="-").take(check_running)
    permits = process(shelf, after, boot="-")

    with pytest.raises(Waits) as waits:
        permits.take(check_running)
    assert waits.value.seconds == 1.5


def test_who_stood_still_does_not_take_the_present_for_the_future() -> None:
    """A process that was stopped on its way to the quota finds there what others sent meanwhile, and waits for it."""
    shelf, clock = Shelf(), EventClock(1000.0)
    process(shelf, EventClock(1099.9), 1.0).take(check_running)

    with pytest.raises(Waits) as waits:
        process(BusyShelf(shelf, clock, until=1100.0), clock, 1.0).take(check_running)
    # Half a second to leave, half a second to be seen, and the period.
    assert waits.value.seconds == pytest.approx(1.9)


@pytest.mark.parametrize(
    "say",
    [
        pytest.param(lambda permits, permit: permits.give_back(permit, RoundTrip()), id="an-answer"),
        pytest.param(lambda permits, _: permits.slow_down(None), id="throttled"),
    ],
)
def test_who_stood_still_forgets_nothing(say: Callable[[Permits, Permit], None]) -> None:
    """What a process has to say that was stopped on its way to the quota does not wipe out what others sent."""
    shelf, clock = Shelf(), EventClock(1000.0)
    busy = BusyShelf(shelf, clock)
    permits = process(busy, clock)
    permit = permits.take(check_running)
    process(shelf, EventClock(1099.9)).take(check_running)
    busy.until = 1100.0
    say(permits, permit)

    assert [slot.sent_at for slot in decode(shelf.states["points"], "boot", clock.at).slots] == [1000.0, 1099.9]


def test_permits_of_a_slot_that_nobody_took_are_gone() -> None:
    """A slot of two permits gives one if the other is asked for too late, and its time is then free again."""
    clock = EventClock()
    permits = process(Shelf(), clock, 100.0)
    first = permits.take(check_running)
    clock.at += 0.2
    second = permits.take(check_running)
    third = permits.take(check_running)

    assert [permit.serial for permit in (first, second, third)] == [1, 2, 2]


def test_a_thread_that_wakes_late_makes_the_quota_careful() -> None:
    """How late the machine wakes a thread is told to all processes with its next permit."""
    clock, shelf = SlowClock(late=0.03), Shelf()
    permits = process(shelf, clock)
    first, second = permits.take(check_running), permits.take(check_running)

    assert [first.given_at, second.given_at] == pytest.approx([1000.0, 1000.08])
    assert decode(shelf.states["points"], "boot", clock.at).local_lag == pytest.approx(0.03)


def test_a_thread_that_woke_late_is_forgotten() -> None:
    """One hiccup is told once: it does not keep the quota careful for ever."""
    clock, shelf = SlowClock(late=0.03), Shelf()
    permits = process(shelf, clock)
    reported_at = [permits.take(check_running).given_at for _ in range(2)][-1]
    clock.late = 0.0
    clock.at += 60.0
    for _ in range(5):
        permits.take(check_running)

    window = decode(shelf.states["points"], "boot", clock.at)
    assert [window.local_lag, window.local_lag_seen_at] == pytest.approx([0.03, reported_at])


def test_how_long_an_answer_took_is_told_to_all() -> None:
    """A request without an answer counts as on its way for as long as answers were lately seen to take."""
    clock, shelf = EventClock(), Shelf()
    permits = process(shelf, clock)
    permit = permits.take(check_running)
    clock.at += 1.3
    permits.give_back(permit, RoundTrip())

    assert decode(shelf.states["points"], "boot", clock.at).route.longest_wait == pytest.approx(1.3)


def test_nobody_asks_before_a_permit_can_be_there() -> None:
    """Threads that wait for one quota do not open its file again before the time that it named."""
    clock, shelf = EventClock(), Shelf()
    permits = process(shelf, clock)
    permits.take(check_running)
    waits = []
    for _ in range(3):
        with pytest.raises(Waits) as wait:
            permits.take(check_running)
        waits.append(wait.value.seconds)

    assert waits == pytest.approx([0.05] * 3)
    assert shelf.changes == 2


def test_giving_up_takes_no_permit() -> None:
    """Who is told to give up before a permit is there leaves it to others."""
    clock, shelf = EventClock(), Shelf()

    def give_up() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        process(shelf, clock).take(give_up)
    assert shelf.states == {}


def test_a_throttled_answer_slows_all_processes_down() -> None:
    """After one process was throttled every process sends at half the rate, which then grows back."""
    clock, shelf = EventClock(), Shelf()
    traffic = Traffic(clock, EVEN, Random(1))
    one, other = process(shelf, clock, 20.0), process(shelf, clock, 20.0)
    for permits in (one, other):
        traffic.start(permits, workers=20)
    traffic.run(5)
    one.slow_down(None)
    spans = []
    for seconds in (5, 10, 10, 10):
        traffic.counted.clear()
        traffic.run(seconds)
        spans.append(len(traffic.counted) / seconds / 20)

    # The means of a share that grows from a half to the whole in half a minute.
    assert spans == pytest.approx([0.54, 0.67, 0.83, 0.97], abs=0.06)
    assert (one.throttled, other.throttled) == (1, 0)


def test_the_platforms_own_wait_is_kept_by_all() -> None:
    """Nothing is sent before the time that the platform named, whichever process was told."""
    clock, shelf = EventClock(), Shelf()
    traffic = Traffic(clock, EVEN, Random(1))
    one, other = process(shelf, clock), process(shelf, clock)
    traffic.start(other, workers=5)
    traffic.run(1)
    one.slow_down(7.0)
    reported_at = clock.at
    traffic.counted.clear()
    traffic.run(20)

    assert min(traffic.counted) >= reported_at + 7.0


def test_what_was_sent_before_a_slowdown_is_still_answered() -> None:
    """A slot that a throttled answer cuts short is closed by the answers to what was sent of it."""
    clock, shelf = EventClock(), Shelf()
    permits = process(shelf, clock, 100.0)
    permit = permits.take(check_running)
    permits.slow_down(None)
    clock.at += 0.04
    permits.give_back(permit, RoundTrip(1000.001, 0.03))

    assert b"[1,2,1000.0,1000.04,1000.001,false]" in shelf.states["points"]


def test_a_request_without_an_answer_may_still_be_on_its_way() -> None:
    """What came of a lost request is not known when it is given up, so its slot stays without an answer."""
    clock, shelf = EventClock(), Shelf()
    permits = process(shelf, clock)
    permit = permits.take(check_running)
    clock.at += 0.1
    permits.give_back(permit, None)

    assert b"[[1,1,1000.0,null,null,false]]" in shelf.states["points"]


def test_a_closed_quota_says_until_when() -> None:
    """Each process says that the platform asked to wait, also one that finds the quota closed by another."""
    shelf, clock = Shelf(), EventClock(1000.0)
    throttled, other = process(shelf, clock), process(shelf, clock)
    throttled.take(check_running)
    throttled.slow_down(60.0)

    for permits in (throttled, other):
        assert permits.waiting() == []
        with pytest.raises(Waits):
            permits.take(check_running)
        assert permits.waiting() == [Wait("the platform asked to wait (Retry-After)", 1000.0, 1060.0)]
    clock.at = 1060.0
    assert other.waiting() == []
