"""Retries of one request: how many attempts, and how long to wait between them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from pipeline.write.answers.verdict import TryAgain, Verdict


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    Limits of the attempts for one delivery.

    Waits are random within a window. The window starts at `base_seconds`, doubles with each attempt, and stops growing
    at `cap_seconds`.
    """

    max_attempts: int
    base_seconds: float = 0.5
    cap_seconds: float = 30.0

    def after(self, attempts: int) -> "RetryPolicy":
        """Return the policy for a delivery after this many attempts; at least one attempt is left."""
        return replace(self, max_attempts=max(1, self.max_attempts - attempts))


def with_retries(
    attempt: Callable[[], Verdict], policy: RetryPolicy, *, sleep: Callable[[float], None], random: Random
) -> Verdict:
    """
    Call `attempt` until its verdict is final or the attempts are used up; return the last verdict.

    It is repeated while it returns TryAgain, within `max_attempts` and the verdict's own `tries`. Tries are counted by
    the verdict's code: earlier attempts under another code do not count. Exceptions of `attempt` are raised.

    The wait is the platform's Retry-After plus an exponential backoff with full jitter.
    """
    tries: Counter[str] = Counter()
    window = policy.base_seconds
    while isinstance(verdict := attempt(), TryAgain):
        tries[verdict.code] += 1
        if tries.total() >= policy.max_attempts or tries[verdict.code] >= (verdict.tries or policy.max_attempts):
            break
        sleep((verdict.wait_seconds or 0.0) + random.uniform(0.0, window))
        window = min(2 * window, policy.cap_seconds)
    return verdict
