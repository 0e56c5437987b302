"""The arithmetic of a quota, one rule at a time."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.limits.route import RouteTiming
from pipeline.limits.window import (
    Slot,
    Window,
    after_restart,
    as_answered,
    decode,
    encode,
    local_lag_at,
    most_per_second,
    next_start,
    next_turn,
    permits_per_slot,
    record_answer,
    record_local_lag,
    server_lag_at,
    share_at,
    shifted,
    slow_down,
    start_slot,
    wait_for_turn,
)
from pipeline.model import RoundTrip

NOW = 100.0
# Numbers of processes.
ME, FIRST, SECOND, NEW = 1, 2, 3, 4
# Slots without a throttled answer after which the server lag is at its least.
TRUSTED = 10_000


def sent(*times: float, round_trip: float | None = 0.1) -> tuple[Slot, ...]:
    """Return slots sent at these times, each answered after a round trip, or unanswered."""
    return tuple(Slot(n, 1, at, None if round_trip is None else at + round_trip) for n, at in enumerate(times, 1))


FIVE = sent(99.0, 99.2, 99.4, 99.6, 99.8)
LEFT = tuple(replace(slot, left_at=slot.sent_at + 0.002, was_prompt=True) for slot in FIVE)
# The answer to the first one was slow.
FIRST_SLOW = (replace(LEFT[0], was_prompt=False), *LEFT[1:])
# 16 handshakes with a spread of 1.5 ms: path jitter is 3.1 ms.
KNOWN = RouteTiming(0.002, handshakes=16, slowest_handshake=0.0035)


@pytest.mark.parametrize(
    ("window", "limit", "start"),
    [
        pytest.param(Window(), 5.0, 0.0, id="the-first-at-once"),
        pytest.param(Window(closed_until=107.0), 5.0, 107.0, id="not-before-the-platforms-wait"),
        pytest.param(Window(sent(99.9)), 5.0, 99.9 + 0.05, id="evenly"),
        pytest.param(Window(sent(99.9), share=0.5, changed_at=NOW), 5.0, 99.9 + 0.1, id="evenly-at-half-the-rate"),
        pytest.param(Window(FIVE), 5.0, 100.1, id="a-second-after-the-answer"),
        pytest.param(Window(FIVE, route=RouteTiming(0.05)), 5.0, 100.1 - 0.0475, id="less-the-least-round-trip"),
        pytest.param(Window(FIVE, route=RouteTiming(5.0)), 5.0, 100.0, id="but-not-before-a-second-after-it-was-sent"),
        pytest.param(Window(LEFT, TRUSTED, route=KNOWN), 5.0, 100.0 + 0.002 + 0.0031 + 0.012,
                     id="a-second-after-it-arrived"),
        pytest.param(Window(LEFT, 40, route=KNOWN), 5.0, 100.0 + 0.002 + 0.0031 + 0.012 + 0.025,
                     id="plus-server-lag-of-a-new-platform"),
        pytest.param(Window(LEFT, route=KNOWN), 5.0, 100.1 - 0.0019, id="unknown-platform"),
        pytest.param(Window(LEFT, server_lag=0.04, changed_at=NOW, route=KNOWN), 5.0, 100.0 + 0.002 + 0.0031 + 0.04,
                     id="plus-learnt-server-lag"),
        pytest.param(Window(LEFT, TRUSTED, local_lag=0.02, local_lag_seen_at=NOW, route=KNOWN), 5.0, 100.0171 + 0.02,
                     id="plus-local-lag"),
        pytest.param(Window(LEFT, server_lag=0.4, changed_at=NOW, route=KNOWN), 5.0, 100.1 - 0.0019,
                     id="at-most-after-its-answer"),
        pytest.param(Window(LEFT, route=replace(KNOWN, handshakes=4)), 5.0, 100.1 - 0.0019, id="too-few-handshakes"),
        pytest.param(Window(FIVE, route=KNOWN), 5.0, 100.1 - 0.0019, id="unknown-departure"),
        pytest.param(Window(FIRST_SLOW, TRUSTED, route=KNOWN), 5.0, 100.1 - 0.0019, id="slow-answer"),
        pytest.param(Window(FIVE, share=0.5, changed_at=NOW), 5.0, 101.1, id="two-seconds-at-half-the-rate"),
        pytest.param(Window(FIVE), 2.5, 99.6 + 0.1 + 1.0, id="a-limit-with-a-fraction-rounds-down"),
        pytest.param(Window(sent(99.0)), 0.5, 99.1 + 2.0, id="a-limit-below-one"),
        pytest.param(Window(sent(*(99.0 + n / 5 for n in range(5)), round_trip=None)), 5.0, 101.0, id="no-answer-yet"),
        pytest.param(
            Window(sent(*(99.0 + n / 5 for n in range(5)), round_trip=None), route=RouteTiming(longest_wait=0.9)),
            5.0,
            101.4,
            id="no-answer-yet-where-answers-are-slow",
        ),
        pytest.param(
            Window(sent(90.0, 90.2, 90.4, 90.6, 90.8, round_trip=9.0)), 5.0, 93.5, id="an-answer-long-overdue"
        ),
        pytest.param(Window((Slot(1, 1, 90.0, 99.0, 95.0),)), 1.0, 98.0, id="overdue-from-when-it-left"),
        pytest.param(Window((Slot(1, 1, 98.0, 99.5, 99.45),), route=RouteTiming(0.2)), 1.0, 100.45,
                     id="never-counted-before-it-left"),
    ],
)  # fmt: skip
def test_when_the_next_slot_may_start(window: Window, limit: float, start: float) -> None:
    """A slot keeps its pace, and starts one period after the slot that it replaces was certainly counted."""
    assert next_start(window, limit, NOW) == pytest.approx(start)


@pytest.mark.parametrize(
    ("limit", "size"), [(0.5, 1), (5.0, 1), (39.0, 1), (40.0, 1), (79.0, 1), (80.0, 2), (100.0, 2), (1000.0, 25)]
)
def test_large_quotas_have_slots_of_several_permits(limit: float, size: int) -> None:
    """A large quota gives out several permits together."""
    assert permits_per_slot(limit) == size


@pytest.mark.parametrize(("limit", "requests"), [(5.0, 5.0), (2.5, 2.0), (1.5, 1.0), (0.5, 0.5)])
def test_no_second_has_a_part_of_a_request(limit: float, requests: float) -> None:
    """In a long time a limit with a fraction allows the whole number per second; below 1 it allows its fraction."""
    window, now = Window(), NOW
    for _ in range(100):
        window, slot = start_slot(window, limit, ME, now)
        window = record_answer(window, slot.serial, now, now, longest=0.0, round_trips=[], waits=[])
        now = next_start(window, limit, now)

    assert most_per_second(limit) == requests == pytest.approx(100 / (now - NOW), abs=0.001)


def test_a_new_slot_replaces_the_oldest() -> None:
    """A window has at most as many permits as the limit."""
    window, slot = start_slot(Window(FIVE, serial=5), 5.0, ME, NOW)

    assert (window, slot) == (Window((*FIVE[1:], Slot(6, 1, NOW)), serial=6, limit=5.0), Slot(6, 1, NOW))


@pytest.mark.parametrize(
    ("process", "start"),
    [
        pytest.param(FIRST, 100.1, id="first"),
        pytest.param(SECOND, 100.3, id="second"),
        pytest.param(ME, 100.5, id="third"),
        pytest.param(NEW, 100.7, id="new"),
    ],
)
def test_processes_take_turns(process: int, start: float) -> None:
    """A process that waits starts after a slot for each one before it; a new one comes last."""
    window = Window(FIVE, waiting=(FIRST, SECOND, ME))

    assert next_turn(window, 5.0, process, NOW) == pytest.approx(start)


@pytest.mark.parametrize(
    ("process", "waiting"),
    [
        pytest.param(FIRST, (SECOND, ME), id="first"),
        pytest.param(ME, (), id="third"),
        pytest.param(NEW, (), id="new"),
    ],
)
def test_a_process_that_missed_its_turn_waits_no_more(process: int, waiting: tuple[int, ...]) -> None:
    """It may be gone. If not, it waits again, behind the others."""
    window, _ = start_slot(Window(FIVE, waiting=(FIRST, SECOND, ME)), 5.0, process, NOW)

    assert window.waiting == waiting
    assert wait_for_turn(wait_for_turn(window, FIRST), FIRST).waiting == (*waiting, FIRST)


def test_an_open_answer_may_come_at_once() -> None:
    """At best, a slot without an answer is counted when it starts; the others stay as they are."""
    window = Window((*sent(99.0), Slot(2, 1, 99.5)))

    assert as_answered(window) == Window((*sent(99.0), Slot(2, 1, 99.5, answered_at=99.5)))


@pytest.mark.parametrize(
    ("own", "other", "start"),
    [
        pytest.param(80.0, 79.0, 100.1, id="two-permits-against-slots-of-one"),
        pytest.param(79.0, 80.0, 100.1, id="one-permit-against-slots-of-two"),
        pytest.param(5.0, 80.0, 101.05, id="a-limit-far-below-the-others"),
    ],
)
def test_permits_of_other_limits_count(own: float, other: float, start: float) -> None:
    """Slots of processes with other limits count by their number of permits."""
    window, size = Window(), permits_per_slot(other)
    for n in range(int(other) // size):
        window, slot = start_slot(window, other, ME, 99.0 + n * size / int(other))
        window = record_answer(
            window, slot.serial, slot.sent_at, slot.sent_at + 0.1, longest=0.1, round_trips=[], waits=[]
        )

    assert next_start(window, own, NOW) == pytest.approx(start, abs=0.04)


def test_an_answer_is_recorded_in_its_slot() -> None:
    """
    Answer and departure are recorded in their slot, and ignored for a removed slot.

    They are also ignored for a slot of the same number in a window that began anew.
    """
    open_slots = sent(99.0, 99.2, round_trip=None)
    window = record_answer(
        Window(open_slots), 2, 99.2, 99.5, longest=0.3, round_trips=[RoundTrip(99.49, 0.03, 0.04)], waits=[0.01]
    )

    assert window == Window(
        (open_slots[0], Slot(2, 1, 99.2, 99.5, 99.49)), route=RouteTiming(0.03, 0.49, 1, 0.04, 0.01)
    )
    for serial, sent_at in ((7, 99.2), (1, 97.4)):
        assert record_answer(window, serial, sent_at, 99.9, longest=0.3, round_trips=[], waits=[]).slots == window.slots


@pytest.mark.parametrize(
    ("round_trips", "left_at"),
    [
        pytest.param([RoundTrip(99.21), RoundTrip(99.23), RoundTrip(99.22)], 99.23, id="the-last-of-all"),
        pytest.param([RoundTrip(99.21), RoundTrip()], None, id="one-is-not-known"),
        pytest.param([], None, id="none"),
    ],
)
def test_a_slot_has_left_with_its_last_request(round_trips: list[RoundTrip], left_at: float | None) -> None:
    """A slot has left once all its requests are known to have left."""
    waits = [0.2 for round_trip in round_trips if round_trip.left_at]
    window = record_answer(
        Window(sent(99.2, round_trip=None)), 1, 99.2, 99.5, longest=0.3, round_trips=round_trips, waits=waits
    )

    assert window.slots == (Slot(1, 1, 99.2, 99.5, left_at),)


@pytest.mark.parametrize(
    ("waits", "was_prompt"),
    [
        pytest.param([0.12], True, id="a-fifth-longer"),
        pytest.param([0.13], False, id="longer"),
        pytest.param([0.01, 0.13, 0.01], False, id="the-longest-of-several"),
    ],
)
def test_a_slot_without_slow_answers_is_prompt(waits: list[float], was_prompt: bool) -> None:
    """A slow answer makes its slot not prompt."""
    window = Window(sent(99.2, round_trip=None), route=RouteTiming(wait_p95=0.1))

    window = record_answer(window, 1, 99.2, 99.5, longest=0.3, round_trips=[RoundTrip(99.21)] * len(waits), waits=waits)

    assert window.slots[0].was_prompt is was_prompt


def test_a_throttled_answer_halves_the_rate() -> None:
    """A throttled answer halves the rate and doubles the server lag; the rate recovers in 30 s."""
    window = slow_down(Window(FIVE, TRUSTED), NOW, None)

    assert window == Window(FIVE, TRUSTED, share=0.5, changed_at=NOW, closed_until=NOW, server_lag=0.024)
    assert [share_at(window, NOW + after) for after in (0, 15, 30, 99)] == [0.5, 0.75, 1.0, 1.0]


def test_throttled_answers_in_flight_together_count_once() -> None:
    """Throttled requests in flight together halve the rate once; a later one halves it again."""
    once = slow_down(Window(), NOW, None)
    together = slow_down(slow_down(once, NOW + 0.1, None), NOW + 1.8, 7.0)
    later = slow_down(once, NOW + 2.1, None)

    assert together == replace(once, closed_until=NOW + 8.8)
    assert later.share == pytest.approx((0.5 + 2.1 / 60) / 2)


def test_the_rate_has_a_lower_bound() -> None:
    """The rate stays above a sixteenth of the limit."""
    window = Window()
    for n in range(20):
        window = slow_down(window, NOW + 20 * n, None)

    assert window.share >= 1 / 16


def test_a_learnt_server_lag_decays_slowly() -> None:
    """The server lag halves in an hour, and is bounded after many throttled answers."""
    once, window = slow_down(Window(serial=TRUSTED), NOW, None), Window()
    for n in range(20):
        window = slow_down(window, NOW + 20 * n, None)

    assert [server_lag_at(once, NOW + hours * 3600) for hours in (0, 1, 2)] == pytest.approx([0.024, 0.018, 0.015])
    assert server_lag_at(window, NOW + 380) == 0.5


def test_local_lag_decays_quickly() -> None:
    """The longest local lag counts; it halves in 5 s, and is at most 0.5 s."""
    window = record_local_lag(Window(), NOW, 0.08)

    assert window == Window(local_lag=0.08, local_lag_seen_at=NOW)
    assert [local_lag_at(window, NOW + seconds) for seconds in (0, 5, 10)] == pytest.approx([0.08, 0.04, 0.02])
    assert record_local_lag(window, NOW + 5, 0.03) == window
    assert record_local_lag(window, NOW + 5, 0.05) == Window(local_lag=0.05, local_lag_seen_at=NOW + 5)
    assert record_local_lag(window, NOW, 45.0) == Window(local_lag=0.5, local_lag_seen_at=NOW)


def test_a_shorter_wait_does_not_end_a_longer_one() -> None:
    """The quota stays closed until the latest given time."""
    assert slow_down(slow_down(Window(), NOW, 60.0), NOW + 1, 2.0).closed_until == NOW + 60.0


seconds = st.floats(0, 1e9)
windows = st.builds(
    Window,
    st.lists(
        st.builds(
            Slot, st.integers(0, 2**53), st.integers(1, 25), seconds, st.none() | seconds, st.none() | seconds,
            st.booleans(),
        ),
        max_size=6,
    ).map(tuple),
    st.integers(0, 2**53),
    *[seconds] * 7,
    st.lists(st.integers(0, 2**32 - 1), max_size=4).map(tuple),
    st.builds(RouteTiming, seconds, seconds, st.integers(0, 2**53), seconds, seconds),
)  # fmt: skip


@given(windows)
def test_a_window_is_stored_without_loss(window: Window) -> None:
    """A window survives encode and decode."""
    assert decode(encode(window, "boot"), "boot", 1e9) == window


def test_a_window_of_another_boot_is_not_used() -> None:
    """A window of another boot gives a waiting window; without a state nothing waits."""
    assert decode(encode(Window(FIVE), "before"), "now", NOW) == after_restart(NOW) == Window(closed_until=NOW + 1.5)
    assert decode(None, "now", NOW) == Window()


@pytest.mark.parametrize(
    ("window", "is_of_this_boot"),
    [
        pytest.param(Window(sent(90_000.0)), False, id="sent-later"),
        pytest.param(Window(FIVE, share=0.5, changed_at=90_000.0), False, id="throttled-later"),
        pytest.param(Window(FIVE, local_lag=0.01, local_lag_seen_at=90_000.0), False, id="local-lag-later"),
        pytest.param(Window(FIVE, closed_until=90_000.0), True, id="closed-for-long"),
        pytest.param(Window(sent(NOW + 50)), True, id="clocks-differ-by-little"),
        pytest.param(Window(), True, id="nothing-was-sent"),
    ],
)
def test_a_state_from_the_future_is_of_another_boot(window: Window, *, is_of_this_boot: bool) -> None:
    """Without a boot id, future times show another boot."""
    assert decode(encode(window, "-"), "-", NOW) == (window if is_of_this_boot else after_restart(NOW))


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"\x00",
        b"7",
        b"[]",
        b'[5,"now",[],[],[],[]',
        b'[5,"now",[1],[],[],[]]',
        b'[5,"now",[],[1,2,3,4,5,6,7,8,9],[],[]]',
        b'[5,"now",[],[1,2,3,4,5,6,7,8],7,[]]',
    ],
)
def test_a_damaged_window_is_reported(state: bytes) -> None:
    """Unreadable bytes raise ValueError."""
    with pytest.raises(ValueError, match="damaged"):
        decode(state, "now", NOW)


def test_a_window_in_another_format_is_not_used() -> None:
    """A state in another format gives a waiting window."""
    assert decode(b'["now",[[1,99.0,99.1]],1,1.0,0.0,0.0,0.0,0.5]', "now", NOW) == after_restart(NOW)


@pytest.mark.parametrize("seconds", [0.0, 600.0, -50.0])
def test_a_window_in_the_time_of_another_clock_has_all_times_shifted(seconds: float) -> None:
    """Each time that is known moves by the same seconds; what is not known, or never was, stays so."""
    window = Window(
        slots=(Slot(1, 1, 90.0), Slot(2, 1, 91.0, answered_at=92.0, left_at=91.5, was_prompt=True)),
        serial=2,
        limit=5.0,
        changed_at=80.0,
        closed_until=95.0,
    )
    later = replace(
        window,
        slots=(
            Slot(1, 1, 90.0 + seconds),
            Slot(2, 1, 91.0 + seconds, answered_at=92.0 + seconds, left_at=91.5 + seconds, was_prompt=True),
        ),
        changed_at=80.0 + seconds,
        closed_until=95.0 + seconds,
    )

    assert (shifted(window, seconds), shifted(Window(), seconds)) == (later, Window())
