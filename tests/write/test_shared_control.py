"""What the senders of one run exchange, and which of them ends the run for all."""

from dataclasses import dataclass, field

import pytest

from pipeline.ledger.records import RunEnding, SenderNews, SharedState
from pipeline.model import Status
from pipeline.write.answers.verdict import Succeeded, TryAgain, Verdict
from pipeline.write.brakes.circuit_breaker import CircuitBreaker, Clearance
from pipeline.write.brakes.failure_streaks import FailureStreaks
from pipeline.write.brakes.run_control import Ending, RunControl
from pipeline.write.brakes.shared_control import SharedControl
from tests.moved_clock import MovedClock

DONE = Succeeded("SUCCESS")
FORGED = TryAgain("signature_invalid", "forged", may_have_acted=True)
LED = SharedState(is_led=True)
LATE = RunEnding("deadline", "it is late")


@dataclass
class Process:
    """One sender of a run."""

    leads: bool = False
    before: dict[str, int] | None = None
    clock: MovedClock = field(default_factory=MovedClock)

    def __post_init__(self) -> None:
        self.control = RunControl(self.clock)
        self.breaker, self.streaks = CircuitBreaker(self.clock, 300.0), FailureStreaks()
        self.share = SharedControl(self.control, self.breaker, self.streaks, leads=self.leads, before=self.before)

    def answered(self, verdict: Verdict) -> None:
        """Get the answer to one request."""
        self.breaker.finish(Clearance(alone=True, probing=False), 1, verdict)
        self.streaks.settled(verdict)
        self.control.count_attempt(is_retry=False, is_throttled=False)


def test_a_sender_adds_each_count_once() -> None:
    """Rows that end and requests are news once; those of others are no news."""
    one = Process()
    one.answered(DONE)
    first = one.share.news({"succeeded": 1})
    one.share.learn(SharedState(is_led=True, counts={"attempts": 8, "succeeded": 5, "retries": 2}))
    second = one.share.news({})

    assert first == SenderNews({"succeeded": 1, "attempts": 1}, is_proven=True)
    assert second.is_empty
    assert one.share.own_attempts == 1


def test_the_control_counts_the_rows_of_all_senders() -> None:
    """What others add comes once, also if a state comes twice or has less than this process has added."""
    one = Process(leads=True, before={"invalid": 2})
    one.control.count(Status.INVALID, 2)
    one.share.news({"succeeded": 1})
    one.control.count(Status.SUCCEEDED)
    for counts in ({"invalid": 2, "rejected": 1}, {"invalid": 2, "succeeded": 4, "rejected": 1, "attempts": 7}) * 2:
        one.share.learn(SharedState(is_led=True, counts=counts))

    assert one.control.counts == {Status.INVALID: 2, Status.SUCCEEDED: 4, Status.REJECTED: 1}
    assert one.control.attempts == 7


def test_failed_rows_of_all_senders_end_the_run() -> None:
    """The limit comes with the state, and counts the rows of all."""
    one = Process()
    one.answered(DONE)
    one.share.news({"rejected": 1})
    one.control.count(Status.REJECTED)
    one.share.learn(SharedState(is_led=True, max_failures=2, counts={"rejected": 3}))

    assert (one.control.ending, one.control.halt_code) == (Ending.STOPPED, "too_many_failures")
    assert one.share.news({}).ending == RunEnding("stopped", one.control.reason or "", "too_many_failures")


def test_others_may_send_once_rows_are_accepted_and_do_not_all_end_alike() -> None:
    """A success proves both, once; a refused caller proves nothing."""
    one = Process(leads=True)
    one.answered(FORGED)
    refused = one.share.news({}).is_proven
    one.answered(DONE)

    assert (refused, one.share.news({}).is_proven, one.share.news({}).is_proven) == (False, True, False)


@pytest.mark.parametrize(
    ("leads", "is_accepted", "ending", "halt_code", "is_for_all"),
    [
        pytest.param(True, False, Ending.INTERRUPTED, None, True, id="the-leading-process-is-interrupted"),
        pytest.param(True, False, Ending.STOPPED, "platform_down", True, id="the-leading-process-in-an-outage"),
        pytest.param(False, True, Ending.INTERRUPTED, None, False, id="another-sender-is-interrupted"),
        pytest.param(False, True, Ending.STOPPED, "signature_invalid", True, id="a-caller-who-was-accepted-before"),
        pytest.param(False, False, Ending.STOPPED, "signature_invalid", False, id="a-caller-who-never-was"),
        pytest.param(False, True, Ending.STOPPED, "platform_down", False, id="another-sender-in-an-outage"),
        pytest.param(False, True, Ending.STOPPED, "always_throttled", False, id="another-sender-is-throttled"),
    ],
)
def test_who_ends_the_run_for_all(
    *, leads: bool, is_accepted: bool, ending: Ending, halt_code: str | None, is_for_all: bool
) -> None:
    """The leading process always; another sender if the platform accepted it before, and this is no outage."""
    one = Process(leads=leads)
    if is_accepted:
        one.answered(DONE)
        one.share.news({})
    one.control.drain(ending, "why", halt_code=halt_code)
    first, second = one.share.news({}).ending, one.share.news({}).ending

    assert (first, second) == (RunEnding(ending, "why", halt_code) if is_for_all else None, None)
    assert one.share.stopped_alone is (ending is Ending.STOPPED and not is_for_all)


def test_all_drain_when_one_ends_the_run() -> None:
    """The reason is that of the run, and is not sent back."""
    one = Process()
    one.share.learn(SharedState(is_led=True, ending=LATE))

    assert (one.control.ending, one.control.reason) == (Ending.DEADLINE, "it is late")
    assert one.share.news({}).ending is None
    assert not one.share.stopped_alone


@pytest.mark.parametrize("state", [None, SharedState(is_led=False)], ids=["no run is sent", "nobody leads"])
def test_senders_leave_a_run_that_nobody_leads(state: SharedState | None) -> None:
    """The process that leads goes on: it is its own evidence."""
    other, leading = Process(), Process(leads=True)
    for one in (other, leading):
        one.share.learn(LED)
        one.share.learn(state)

    assert (other.control.ending, leading.control.ending) == (Ending.INTERRUPTED, None)
