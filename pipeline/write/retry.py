"""Retries of one request: how many attempts, and how long to wait between them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import cast

from tenacity import Future, RetryCallState, Retrying, retry_if_result
from tenacity.stop import stop_base
from tenacity.wait import wait_exponential

from pipeline.language import t
from pipeline.write.answers.verdict import TryAgain, Verdict

_log = logging.getLogger("backfill")


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

    It is repeated while it returns TryAgain, within `max_attempts` and the verdict's own `tries`. Exceptions of
    `attempt` are raised.

    The wait is the platform's Retry-After plus an exponential backoff with full jitter.
    """
    first = attempt()
    # Most deliveries end here. Building tenacity's objects for them would be a waste.
    return _retry(first, attempt, policy, sleep, random) if isinstance(first, TryAgain) else first


def _retry(
    first: TryAgain,
    attempt: Callable[[], Verdict],
    policy: RetryPolicy,
    sleep: Callable[[float], None],
    random: Random,
) -> Verdict:
    """Retry after a first attempt, which counts as one."""
    retrying = Retrying(
        sleep=sleep,
        retry=retry_if_result(lambda verdict: isinstance(verdict, TryAgain)),
        wait=_FullJitter(policy, random),
        stop=_StopAfter(policy.max_attempts),
        before_sleep=_log_retry,
        retry_error_callback=_last_verdict,
    )
    made: list[Verdict] = [first]
    return retrying(lambda: made.pop() if made else attempt())


class _FullJitter(wait_exponential):
    """
    Random wait between 0 and the window, plus Retry-After, so that callers do not come back at the same moment.

    Like tenacity's wait_random_exponential, with a given source of randomness.
    """

    def __init__(self, policy: RetryPolicy, random: Random) -> None:
        super().__init__(multiplier=policy.base_seconds, max=policy.cap_seconds)
        self._random = random

    def __call__(self, retry_state: RetryCallState) -> float:
        verdict = _last_verdict(retry_state)
        wanted = verdict.wait_seconds if isinstance(verdict, TryAgain) else None
        return (wanted or 0.0) + self._random.uniform(0.0, super().__call__(retry_state))


class _StopAfter(stop_base):
    """
    Stops after `max_attempts`, or once a verdict came back `tries` times.

    Tries are counted by the verdict's code: earlier attempts under another code do not count.
    """

    def __init__(self, max_attempts: int) -> None:
        self._max_attempts = max_attempts
        self._tries: dict[str, int] = {}

    def __call__(self, retry_state: RetryCallState) -> bool:
        verdict = _last_verdict(retry_state)
        tries = self._tries[verdict.code] = self._tries.get(verdict.code, 0) + 1
        is_used_up = isinstance(verdict, TryAgain) and verdict.tries is not None and tries >= verdict.tries
        return is_used_up or retry_state.attempt_number >= self._max_attempts


def _log_retry(state: RetryCallState) -> None:
    code, seconds = cast("TryAgain", _last_verdict(state)).code, state.upcoming_sleep
    _log.debug(
        t("attempt {attempt} ended with {code}; the next one in {seconds:.1f} s", attempt=state.attempt_number,
              code=code, seconds=seconds),
        extra={"event": "retry", "attempt": state.attempt_number, "code": code, "wait_s": round(seconds, 3)},
    )  # fmt: skip


def _last_verdict(retry_state: RetryCallState) -> Verdict:
    """Return the verdict of the latest attempt. Tenacity calls this only after an attempt."""
    outcome = cast("Future", retry_state.outcome)
    return cast("Verdict", outcome.result())
