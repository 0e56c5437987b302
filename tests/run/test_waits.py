"""Waits of a run are reported if they are long."""

from pipeline.model import Wait
from pipeline.run.waits import Waits
from tests.moved_clock import MovedClock


def test_a_long_wait_is_reported_at_its_begin_and_end() -> None:
    """A wait with a known long duration is reported at once."""
    clock = MovedClock()
    waits, began = Waits(clock), clock.steady()
    closed = Wait("the platform asked to wait", began, began + 90.0)

    assert waits.observe([closed]) == ["waiting: the platform asked to wait, since 12:00:00 UTC, until 12:01:30 UTC"]
    assert waits.observe([closed]) == []
    assert waits.shown() == "waiting: the platform asked to wait, since 12:00:00 UTC, until 12:01:30 UTC"

    clock.move(90.0)
    assert waits.observe([]) == ["continuing after 90 s: the platform asked to wait"]
    assert waits.shown() == ""


def test_a_wait_without_known_end_is_reported_after_5_seconds() -> None:
    """A wait without a known end is reported after 5 seconds; a shorter one never is."""
    clock = MovedClock()
    waits, throttled = (
        Waits(clock),
        Wait("the platform throttles every request", clock.steady(), gives_up_at=clock.steady() + 900.0),
    )

    assert waits.observe([throttled]) == []
    clock.move(5.0)
    assert waits.observe([throttled]) == [
        "waiting: the platform throttles every request, since 12:00:00 UTC; if it lasts, the run stops at 12:15:00 UTC"
    ]


def test_the_summary_has_each_long_wait() -> None:
    """At the end of a run, each long wait has its times and seconds, also a current one."""
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
