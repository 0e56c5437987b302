"""How often, and how long apart, the same request goes out again."""

from collections.abc import Sequence
from random import Random

import pytest

from pipeline.write.answers.verdict import Halt, Open, Refused, Succeeded, TryAgain, Verdict
from pipeline.write.retry import RetryPolicy, carry

DONE = Succeeded("SUCCESS")
LOST = TryAgain("timeout", "", may_have_acted=True)
THROTTLED = TryAgain("http_429", "", may_have_acted=False, slow=True, wait_seconds=7)
ONCE_MORE = TryAgain("EASY_MEMBER_CONSULT_FAIL", "", may_have_acted=False, tries=2, refused_at_last=True)


class Highest(Random):
    """Chance that always takes the far end."""

    def uniform(self, a: float, b: float) -> float:
        return b


def carried(
    verdicts: Sequence[Verdict], policy: RetryPolicy, random: Random | None = None
) -> tuple[Verdict, int, list[float]]:
    """Return the last verdict, how many attempts were made, and the waits between them."""
    answers, waits = iter(verdicts), list[float]()
    verdict = carry(lambda: next(answers), policy, sleep=waits.append, random=random or Highest())
    return verdict, len(verdicts) - len(list(answers)), waits


@pytest.mark.parametrize(
    ("verdicts", "last", "made"),
    [
        pytest.param([DONE, LOST], DONE, 1, id="a-success-ends-it"),
        pytest.param([LOST, LOST, DONE, LOST], DONE, 3, id="a-success-at-last"),
        pytest.param([Refused("X", ""), LOST], Refused("X", ""), 1, id="a-refusal-ends-it"),
        pytest.param([LOST, Open("X", ""), LOST], Open("X", ""), 2, id="an-open-row-ends-it"),
        pytest.param([LOST, Halt("X", ""), LOST], Halt("X", ""), 2, id="a-halt-ends-it"),
        pytest.param([LOST] * 9, LOST, 4, id="the-most-attempts"),
        pytest.param([ONCE_MORE] * 9, ONCE_MORE, 2, id="the-verdicts-own-tries"),
        pytest.param([LOST, THROTTLED, ONCE_MORE, DONE], DONE, 4, id="tries-are-counted-by-code"),
        pytest.param([ONCE_MORE, LOST, ONCE_MORE, DONE], ONCE_MORE, 3, id="also-with-others-between"),
    ],
)
def test_attempts_end_with_the_last_verdict(verdicts: list[Verdict], last: Verdict, made: int) -> None:
    """Only TryAgain goes out again, within the most attempts and its own tries; the last verdict comes back."""
    assert carried(verdicts, RetryPolicy(max_attempts=4))[:2] == (last, made)


def test_the_window_doubles_up_to_the_cap() -> None:
    """At most base, twice the base and so on are waited, and never more than the cap."""
    policy = RetryPolicy(max_attempts=7, base_seconds=0.5, cap_seconds=5)

    assert carried([LOST] * 7, policy)[2] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_the_jitter_is_full_and_comes_from_outside() -> None:
    """A wait is anything between nothing and the window, and the same chance gives the same waits."""
    policy = RetryPolicy(max_attempts=2)
    waits = [carried([LOST] * 2, policy, Random(seed))[2][0] for seed in range(200)]

    assert waits == [carried([LOST] * 2, policy, Random(seed))[2][0] for seed in range(200)]
    assert 0.0 <= min(waits) < 0.05
    assert 0.45 < max(waits) <= 0.5


def test_the_platforms_own_wait_is_kept() -> None:
    """After Retry-After the request waits at least that long, each time that it is told so."""
    policy = RetryPolicy(max_attempts=4, base_seconds=1)

    assert carried([THROTTLED, LOST, THROTTLED, DONE], policy)[2] == [7 + 1, 2, 7 + 4]


def test_with_one_attempt_nothing_is_waited_for() -> None:
    """A policy of one attempt makes one, and does not sleep after it."""
    assert carried([LOST, DONE], RetryPolicy(max_attempts=1)) == (LOST, 1, [])


@pytest.mark.parametrize("raised", [RuntimeError, KeyboardInterrupt])
def test_what_an_attempt_raises_goes_through(raised: type[BaseException]) -> None:
    """An exception is no verdict: it is not tried again, and reaches the caller as it is."""
    calls: list[None] = []

    def attempt() -> Verdict:
        calls.append(None)
        raise raised

    with pytest.raises(raised):
        carry(attempt, RetryPolicy(5), sleep=lambda _: None, random=Random(1))
    assert len(calls) == 1
