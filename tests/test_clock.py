"""The machine's clocks."""

import sys
import threading
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any

import pytest

from pipeline.clock import SystemClock


def test_now_is_in_utc_and_goes_on() -> None:
    """Wall time has its zone and does not go back."""
    clock = SystemClock()
    first, second = clock.now(), clock.now()

    assert first.tzinfo is UTC
    assert timedelta() <= second - first < timedelta(minutes=1)


def test_steady_time_never_goes_back() -> None:
    """Steady time is the machine's: 2 clocks of a process agree."""
    one, other = SystemClock(), SystemClock()
    times = [one.steady(), other.steady(), one.steady()]

    assert times == sorted(times)


def test_a_sleep_of_no_time_returns_at_once() -> None:
    """A sleep of 0 or fewer seconds returns at once."""
    clock = SystemClock()
    before = clock.steady()
    clock.sleep(0.0)
    clock.sleep(-5.0)

    assert clock.steady() - before < 5.0


def test_sleepers_wake_and_stay_awake() -> None:
    """`wake` ends the sleep of all threads, and later sleeps return at once."""
    clock = SystemClock()
    sleepers = [threading.Thread(target=clock.sleep, args=(60.0,)) for _ in range(3)]
    for sleeper in sleepers:
        sleeper.start()
    clock.wake()
    for sleeper in sleepers:
        sleeper.join(timeout=30.0)
    clock.sleep(60.0)

    assert [sleeper.is_alive() for sleeper in sleepers] == [False] * 3


@pytest.mark.parametrize(
    "call",
    [pytest.param(SystemClock.wake, id="wake"), pytest.param(lambda clock: clock.sleep(60.0), id="sleep")],
)
def test_a_signal_may_wake_at_any_moment(call: Callable[[SystemClock], None]) -> None:
    """A signal handler may call `wake` at any line of `wake` and `sleep` without blocking the thread."""
    clock = SystemClock()

    def signal_comes(*_: Any) -> Any:
        clock.wake()
        return signal_comes

    def call_with_signals() -> None:
        sys.settrace(signal_comes)
        call(clock)

    thread = threading.Thread(target=call_with_signals, daemon=True)
    thread.start()
    thread.join(timeout=10.0)

    assert not thread.is_alive()


def test_a_sleep_takes_its_time() -> None:
    """Without `wake`, a sleep lasts the given time."""
    clock = SystemClock()
    before = clock.steady()
    clock.sleep(0.003)

    assert clock.steady() - before >= 0.003
