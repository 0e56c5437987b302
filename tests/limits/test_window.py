"""The arithmetic of a quota, one rule at a time."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.limits.window import (
    Slot,
    Window,
    after_restart,
    answered,
    decode,
    encode,
    next_start,
    permits_per_slot,
    share_at,
    slowed,
    started,
)

NOW = 100.0


def sent(*times: float, trip: float | None = 0.1) -> tuple[Slot, ...]:
    """Return slots sent at these times, each answered after a trip, or not yet."""
    return tuple(Slot(n, at, None if trip is None else at + trip) for n, at in enumerate(times, 1))


FIVE = sent(99.0, 99.2, 99.4, 99.6, 99.8)


@pytest.mark.parametrize(
    ("window", "limit", "start"),
    [
        pytest.param(Window(), 5.0, 0.0, id="the-first-at-once"),
        pytest.param(Window(closed_until=107.0), 5.0, 107.0, id="not-before-the-platforms-wait"),
        pytest.param(Window(sent(99.9)), 5.0, 99.9 + 0.05, id="evenly"),
        pytest.param(Window(sent(99.9), share=0.5, changed_at=NOW), 5.0, 99.9 + 0.1, id="evenly-at-half-the-rate"),
        pytest.param(Window(FIVE), 5.0, 100.1, id="a-second-after-the-answer"),
        pytest.param(Window(FIVE, shortest_trip=0.05), 5.0, 100.1 - 0.0475, id="less-the-shortest-trip"),
        pytest.param(Window(FIVE, shortest_trip=5.0), 5.0, 100.0, id="but-not-before-a-second-after-it-was-sent"),
        pytest.param(Window(FIVE, share=0.5, changed_at=NOW), 5.0, 101.1, id="two-seconds-at-half-the-rate"),
        pytest.param(Window(FIVE), 2.5, 99.6 + 0.1 + 1.0, id="a-limit-with-a-fraction-rounds-down"),
        pytest.param(Window(sent(99.0)), 0.5, 99.1 + 2.0, id="a-limit-below-one"),
        pytest.param(Window(sent(*(99.0 + n / 5 for n in range(5)), trip=None)), 5.0, 100.5, id="no-answer-yet"),
        pytest.param(
            Window(sent(*(99.0 + n / 5 for n in range(5)), trip=None), longest_trip=0.9), 5.0, 100.9,
            id="no-answer-yet-where-answers-are-slow",
        ),
        pytest.param(Window(sent(90.0, 90.2, 90.4, 90.6, 90.8, trip=9.0)), 5.0, 93.0, id="an-answer-long-overdue"),
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
    """A window holds no more slots than the limit has places."""
    window, slot = started(Window(FIVE, serial=5), 5.0, NOW)

    assert (window, slot) == (Window((*FIVE[1:], Slot(6, NOW)), serial=6), Slot(6, NOW))


@pytest.mark.parametrize(
    ("known", "told", "kept"),
    [
        pytest.param(0.0, 0.0, 0.0, id="never-told"),
        pytest.param(0.0, 0.03, 0.03, id="told-first"),
        pytest.param(0.03, 0.02, 0.02, id="shorter"),
        pytest.param(0.03, 0.04, 0.03, id="longer"),
        pytest.param(0.03, 0.0, 0.03, id="not-told-again"),
    ],
)
def test_the_shortest_trip_ever_told_is_kept(known: float, told: float, kept: float) -> None:
    """Only what the network was seen to take counts, and the shortest of it."""
    window = answered(Window(FIVE, shortest_trip=known), 3, 99.5, shortest=told, longest=0.1)

    assert window.shortest_trip == kept


@pytest.mark.parametrize(
    ("known", "seen", "kept"),
    [
        pytest.param(0.5, 0.9, 0.9, id="a-slow-answer"),
        pytest.param(0.5, 0.1, 0.49, id="forgotten-slowly"),
        pytest.param(0.5, 30.0, 2.0, id="bounded"),
    ],
)
def test_slow_answers_are_remembered_for_a_while(known: float, seen: float, kept: float) -> None:
    """The longest trip fades, and one very slow answer does not slow down a night."""
    assert answered(Window(longest_trip=known), 1, NOW, shortest=0.0, longest=seen).longest_trip == pytest.approx(kept)


def test_an_answer_is_noted_with_its_slot() -> None:
    """The time of an answer goes to the slot that it answers, and an answer to a forgotten slot to none."""
    open_slots = sent(99.0, 99.2, trip=None)
    window = answered(Window(open_slots), 2, 99.5, shortest=0.0, longest=0.3)

    assert window.slots == (open_slots[0], Slot(2, 99.2, 99.5))
    assert answered(window, 7, 99.9, shortest=0.0, longest=0.3).slots == window.slots


def test_a_throttled_answer_halves_the_rate_and_it_grows_back() -> None:
    """A throttled answer halves the rate at once; in half a minute it is back."""
    window = slowed(Window(FIVE), NOW, None)

    assert window == Window(FIVE, share=0.5, changed_at=NOW, closed_until=NOW)
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


def test_a_shorter_wait_does_not_end_a_longer_one() -> None:
    """The quota stays closed until the latest of the times that were named."""
    assert slowed(slowed(Window(), NOW, 60.0), NOW + 1, 2.0).closed_until == NOW + 60.0


windows = st.builds(
    Window,
    st.lists(
        st.builds(Slot, st.integers(0, 2**53), st.floats(0, 1e9), st.none() | st.floats(0, 1e9)), max_size=6
    ).map(tuple),
    st.integers(0, 2**53),
    *[st.floats(0, 1e9)] * 5,
)  # fmt: skip


@given(windows)
def test_a_window_comes_back_from_the_store_as_it_was(window: Window) -> None:
    """Nothing of a window is lost between two processes of one machine."""
    assert decode(encode(window, "boot"), "boot", NOW) == window


def test_a_window_of_another_start_is_waited_out() -> None:
    """A window of another start of the machine is not believed, and where there never was one nothing is waited for."""
    assert decode(encode(Window(FIVE), "before"), "now", NOW) == after_restart(NOW) == Window(closed_until=NOW + 1.5)
    assert decode(None, "now", NOW) == Window()
