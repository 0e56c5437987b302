"""The breaker: one at a time until the platform knows us, and while it is down."""

from dataclasses import replace

import pytest

from pipeline.write.answers.verdict import Halt, Open, Refused, Succeeded, TryAgain, Verdict
from pipeline.write.brakes.circuit_breaker import CircuitBreaker, Clearance, proves_acceptance
from tests.moved_clock import MovedClock

DONE = Succeeded("SUCCESS")
DOWN = TryAgain("timeout", "no answer", may_have_acted=True, platform_down=True)
SLOW = TryAgain("http_429", "too many", may_have_acted=False, slow=True)

FREE = Clearance(alone=False, probing=False)
ALONE = Clearance(alone=True, probing=False)
PROBE = Clearance(alone=True, probing=True)
LOOK = 0.02


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def breaker(clock: MovedClock) -> CircuitBreaker:
    """A breaker at which nobody was yet."""
    return CircuitBreaker(clock, 300.0)


def down(breaker: CircuitBreaker) -> None:
    """Let the platform be down: five signs from three rows."""
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
def test_the_first_requests_go_alone_until_the_platform_knows_us(
    breaker: CircuitBreaker, verdict: Verdict, *, proves: bool
) -> None:
    """Only an answer about the row itself opens the breaker for all."""
    held = breaker.start()
    assert (held, breaker.start()) == (ALONE, LOOK)

    assert breaker.finish(ALONE, 1, verdict) is None
    assert proves_acceptance(verdict) is proves
    assert breaker.start() == (FREE if proves else ALONE)


def test_a_pass_that_was_not_used_is_free_again(breaker: CircuitBreaker) -> None:
    """Who gives up before the request is sent lets the next one through."""
    breaker.start()
    breaker.cancel(ALONE)

    assert breaker.start() == ALONE


def test_an_open_gate_stays_open(breaker: CircuitBreaker) -> None:
    """Once the platform knows us it is not asked again, whatever comes then."""
    breaker.finish(ALONE, 1, DONE)
    breaker.finish(FREE, 2, Halt("X", ""))

    assert [breaker.start(), breaker.start()] == [FREE, FREE]


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
def test_signs_of_an_outage_in_a_row_mean_one(
    breaker: CircuitBreaker, signs: list[tuple[int, Verdict]], *, is_open: bool
) -> None:
    """Several requests of several rows without an answer, and none with one between, mean that the platform is down."""
    for row, verdict in signs:
        breaker.finish(FREE, row, verdict)

    assert breaker.is_open is is_open


def test_a_platform_that_is_open_is_probed_by_one(breaker: CircuitBreaker, clock: MovedClock) -> None:
    """Nobody goes before the pause is over, then one does and all others wait; each vain probe doubles the pause."""
    breaker.finish(ALONE, 1, DONE)
    down(breaker)
    for pause in (1.0, 2.0, 4.0):
        assert breaker.start() == pause
        clock.move(pause)
        assert (breaker.start(), breaker.start()) == (PROBE, LOOK)
        assert breaker.finish(PROBE, 1, DOWN) is None

    clock.move(8.0)
    assert breaker.start() == PROBE
    assert breaker.finish(PROBE, 1, SLOW) is None
    assert (breaker.is_open, breaker.start()) == (False, FREE)


def test_a_probe_that_was_not_sent_is_left_to_another(breaker: CircuitBreaker, clock: MovedClock) -> None:
    """A worker that gives up on its way to probe does not keep the others from it."""
    down(breaker)
    clock.move(1.0)
    breaker.start()
    breaker.cancel(PROBE)

    assert breaker.start() == PROBE


def test_an_answer_from_before_the_outage_ends_it(breaker: CircuitBreaker) -> None:
    """A request that was under way when the others failed, and is answered, shows that the platform is there."""
    breaker.finish(ALONE, 1, DONE)
    down(breaker)
    breaker.finish(FREE, 9, DONE)

    assert breaker.start() == FREE


def test_the_last_probe_comes_at_the_limit(clock: MovedClock) -> None:
    """The pauses end with the outage limit, and the probe that is in vain then stops the run."""
    breaker = CircuitBreaker(clock, 10.0)
    down(breaker)
    for row, pause in enumerate((1.0, 2.0, 4.0, 3.0), 10):
        assert breaker.start() == pause
        clock.move(pause)
        assert breaker.start() == PROBE
        halt = breaker.finish(PROBE, row, DOWN)

    assert halt == Halt(
        "platform_down",
        "the platform has not answered as it should for 10 s (last: timeout, no answer); if it is up, check the "
        "account's ids and keys; then resume the run",
    )


def test_pauses_have_an_end(clock: MovedClock) -> None:
    """However long the outage a probe goes out once a minute."""
    breaker = CircuitBreaker(clock, 1e6)
    down(breaker)
    for _ in range(12):
        pause = breaker.start()
        assert isinstance(pause, float)
        clock.move(pause)
        breaker.start()
        breaker.finish(PROBE, 1, DOWN)

    assert breaker.start() == 60.0


def test_only_a_failed_probe_makes_the_pause_longer(breaker: CircuitBreaker, clock: MovedClock) -> None:
    """Requests that were under way when the circuit opened fail without a longer pause."""
    breaker.finish(ALONE, 1, DONE)
    down(breaker)
    for row in range(4, 20):
        assert breaker.finish(FREE, row, DOWN) is None

    assert breaker.start() == 1.0
    clock.move(1.0)
    assert breaker.start() == PROBE
    breaker.finish(PROBE, 20, DOWN)
    assert breaker.start() == 2.0


def test_what_the_platform_asks_to_wait_is_waited(breaker: CircuitBreaker) -> None:
    """A failed answer with Retry-After is not followed by a probe before that time."""
    for row in (1, 2, 3, 1):
        breaker.finish(FREE, row, DOWN)
    breaker.finish(FREE, 2, replace(DOWN, wait_seconds=30.0))

    assert breaker.start() == 30.0


def answered_beside(breaker: CircuitBreaker, rows: range, answers: int) -> None:
    """Let rows fail, and then others be answered."""
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
    """Once three answers to others came after a row's first failure, its failures say nothing of the platform."""
    answered_beside(breaker, range(1, 4), answers)
    down(breaker)

    assert breaker.is_open is is_open


def test_a_probe_of_a_row_at_fault_leaves_the_pause_as_it_is(breaker: CircuitBreaker, clock: MovedClock) -> None:
    """A row that fails by itself does not lengthen an outage that it can tell nothing of."""
    answered_beside(breaker, range(1, 2), 3)
    for row in (2, 3, 4, 2, 3):
        breaker.finish(FREE, row, DOWN)
    for _ in range(3):
        assert breaker.start() == 1.0
        clock.move(1.0)
        assert breaker.start() == PROBE
        assert breaker.finish(PROBE, 1, DOWN) is None


def test_a_row_that_ended_is_forgotten(breaker: CircuitBreaker) -> None:
    """A row that comes again in a later lane is judged afresh."""
    answered_beside(breaker, range(1, 4), 3)
    for row in (1, 2, 3):
        breaker.forget(row)
    down(breaker)

    assert breaker.is_open


def test_a_platform_that_throttles_everything_stops_the_run(breaker: CircuitBreaker, clock: MovedClock) -> None:
    """When each request was throttled for the outage limit, another program probably uses the quota."""
    assert breaker.finish(ALONE, 1, SLOW) is None
    clock.move(299.0)
    assert breaker.finish(ALONE, 2, SLOW) is None
    clock.move(1.0)

    assert breaker.finish(ALONE, 3, SLOW) == Halt(
        "always_throttled",
        "the platform throttled every request for 300 s; another program may use the quota of this merchant: stop it "
        "or lower `rate`, then resume the run",
    )


@pytest.mark.parametrize("between", [DONE, DOWN, Refused("X", "")])
def test_another_answer_ends_the_throttling(breaker: CircuitBreaker, clock: MovedClock, between: Verdict) -> None:
    """One request that was not throttled begins the time anew."""
    breaker.finish(ALONE, 1, SLOW)
    clock.move(299.0)
    breaker.finish(ALONE, 2, between)
    breaker.finish(ALONE, 3, SLOW)
    clock.move(299.0)

    assert breaker.finish(ALONE, 3, SLOW) is None


def test_rows_that_failed_before_are_probed_with_more_often(clock: MovedClock) -> None:
    """Where no other row is left the pause stays at a fiftieth of the limit: the rows use up their attempts."""
    breaker = CircuitBreaker(clock, 300.0)
    down(breaker)
    pauses = []
    for _ in range(5):
        pauses.append(breaker.start())
        clock.move(60.0)
        breaker.start()
        breaker.finish(PROBE, 1, DOWN)

    assert pauses == [1.0, 2.0, 4.0, 6.0, 6.0]
