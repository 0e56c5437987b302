"""How often, and how long apart, the same request goes out again."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import cast

from tenacity import Future, RetryCallState, Retrying, retry_if_result
from tenacity.stop import stop_base
from tenacity.wait import wait_exponential

from pipeline.write.answers.verdict import TryAgain, Verdict


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    How patient a job is: attempts for one delivery at most, and the window of the waits between them.

    The window opens at `base_seconds`, doubles each time, and stays at `cap_seconds`.
    """

    max_attempts: int
    base_seconds: float = 0.5
    cap_seconds: float = 30.0

    def after(self, attempts: int) -> "RetryPolicy":
        """Return the policy for a delivery that has made this many attempts; one more is always left."""
        return replace(self, max_attempts=max(1, self.max_attempts - attempts))


def carry(
    attempt: Callable[[], Verdict], policy: RetryPolicy, *, sleep: Callable[[float], None], random: Random
) -> Verdict:
    """
    Carry one delivery through its attempts; return the last verdict.

    `attempt` is called again while it returns TryAgain, within `max_attempts` and the verdict's own `tries`; what it
    raises goes through. The waits are exponential with full jitter, on top of what the platform asks for.
    """
    first = attempt()
    # Most deliveries end here, and what counts their attempts need not be made.
    return _carry_on(first, attempt, policy, sleep, random) if isinstance(first, TryAgain) else first


def _carry_on(
    first: TryAgain,
    attempt: Callable[[], Verdict],
    policy: RetryPolicy,
    sleep: Callable[[float], None],
    random: Random,
) -> Verdict:
    """Go on after a first attempt, which counts as one."""
    retrying = Retrying(
        sleep=sleep,
        retry=retry_if_result(lambda verdict: isinstance(verdict, TryAgain)),
        wait=_FullJitter(policy, random),
        stop=_Patience(policy.max_attempts),
        retry_error_callback=_last_verdict,
    )
    made: list[Verdict] = [first]
    return retrying(lambda: made.pop() if made else attempt())


class _FullJitter(wait_exponential):
    """
    Anything from nothing to the window, so that many callers do not come back at once; after what Retry-After says.

    As tenacity's wait_random_exponential, with chance from outside.
    """

    def __init__(self, policy: RetryPolicy, random: Random) -> None:
        super().__init__(multiplier=policy.base_seconds, max=policy.cap_seconds)
        self._random = random

    def __call__(self, retry_state: RetryCallState) -> float:
        verdict = _last_verdict(retry_state)
        asked = verdict.wait_seconds if isinstance(verdict, TryAgain) else None
        return (asked or 0.0) + self._random.uniform(0.0, super().__call__(retry_state))


class _Patience(stop_base):
    """
    Ends at the most attempts, or once a verdict has come back as often as it allows.

    A verdict's own tries are counted by its code: two throttled attempts before it leave them untouched.
    """

    def __init__(self, max_attempts: int) -> None:
        self._max_attempts = max_attempts
        self._tries: dict[str, int] = {}

    def __call__(self, retry_state: RetryCallState) -> bool:
        verdict = _last_verdict(retry_state)
        tries = self._tries[verdict.code] = self._tries.get(verdict.code, 0) + 1
        is_used_up = isinstance(verdict, TryAgain) and verdict.tries is not None and tries >= verdict.tries
        return is_used_up or retry_state.attempt_number >= self._max_attempts


def _last_verdict(retry_state: RetryCallState) -> Verdict:
    """Return what the latest attempt returned; tenacity asks only once there is one."""
    outcome = cast("Future", retry_state.outcome)
    return cast("Verdict", outcome.result())
