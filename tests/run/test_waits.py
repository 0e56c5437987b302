"""What a run waits for is said, once it is long enough to wonder."""

from pipeline.model import Wait
from pipeline.run.waits import Waits
from tests.moved_clock import MovedClock


def test_a_long_wait_is_said_when_it_begins_and_when_it_ends() -> None:
    """A wait that is known to last is said at once, one that turns out long after five seconds."""
    clock = MovedClock()
    waits, began = Waits(clock), clock.steady()
    closed = Wait("the platform asked to wait", began, began + 90.0)

    assert waits.observe([closed]) == ["waiting: the platform asked to wait, since 12:00:00 UTC, until 12:01:30 UTC"]
    assert waits.observe([closed]) == []
    assert waits.shown() == "waiting: the platform asked to wait, since 12:00:00 UTC, until 12:01:30 UTC"

    clock.move(90.0)
    assert waits.observe([]) == ["goes on after 90 s: the platform asked to wait"]
    assert waits.shown() == ""


def test_a_wait_without_an_end_is_said_after_a_while() -> None:
    """Where nobody knows the end a wait is said once it is five seconds old; a shorter one never is."""
    clock = MovedClock()
    waits, throttled = Waits(clock), Wait("the platform throttles every request", clock.steady())

    assert waits.observe([throttled]) == []
    clock.move(5.0)
    assert waits.observe([throttled]) == ["waiting: the platform throttles every request, since 12:00:00 UTC"]


def test_the_summary_has_each_long_wait() -> None:
    """At the end of a run each wait that was said is there with its times and seconds, also one that goes on."""
    clock = MovedClock()
    waits, began = Waits(clock), clock.steady()
    waits.observe([Wait("an outage", began, began + 8.0), Wait("a short one", began, began + 1.0)])
    clock.move(8.0)

    assert waits.end() == [
        {
            "reason": "an outage",
            "since": "2026-03-01T12:00:00.000Z",
            "until": "2026-03-01T12:00:08.000Z",
            "seconds": 8.0,
        }
    ]
