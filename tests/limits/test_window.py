"""The arithmetic of a quota, one rule at a time."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.limits.route import Route
from pipeline.limits.window import (
    Slot,
    Window,
    after_restart,
    answered,
    decode,
    delayed_locally,
    encode,
    local_lag_at,
    next_start,
    permits_per_slot,
    server_lag_at,
    share_at,
    slowed,
    started,
)
from pipeline.model import RoundTrip

NOW = 100.0
# So many slots without a throttled answer, that the platform is known.
TRUSTED = 10_000


def sent(*times: float, round_trip: float | None = 0.1) -> tuple[Slot, ...]:
    """Return slots sent at these times, each answered after a trip, or not yet."""
    return tuple(Slot(n, 1, at, None if round_trip is None else at + round_trip) for n, at in enumerate(times, 1))


FIVE = sent(99.0, 99.2, 99.4, 99.6, 99.8)
LEFT = tuple(replace(slot, left_at=slot.sent_at + 0.002, was_prompt=True) for slot in FIVE)
# The answer to the first of them took unusually long.
HELD_UP = (replace(LEFT[0], was_prompt=False), *LEFT[1:])
# 16 handshakes that differ by 1.5 ms: a request may be 3.1 ms longer under way.
KNOWN = Route(0.002, handshakes=16, slowest_handshake=0.0035)


@pytest.mark.parametrize(
    ("window", "limit", "start"),
    [
        pytest.param(Window(), 5.0, 0.0, id="the-first-at-once"),
        pytest.param(Window(closed_until=107.0), 5.0, 107.0, id="not-before-the-platforms-wait"),
        pytest.param(Window(sent(99.9)), 5.0, 99.9 + 0.05, id="evenly"),
        pytest.param(Window(sent(99.9), share=0.5, changed_at=NOW), 5.0, 99.9 + 0.1, id="evenly-at-half-the-rate"),
        pytest.param(Window(FIVE), 5.0, 100.1, id="a-second-after-the-answer"),
        pytest.param(Window(FIVE, route=Route(0.05)), 5.0, 100.1 - 0.0475, id="less-the-shortest-trip"),
        pytest.param(Window(FIVE, route=Route(5.0)), 5.0, 100.0, id="but-not-before-a-second-after-it-was-sent"),
        pytest.param(Window(LEFT, TRUSTED, route=KNOWN), 5.0, 100.0 + 0.002 + 0.0031 + 0.012,
                     id="a-second-after-it-was-there"),
        pytest.param(Window(LEFT, 40, route=KNOWN), 5.0, 100.0 + 0.002 + 0.0031 + 0.012 + 0.025,
                     id="and-a-little-more-while-the-platform-is-little-known"),
        pytest.param(Window(LEFT, route=KNOWN), 5.0, 100.1 - 0.0019, id="nothing-is-known-of-the-platform"),
        pytest.param(Window(LEFT, server_lag=0.04, changed_at=NOW, route=KNOWN), 5.0, 100.0 + 0.002 + 0.0031 + 0.04,
                     id="with-the-hold-that-was-learnt"),
        pytest.param(Window(LEFT, TRUSTED, local_lag=0.02, local_lag_seen_at=NOW, route=KNOWN), 5.0, 100.0171 + 0.02,
                     id="and-what-a-busy-machine-adds"),
        pytest.param(Window(LEFT, server_lag=0.4, changed_at=NOW, route=KNOWN), 5.0, 100.1 - 0.0019,
                     id="but-no-later-than-after-its-answer"),
        pytest.param(Window(LEFT, route=replace(KNOWN, handshakes=4)), 5.0, 100.1 - 0.0019, id="too-few-handshakes"),
        pytest.param(Window(FIVE, route=KNOWN), 5.0, 100.1 - 0.0019, id="nobody-knows-when-it-left"),
        pytest.param(Window(HELD_UP, TRUSTED, route=KNOWN), 5.0, 100.1 - 0.0019, id="its-answer-took-unusually-long"),
        pytest.param(Window(FIVE, share=0.5, changed_at=NOW), 5.0, 101.1, id="two-seconds-at-half-the-rate"),
        pytest.param(Window(FIVE), 2.5, 99.6 + 0.1 + 1.0, id="a-limit-with-a-fraction-rounds-down"),
        pytest.param(Window(sent(99.0)), 0.5, 99.1 + 2.0, id="a-limit-below-one"),
        pytest.param(Window(sent(*(99.0 + n / 5 for n in range(5)), round_trip=None)), 5.0, 101.0, id="no-answer-yet"),
        pytest.param(
            Window(sent(*(99.0 + n / 5 for n in range(5)), round_trip=None), route=Route(longest_wait=0.9)), 5.0, 101.4,
            id="no-answer-yet-where-answers-are-slow",
        ),
        pytest.param(
            Window(sent(90.0, 90.2, 90.4, 90.6, 90.8, round_trip=9.0)), 5.0, 93.5, id="an-answer-long-overdue"
        ),
        pytest.param(Window((Slot(1, 1, 90.0, 99.0, 95.0),)), 1.0, 98.0, id="overdue-from-when-it-left"),
        pytest.param(Window((Slot(1, 1, 98.0, 99.5, 99.45),), route=Route(0.2)), 1.0, 100.45,
                     id="never-counted-before-it-left"),
    ],
)  # fmt: skip
def test_when_the_next_slot_may_start(window: Window, limit: float, start: float) -> None:
    """A slot starts evenly after the last one, and a period after the platform surely counted the one it replaces."""
    assert next_start(window, limit, NOW) == pytest.approx(start)


@pytest.mark.parametrize(
    ("limit", "size"), [(0.5, 1), (5.0, 1), (39.0, 1), (40.0, 1), (79.0, 1), (80.0, 2), (100.0, 2), (1000.0, 25)]
)
def test_large_quotas_are_handed_out_in_slots(limit: float, size: int) -> None:
    """A quota of many requests a second gives out several permits together."""
    assert permits_per_slot(limit) == size


def test_a_started_slot_takes_the_oldest_ones_place() -> None:
    """A window holds no more permits than the limit."""
    window, slot = started(Window(FIVE, serial=5), 5.0, NOW)

    assert (window, slot) == (Window((*FIVE[1:], Slot(6, 1, NOW)), serial=6, limit=5.0), Slot(6, 1, NOW))


@pytest.mark.parametrize(
    ("own", "other", "start"),
    [
        pytest.param(80.0, 79.0, 100.1, id="two-permits-against-slots-of-one"),
        pytest.param(79.0, 80.0, 100.1, id="one-permit-against-slots-of-two"),
        pytest.param(5.0, 80.0, 101.05, id="a-limit-far-below-the-others"),
    ],
)
def test_permits_of_other_limits_count(own: float, other: float, start: float) -> None:
    """A process with another limit gives out slots of another size; what counts is how many permits they hold."""
    window, size = Window(), permits_per_slot(other)
    for n in range(int(other) // size):
        window, slot = started(window, other, 99.0 + n * size / int(other))
        window = answered(window, slot.serial, slot.sent_at + 0.1, longest=0.1, round_trips=[], waits=[])

    assert next_start(window, own, NOW) == pytest.approx(start, abs=0.04)


def test_an_answer_is_noted_with_its_slot() -> None:
    """Times of answer and departure go to the slot that was answered, and those of a forgotten slot to none."""
    open_slots = sent(99.0, 99.2, round_trip=None)
    window = answered(
        Window(open_slots), 2, 99.5, longest=0.3, round_trips=[RoundTrip(99.49, 0.03, 0.04)], waits=[0.01]
    )

    assert window == Window((open_slots[0], Slot(2, 1, 99.2, 99.5, 99.49)), route=Route(0.03, 0.49, 1, 0.04, 0.01))
    assert answered(window, 7, 99.9, longest=0.3, round_trips=[], waits=[]).slots == window.slots


@pytest.mark.parametrize(
    ("round_trips", "left_at"),
    [
        pytest.param([RoundTrip(99.21), RoundTrip(99.23), RoundTrip(99.22)], 99.23, id="the-last-of-all"),
        pytest.param([RoundTrip(99.21), RoundTrip()], None, id="one-is-not-known"),
        pytest.param([], None, id="none"),
    ],
)
def test_a_slot_has_left_with_its_last_request(round_trips: list[RoundTrip], left_at: float | None) -> None:
    """A slot of several requests has left once all are known to have."""
    waits = [0.2 for round_trip in round_trips if round_trip.left_at]
    window = answered(Window(sent(99.2, round_trip=None)), 1, 99.5, longest=0.3, round_trips=round_trips, waits=waits)

    assert window.slots == (Slot(1, 1, 99.2, 99.5, left_at),)


@pytest.mark.parametrize(
    ("waits", "was_prompt"),
    [
        pytest.param([0.12], True, id="hardly-longer-than-usual"),
        pytest.param([0.13], False, id="longer"),
        pytest.param([0.01, 0.13, 0.01], False, id="the-longest-of-several"),
    ],
)
def test_a_slot_is_prompt_whose_answers_take_no_longer_than_usual(waits: list[float], was_prompt: bool) -> None:
    """What took unusually long may have been held up before it was counted."""
    window = Window(sent(99.2, round_trip=None), route=Route(usual_wait=0.1))

    window = answered(window, 1, 99.5, longest=0.3, round_trips=[RoundTrip(99.21)] * len(waits), waits=waits)

    assert window.slots[0].was_prompt is was_prompt


def test_a_throttled_answer_halves_the_rate_and_it_grows_back() -> None:
    """A throttled answer halves the rate and doubles the hold; in half a minute the rate is back."""
    window = slowed(Window(FIVE, TRUSTED), NOW, None)

    assert window == Window(FIVE, TRUSTED, share=0.5, changed_at=NOW, closed_until=NOW, server_lag=0.024)
    assert [share_at(window, NOW + after) for after in (0, 15, 30, 99)] == [0.5, 0.75, 1.0, 1.0]


def test_throttled_answers_at_one_moment_are_one_sign() -> None:
    """Requests that were under way together and are all throttled halve the rate once; a later one halves it again."""
    once = slowed(Window(), NOW, None)
    together = slowed(slowed(once, NOW + 0.1, None), NOW + 1.8, 7.0)
    later = slowed(once, NOW + 2.1, None)

    assert together == replace(once, closed_until=NOW + 8.8)
    assert later.share == pytest.approx((0.5 + 2.1 / 60) / 2)


def test_the_rate_never_falls_to_nothing() -> None:
    """However often it is throttled a quota goes on at a sixteenth of its rate."""
    window = Window()
    for n in range(20):
        window = slowed(window, NOW + 20 * n, None)

    assert window.share >= 1 / 16


def test_what_was_learnt_of_the_platform_is_forgotten_slowly() -> None:
    """A hold that was learnt is half forgotten in an hour; many throttled answers make it long, but not endless."""
    once, window = slowed(Window(serial=TRUSTED), NOW, None), Window()
    for n in range(20):
        window = slowed(window, NOW + 20 * n, None)

    assert [server_lag_at(once, NOW + hours * 3600) for hours in (0, 1, 2)] == pytest.approx([0.024, 0.018, 0.015])
    assert server_lag_at(window, NOW + 380) == 0.5


def test_a_stall_is_forgotten_soon() -> None:
    """The longest stall counts, half of it after five seconds, and no longer than half a second."""
    window = delayed_locally(Window(), NOW, 0.08)

    assert window == Window(local_lag=0.08, local_lag_seen_at=NOW)
    assert [local_lag_at(window, NOW + seconds) for seconds in (0, 5, 10)] == pytest.approx([0.08, 0.04, 0.02])
    assert delayed_locally(window, NOW + 5, 0.03) == window
    assert delayed_locally(window, NOW + 5, 0.05) == Window(local_lag=0.05, local_lag_seen_at=NOW + 5)
    assert delayed_locally(window, NOW, 45.0) == Window(local_lag=0.5, local_lag_seen_at=NOW)


def test_a_shorter_wait_does_not_end_a_longer_one() -> None:
    """The quota stays closed until the latest of the times that were named."""
    assert slowed(slowed(Window(), NOW, 60.0), NOW + 1, 2.0).closed_until == NOW + 60.0


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
    st.builds(Route, seconds, seconds, st.integers(0, 2**53), seconds, seconds),
)  # fmt: skip


@given(windows)
def test_a_window_comes_back_from_the_store_as_it_was(window: Window) -> None:
    """Nothing of a window is lost between two processes of one machine."""
    assert decode(encode(window, "boot"), "boot", 1e9) == window


def test_a_window_of_another_start_is_waited_out() -> None:
    """A window of another start of the machine is not believed, and where there never was one nothing is waited for."""
    assert decode(encode(Window(FIVE), "before"), "now", NOW) == after_restart(NOW) == Window(closed_until=NOW + 1.5)
    assert decode(None, "now", NOW) == Window()


@pytest.mark.parametrize(
    ("window", "is_of_this_start"),
    [
        pytest.param(Window(sent(90_000.0)), False, id="sent-later"),
        pytest.param(Window(FIVE, share=0.5, changed_at=90_000.0), False, id="throttled-later"),
        pytest.param(Window(FIVE, local_lag=0.01, local_lag_seen_at=90_000.0), False, id="held-up-later"),
        pytest.param(Window(FIVE, closed_until=90_000.0), True, id="closed-for-long"),
        pytest.param(Window(sent(NOW + 50)), True, id="clocks-differ-by-little"),
        pytest.param(Window(), True, id="nothing-was-sent"),
    ],
)
def test_a_state_from_the_future_is_of_another_start(window: Window, *, is_of_this_start: bool) -> None:
    """Where the system does not name its starts, times that are yet to come tell that the machine was restarted."""
    assert decode(encode(window, "-"), "-", NOW) == (window if is_of_this_start else after_restart(NOW))


@pytest.mark.parametrize(
    "state",
    [b"", b"\x00", b"7", b"[]", b'[4,"now",[],[],[]', b'[4,"now",[1],[],[]]', b'[4,"now",[],[1,2,3,4,5,6,7,8,9],[]]'],
)
def test_a_window_that_is_damaged_is_told(state: bytes) -> None:
    """What can't be read is damaged, whatever is wrong with it."""
    with pytest.raises(ValueError, match="damaged"):
        decode(state, "now", NOW)


def test_a_window_in_another_form_is_waited_out() -> None:
    """What another version of this program wrote is not read, and its requests are waited out."""
    assert decode(b'["now",[[1,99.0,99.1]],1,1.0,0.0,0.0,0.0,0.5]', "now", NOW) == after_restart(NOW)
