"""Retries: the number of attempts, and the waits between them."""

from collections.abc import Sequence
from random import Random

import pytest

from pipeline.write.answers.verdict import Halt, Open, Refused, Succeeded, TryAgain, Verdict
from pipeline.write.retry import RetryPolicy, with_retries

DONE = Succeeded("SUCCESS")
LOST = TryAgain("timeout", "", may_have_acted=True)
THROTTLED = TryAgain("http_429", "", may_have_acted=False, slow=True, wait_seconds=7)
ONCE_MORE = TryAgain("EASY_MEMBER_CONSULT_FAIL", "", may_have_acted=False, tries=2, refused_at_last=True)


class LongestWaits(Random):
    """Randomness that always picks the longest wait."""

    def uniform(self, a: float, b: float) -> float:
        return b


def verdict_after(
    verdicts: Sequence[Verdict], policy: RetryPolicy, random: Random | None = None
) -> tuple[Verdict, int, list[float]]:
    """Return the last verdict, the number of attempts, and the waits between them."""
    answers, waits = iter(verdicts), list[float]()
    verdict = with_retries(lambda: next(answers), policy, sleep=waits.append, random=random or LongestWaits())
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
    """Only TryAgain is repeated, within the policy's attempts and its own tries. The last verdict is returned."""
    assert verdict_after(verdicts, RetryPolicy(max_attempts=4))[:2] == (last, made)


def test_the_window_doubles_up_to_the_cap() -> None:
    """The longest waits are base, twice the base and so on, up to the cap."""
    policy = RetryPolicy(max_attempts=7, base_seconds=0.5, cap_seconds=5)

    assert verdict_after([LOST] * 7, policy)[2] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_the_jitter_is_full_and_reproducible() -> None:
    """A wait is between 0 and the window; the same seed gives the same waits."""
    policy = RetryPolicy(max_attempts=2)
    waits = [verdict_after([LOST] * 2, policy, Random(seed))[2][0] for seed in range(200)]

    assert waits == [verdict_after([LOST] * 2, policy, Random(seed))[2][0] for seed in range(200)]
    assert 0.0 <= min(waits) < 0.05
    assert 0.45 < max(waits) <= 0.5


def test_retry_after_is_added_to_the_wait() -> None:
    """A request waits at least as long as Retry-After, each time it is given."""
    policy = RetryPolicy(max_attempts=4, base_seconds=1)

    assert verdict_after([THROTTLED, LOST, THROTTLED, DONE], policy)[2] == [7 + 1, 2, 7 + 4]


def test_one_attempt_has_no_wait() -> None:
    """A policy of one attempt does not wait after it."""
    assert verdict_after([LOST, DONE], RetryPolicy(max_attempts=1)) == (LOST, 1, [])


@pytest.mark.parametrize("raised", [RuntimeError, KeyboardInterrupt])
def test_an_exception_of_an_attempt_is_raised(raised: type[BaseException]) -> None:
    """An exception is not retried, and is raised unchanged."""
    calls: list[None] = []

    def attempt() -> Verdict:
        calls.append(None)
        raise raised

    with pytest.raises(raised):
        with_retries(attempt, RetryPolicy(5), sleep=lambda _: None, random=Random(1))
    assert len(calls) == 1
