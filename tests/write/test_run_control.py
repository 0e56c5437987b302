"""Run control: whether the run continues."""

from collections import Counter
from datetime import timedelta, timezone

import pytest

from pipeline.model import Status
from pipeline.write.brakes.run_control import Drained, Ending, RunControl
from tests.moved_clock import NOON, MovedClock


def ended(control: RunControl) -> tuple[Ending | None, str | None, str | None]:
    return control.ending, control.reason, control.halt_code


def test_a_run_goes_on_until_something_ends_it() -> None:
    """Without a deadline, drain or failure limit, nothing is raised."""
    control = RunControl(MovedClock())
    control.check_running()

    assert ended(control) == (None, None, None)


def test_the_first_reason_counts() -> None:
    """Only the first reason to drain counts, and sleeping workers wake up."""
    clock = MovedClock()
    control = RunControl(clock)
    control.drain(Ending.STOPPED, "our signature is refused", halt_code="SIGN_ERROR")
    control.drain(Ending.INTERRUPTED, "SIGTERM")
    control.give_up()

    with pytest.raises(Drained):
        control.check_running()
    assert ended(control) == (Ending.STOPPED, "our signature is refused", "SIGN_ERROR")
    assert clock.is_woken


@pytest.mark.parametrize(
    ("seconds", "is_over"),
    [pytest.param(-0.001, False, id="before"), pytest.param(0, True, id="at"), pytest.param(1, True, id="after")],
)
def test_a_deadline_ends_the_run(seconds: float, *, is_over: bool) -> None:
    """The run drains at its deadline, given in any time zone."""
    until = (NOON + timedelta(minutes=30)).astimezone(timezone(timedelta(hours=8)))
    clock = MovedClock(NOON + timedelta(minutes=30, seconds=seconds))
    control = RunControl(clock, until=until)
    try:
        control.check_running()
    except Drained:
        assert ended(control) == (
            Ending.DEADLINE, "the deadline 20:30 was reached; `backfill resume` goes on", None,
        )  # fmt: skip
    assert (control.ending is Ending.DEADLINE) is is_over


@pytest.mark.parametrize(
    ("most", "failed", "stops"),
    [
        pytest.param(None, 99, False, id="no-limit"),
        pytest.param(2, 2, False, id="as-many-as-allowed"),
        pytest.param(2, 3, True, id="one-more"),
        pytest.param(0, 1, True, id="none-allowed"),
        pytest.param(0.5, 1, True, id="half-of-one"),
        pytest.param(0, 0, False, id="none-allowed-and-none-failed"),
    ],
)
@pytest.mark.parametrize("status", [Status.INVALID, Status.REJECTED, Status.UNKNOWN])
def test_too_many_failures_stop_the_run(status: Status, most: float | None, failed: int, *, stops: bool) -> None:
    """Invalid, rejected and unknown rows count as failed, before and after the limit is set."""
    before, after = RunControl(MovedClock()), RunControl(MovedClock())
    before.count(status, failed)
    if most is not None:
        before.allow_failures(most)
        after.allow_failures(most)
    after.count(status, failed)

    assert (before.ending, after.ending) == ((Ending.STOPPED,) * 2 if stops else (None, None))
    assert before.halt_code == ("too_many_failures" if stops else None)


def test_rows_that_did_not_fail_do_not_count() -> None:
    """Succeeded, skipped, blocked and unsent rows stop no run."""
    control = RunControl(MovedClock())
    control.allow_failures(0)
    for status in (Status.SUCCEEDED, Status.SKIPPED, Status.BLOCKED, Status.UNSENT):
        control.count(status, 7)

    assert control.ending is None
    assert control.counts == dict.fromkeys((Status.SUCCEEDED, Status.SKIPPED, Status.BLOCKED, Status.UNSENT), 7)


def test_a_signal_may_come_in_the_middle_of_counting() -> None:
    """A signal may drain the run from within the thread that is counting, without a deadlock."""
    control = RunControl(MovedClock())

    class Interrupted(Counter[Status]):
        def __setitem__(self, status: Status, rows: int) -> None:
            control.drain(Ending.INTERRUPTED, "SIGINT")
            super().__setitem__(status, rows)

    control.counts = Interrupted()
    control.count(Status.INVALID)

    assert (control.ending, control.counts) == (Ending.INTERRUPTED, {Status.INVALID: 1})
