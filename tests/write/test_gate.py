"""The gate: one at a time until the platform knows us, and while it is down."""

import pytest

from pipeline.write.gate import Gate, Pass, proves_acceptance
from pipeline.write.verdict import Halt, Open, Refused, Succeeded, TryAgain, Verdict
from tests.moved_clock import MovedClock

DONE = Succeeded("SUCCESS")
DOWN = TryAgain("timeout", "no answer", may_have_acted=True, platform_down=True)
SLOW = TryAgain("http_429", "too many", may_have_acted=False, slow=True)

FREE = Pass(alone=False, probing=False)
ALONE = Pass(alone=True, probing=False)
PROBE = Pass(alone=True, probing=True)
LOOK = 0.02


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def gate(clock: MovedClock) -> Gate:
    """A gate at which nobody was yet."""
    return Gate(clock, 300.0)


def down(gate: Gate) -> None:
    """Let the platform be down: five signs from three rows."""
    for row in (1, 2, 3, 1, 2):
        gate.leave(FREE, row, DOWN)


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
def test_the_first_requests_go_alone_until_the_platform_knows_us(gate: Gate, verdict: Verdict, *, proves: bool) -> None:
    """Only an answer about the row itself opens the gate for all."""
    held = gate.enter()
    assert (held, gate.enter()) == (ALONE, LOOK)

    assert gate.leave(ALONE, 1, verdict) is None
    assert proves_acceptance(verdict) is proves
    assert gate.enter() == (FREE if proves else ALONE)


def test_a_pass_that_was_not_used_is_free_again(gate: Gate) -> None:
    """Who gives up before the request is sent lets the next one through."""
    gate.enter()
    gate.abandon(ALONE)

    assert gate.enter() == ALONE


def test_an_open_gate_stays_open(gate: Gate) -> None:
    """Once the platform knows us it is not asked again, whatever comes then."""
    gate.leave(ALONE, 1, DONE)
    gate.leave(FREE, 2, Halt("X", ""))

    assert [gate.enter(), gate.enter()] == [FREE, FREE]


@pytest.mark.parametrize(
    ("signs", "is_down"),
    [
        pytest.param([(1, DOWN), (2, DOWN), (3, DOWN), (1, DOWN)], False, id="four-signs"),
        pytest.param([(1, DOWN), (2, DOWN), (1, DOWN), (2, DOWN), (1, DOWN)], False, id="of-two-rows"),
        pytest.param([(1, DOWN), (2, DOWN), (3, DOWN), (1, DOWN), (2, DOWN)], True, id="five-signs-of-three-rows"),
        pytest.param([(1, DOWN), (2, DOWN), (3, DOWN), (1, DONE), (2, DOWN), (3, DOWN)], False, id="an-answer-between"),
        pytest.param([(1, DOWN), (2, DOWN), (3, DOWN), (1, SLOW), (2, DOWN), (3, DOWN)], False, id="throttled-between"),
    ],
)  # fmt: skip
def test_signs_of_an_outage_in_a_row_mean_one(gate: Gate, signs: list[tuple[int, Verdict]], *, is_down: bool) -> None:
    """Several requests of several rows without an answer, and none with one between, mean that the platform is down."""
    for row, verdict in signs:
        gate.leave(FREE, row, verdict)

    assert gate.is_down is is_down


def test_a_platform_that_is_down_is_probed_by_one(gate: Gate, clock: MovedClock) -> None:
    """Nobody goes before the pause is over, then one does and all others wait; each vain probe doubles the pause."""
    gate.leave(ALONE, 1, DONE)
    down(gate)
    for pause in (1.0, 2.0, 4.0):
        assert gate.enter() == pause
        clock.move(pause)
        assert (gate.enter(), gate.enter()) == (PROBE, LOOK)
        assert gate.leave(PROBE, 1, DOWN) is None

    clock.move(8.0)
    assert gate.enter() == PROBE
    assert gate.leave(PROBE, 1, SLOW) is None
    assert (gate.is_down, gate.enter()) == (False, FREE)


def test_a_probe_that_was_not_sent_is_left_to_another(gate: Gate, clock: MovedClock) -> None:
    """A worker that gives up on its way to probe does not keep the others from it."""
    down(gate)
    clock.move(1.0)
    gate.enter()
    gate.abandon(PROBE)

    assert gate.enter() == PROBE


def test_an_answer_from_before_the_outage_ends_it(gate: Gate) -> None:
    """A request that was under way when the others failed, and is answered, shows that the platform is there."""
    gate.leave(ALONE, 1, DONE)
    down(gate)
    gate.leave(FREE, 9, DONE)

    assert gate.enter() == FREE


def test_the_last_probe_comes_at_the_limit(clock: MovedClock) -> None:
    """The pauses end with the outage limit, and the probe that is in vain then stops the run."""
    gate = Gate(clock, 10.0)
    down(gate)
    for pause in (1.0, 2.0, 4.0, 3.0):
        assert gate.enter() == pause
        clock.move(pause)
        assert gate.enter() == PROBE
        halt = gate.leave(PROBE, 1, DOWN)

    assert halt == Halt(
        "platform_down",
        "the platform has not answered as it should for 10 s (last: timeout, no answer); if it is up, check the "
        "account's ids and keys; then resume the run",
    )


def test_pauses_have_an_end(clock: MovedClock) -> None:
    """However long the outage a probe goes out once a minute."""
    gate = Gate(clock, 1e6)
    down(gate)
    for _ in range(12):
        pause = gate.enter()
        assert isinstance(pause, float)
        clock.move(pause)
        gate.enter()
        gate.leave(PROBE, 1, DOWN)

    assert gate.enter() == 60.0
