"""The circuit breaker: one request at a time until the platform accepts the caller, and during an outage."""

from dataclasses import replace

import pytest

from pipeline.model import Wait
from pipeline.write.answers.verdict import Halt, Open, Refused, Succeeded, TryAgain, Verdict
from pipeline.write.brakes.circuit_breaker import CircuitBreaker, Clearance, proves_acceptance
from tests.moved_clock import MovedClock

DONE = Succeeded("SUCCESS")
DOWN = TryAgain("timeout", "no answer", may_have_acted=True, platform_down=True)
SLOW = TryAgain("http_429", "too many", may_have_acted=False, slow=True)

FREE = Clearance(alone=False, probing=False)
ALONE = Clearance(alone=True, probing=False)
PROBE = Clearance(alone=True, probing=True)
CHECK = 0.02


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def breaker(clock: MovedClock) -> CircuitBreaker:
    """A breaker without any attempt so far."""
    return CircuitBreaker(clock, 300.0)


def down(breaker: CircuitBreaker) -> None:
    """Open the circuit: 5 failures of 3 rows."""
    for row in (1, 2, 3, 1, 2):
        breaker.finish(FREE, row, DOWN)


@pytest.mark.parametrize(
    ("verdict", "proves"),
    [
        pytest.param(DONE, True, id="a-success"),
        pytest.param(Refused("X", ""), True, id="a-refused-row"),
        pytest.param(Refused("X", "", halts_after=3), False, id="a-row-or-perhaps-the-caller-refused"),
        pytest.param(SLOW, False, id="throttled"),
        pytest.param(DOWN, False, id="no-answer"),
        pytest.param(Open("X", ""), False, id="open"),
        pytest.param(Halt("X", ""), False, id="the-caller-refused"),
    ],
)
def test_requests_go_alone_until_the_platform_accepts_the_caller(
    breaker: CircuitBreaker, verdict: Verdict, *, proves: bool
) -> None:
    """Only an answer about the row itself allows several requests in flight."""
    clearance = breaker.start(1)
    assert (clearance, breaker.start(1)) == (ALONE, CHECK)

    assert breaker.finish(ALONE, 1, verdict) is None
    assert proves_acceptance(verdict) is proves
    assert breaker.start(1) == (FREE if proves else ALONE)


def test_a_cancelled_clearance_is_free_again(breaker: CircuitBreaker) -> None:
    """A worker that gives up before sending lets the next one send."""
    breaker.start(1)
    breaker.cancel(ALONE)

    assert breaker.start(1) == ALONE


def test_acceptance_lasts(breaker: CircuitBreaker) -> None:
    """Once the platform accepted the caller, a later Halt does not change that."""
    breaker.finish(ALONE, 1, DONE)
    breaker.finish(FREE, 2, Halt("X", ""))

    assert [breaker.start(1), breaker.start(1)] == [FREE, FREE]


@pytest.mark.parametrize(
    ("signs", "is_open"),
    [
        pytest.param([(1, DOWN), (2, DOWN), (3, DOWN), (1, DOWN)], False, id="four-signs"),
        pytest.param([(1, DOWN), (2, DOWN), (1, DOWN), (2, DOWN), (1, DOWN)], False, id="of-two-rows"),
        pytest.param([(1, DOWN), (2, DOWN), (3, DOWN), (1, DOWN), (2, DOWN)], True, id="five-signs-of-three-rows"),
        pytest.param([(1, DOWN), (2, DOWN), (3, DOWN), (1, DONE), (2, DOWN), (3, DOWN)], False, id="an-answer-between"),
        pytest.param([(1, DOWN), (2, DOWN), (3, DOWN), (1, SLOW), (2, DOWN), (3, DOWN)], False, id="throttled-between"),
    ],
)  # fmt: skip
def test_failures_of_several_rows_open_the_circuit(
    breaker: CircuitBreaker, signs: list[tuple[int, Verdict]], *, is_open: bool
) -> None:
    """Five failures of three rows, without an answer in between, open the circuit."""
    for row, verdict in signs:
        breaker.finish(FREE, row, verdict)

    assert breaker.is_open is is_open


def test_one_request_at_a_time_probes(breaker: CircuitBreaker, clock: MovedClock) -> None:
    """After each pause one request probes while the others wait; each failed probe doubles the pause."""
    breaker.finish(ALONE, 1, DONE)
    down(breaker)
    for pause in (1.0, 2.0, 4.0):
        assert breaker.start(1) == pause
        clock.move(pause)
        assert (breaker.start(1), breaker.start(1)) == (PROBE, CHECK)
        assert breaker.finish(PROBE, 1, DOWN) is None

    clock.move(8.0)
    assert breaker.start(1) == PROBE
    assert breaker.finish(PROBE, 1, SLOW) is None
    assert (breaker.is_open, breaker.start(1)) == (False, FREE)


def test_a_cancelled_probe_is_left_to_another_worker(breaker: CircuitBreaker, clock: MovedClock) -> None:
    """A worker that gives up before its probe does not block the others."""
    down(breaker)
    clock.move(1.0)
    breaker.start(1)
    breaker.cancel(PROBE)

    assert breaker.start(1) == PROBE


def test_rows_that_failed_let_another_row_probe(breaker: CircuitBreaker, clock: MovedClock) -> None:
    """A row that has not failed yet probes first, also if others ask before it. Later probes are of any row."""
    down(breaker)
    assert [breaker.start(1), breaker.start(9), breaker.start(2)] == [1.0, 1.0, 1.0]
    clock.move(1.0)
    assert [breaker.start(1), breaker.start(9), breaker.start(2)] == [CHECK, PROBE, CHECK]

    breaker.finish(PROBE, 9, DOWN)
    clock.move(2.0)
    assert breaker.start(1) == PROBE


def test_a_row_at_fault_lets_another_row_probe(breaker: CircuitBreaker, clock: MovedClock) -> None:
    """A row whose failures do not count has failed as well."""
    answered_beside(breaker, range(7, 8), 3)
    down(breaker)
    breaker.start(9)
    clock.move(1.0)

    assert [breaker.start(7), breaker.start(9)] == [CHECK, PROBE]


def test_no_probe_waits_for_a_row_of_an_earlier_outage(breaker: CircuitBreaker, clock: MovedClock) -> None:
    """A worker that slept while the circuit closed, and opened again, holds up no probe."""
    down(breaker)
    breaker.start(9)
    breaker.finish(FREE, 8, DONE)
    down(breaker)
    clock.move(1.0)

    assert breaker.start(1) == PROBE


def test_a_late_answer_closes_the_circuit(breaker: CircuitBreaker) -> None:
    """A request in flight when the circuit opened closes it with its answer."""
    breaker.finish(ALONE, 1, DONE)
    down(breaker)
    breaker.finish(FREE, 9, DONE)

    assert breaker.start(1) == FREE


def test_the_last_probe_comes_at_the_limit(clock: MovedClock) -> None:
    """The last pause ends at the outage limit; if that probe fails, the run stops."""
    breaker = CircuitBreaker(clock, 10.0)
    down(breaker)
    for row, pause in enumerate((1.0, 2.0, 4.0, 3.0), 10):
        assert breaker.start(1) == pause
        clock.move(pause)
        assert breaker.start(1) == PROBE
        halt = breaker.finish(PROBE, row, DOWN)

    assert halt == Halt(
        "platform_down",
        "the platform has not answered correctly for 10 s (last: timeout, no answer); if it is up, check the "
        "account's ids and keys; then resume the run",
    )


def test_the_longest_pause_is_one_minute(clock: MovedClock) -> None:
    """In a long outage one probe is sent each minute."""
    breaker = CircuitBreaker(clock, 1e6)
    down(breaker)
    for _ in range(12):
        pause = breaker.start(1)
        assert isinstance(pause, float)
        clock.move(pause)
        breaker.start(1)
        breaker.finish(PROBE, 1, DOWN)

    assert breaker.start(1) == 60.0


def test_only_a_failed_probe_makes_the_pause_longer(breaker: CircuitBreaker, clock: MovedClock) -> None:
    """Failures of requests in flight when the circuit opened do not lengthen the pause."""
    breaker.finish(ALONE, 1, DONE)
    down(breaker)
    for row in range(4, 20):
        assert breaker.finish(FREE, row, DOWN) is None

    assert breaker.start(1) == 1.0
    clock.move(1.0)
    assert breaker.start(1) == PROBE
    breaker.finish(PROBE, 20, DOWN)
    assert breaker.start(1) == 2.0


def test_retry_after_delays_the_probe(breaker: CircuitBreaker) -> None:
    """No probe is sent before Retry-After of a failed answer."""
    for row in (1, 2, 3, 1):
        breaker.finish(FREE, row, DOWN)
    breaker.finish(FREE, 2, replace(DOWN, wait_seconds=30.0))

    assert breaker.start(1) == 30.0


def answered_beside(breaker: CircuitBreaker, rows: range, answers: int) -> None:
    """Let these rows fail, then others be answered."""
    for row in rows:
        breaker.finish(FREE, row, DOWN)
    for _ in range(answers):
        breaker.finish(FREE, 99, DONE)


@pytest.mark.parametrize(
    ("answers", "is_open"), [pytest.param(2, True, id="two-may-be-late"), pytest.param(3, False, id="three")]
)
def test_rows_that_fail_while_others_are_answered_mean_no_outage(
    breaker: CircuitBreaker, answers: int, *, is_open: bool
) -> None:
    """After three answers to others since a row's first failure, its failures do not count."""
    answered_beside(breaker, range(1, 4), answers)
    down(breaker)

    assert breaker.is_open is is_open


def test_a_probe_of_a_row_at_fault_keeps_the_pause(breaker: CircuitBreaker, clock: MovedClock) -> None:
    """A row that is at fault itself does not lengthen the pause."""
    answered_beside(breaker, range(1, 2), 3)
    for row in (2, 3, 4, 2, 3):
        breaker.finish(FREE, row, DOWN)
    for _ in range(3):
        assert breaker.start(1) == 1.0
        clock.move(1.0)
        assert breaker.start(1) == PROBE
        assert breaker.finish(PROBE, 1, DOWN) is None


def test_a_row_that_ended_is_forgotten(breaker: CircuitBreaker) -> None:
    """A settled row that comes again in a later lane starts without failures."""
    answered_beside(breaker, range(1, 4), 3)
    for row in (1, 2, 3):
        breaker.forget(row)
    down(breaker)

    assert breaker.is_open


def test_a_platform_that_throttles_everything_stops_the_run(breaker: CircuitBreaker, clock: MovedClock) -> None:
    """If every request was throttled up to the outage limit, the run stops."""
    assert breaker.finish(ALONE, 1, SLOW) is None
    clock.move(299.0)
    assert breaker.finish(ALONE, 2, SLOW) is None
    clock.move(1.0)

    assert breaker.finish(ALONE, 3, SLOW) == Halt(
        "always_throttled",
        "the platform throttled every request for 300 s; another program may use the quota of this merchant: stop it "
        "or lower `rate`, then resume the run",
    )


def test_a_wait_says_when_the_run_gives_up(breaker: CircuitBreaker, clock: MovedClock) -> None:
    """Throttling of every request, and an outage, end the run at the outage limit after their begin."""
    breaker.finish(ALONE, 1, SLOW)
    clock.move(20.0)
    assert breaker.waiting() == [Wait("the platform throttles every request", 1000.0, gives_up_at=1300.0)]

    down(breaker)
    assert breaker.waiting() == [Wait("the platform is not answering correctly", 1020.0, 1021.0, 1320.0)]


@pytest.mark.parametrize("between", [DONE, DOWN, Refused("X", "")])
def test_another_answer_ends_the_throttling(breaker: CircuitBreaker, clock: MovedClock, between: Verdict) -> None:
    """One request without throttling restarts the time."""
    breaker.finish(ALONE, 1, SLOW)
    clock.move(299.0)
    breaker.finish(ALONE, 2, between)
    breaker.finish(ALONE, 3, SLOW)
    clock.move(299.0)

    assert breaker.finish(ALONE, 3, SLOW) is None


def test_rows_that_failed_before_are_probed_with_more_often(clock: MovedClock) -> None:
    """If only rows that failed before are left, the pause stays at a fiftieth of the limit."""
    breaker = CircuitBreaker(clock, 300.0)
    down(breaker)
    pauses = []
    for _ in range(5):
        pauses.append(breaker.start(1))
        clock.move(60.0)
        breaker.start(1)
        breaker.finish(PROBE, 1, DOWN)

    assert pauses == [1.0, 2.0, 4.0, 6.0, 6.0]
