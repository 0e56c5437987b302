"""One delivery under way: attempts, each with a permit and a signature of its own, until a verdict stands."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from pipeline.clock import Clock
from pipeline.ledger.records import Due, Settlement
from pipeline.limits.permits import Permit
from pipeline.model import Api, Lost, Opened, Reply, RoundTrip
from pipeline.write.answers.answer_content import trace_id
from pipeline.write.answers.diagnosis import names_request
from pipeline.write.answers.judge import judge
from pipeline.write.answers.sent_request import sent_request_of
from pipeline.write.answers.verdict import Halt, TryAgain, Verdict
from pipeline.write.brakes.circuit_breaker import CircuitBreaker, Clearance
from pipeline.write.brakes.run_control import Drained, Ending, RunControl
from pipeline.write.brakes.verdict_watch import FailureStreaks
from pipeline.write.keys import Keys
from pipeline.write.ports import Signer, Transport
from pipeline.write.retry import RetryPolicy, carry
from pipeline.write.settlement import History, cut_short, settle


class Quota(Protocol):
    """What the writer asks of the quota."""

    def take(self, check_running: Callable[[], None]) -> Permit:
        """Wait for the right to start one attempt."""
        ...

    def give_back(self, permit: Permit, round_trip: RoundTrip | None) -> None:
        """Say that the answer is here, and how the request travelled; None says that no answer will come."""
        ...

    def slow_down(self, wait_seconds: float | None) -> None:
        """Slow the whole quota down."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What deliveries of one run are carried out with; all of it is shared by the workers."""

    api: Api
    signer: Signer
    transport: Transport
    quota: Quota
    control: RunControl
    breaker: CircuitBreaker
    streaks: FailureStreaks
    keys: Keys
    policy: RetryPolicy
    clock: Clock
    chance: random.Random


class Delivery:
    """
    Carries one due, whose intent is on disk, to a settlement.

    `keep_job` is asked before each attempt and raises where the run may not send any more.
    """

    def __init__(self, means: Means, due: Due, history: History, keep_job: Callable[[], None]) -> None:
        self._means = means
        self._due = due
        self._history = history
        self._keep_job = keep_job
        self._has_failed = False
        self._sent = sent_request_of(means.api, due.request_key, due.body)

    def carry_out(self) -> Settlement | None:
        """
        Attempt until a verdict stands, the attempts are used up, or the run ends; return how the delivery ended.

        None says that it was deferred: the circuit breaker is open, and another row is to probe. Call it again later,
        and it goes on with the attempts that are left.
        """
        means, control = self._means, self._means.control
        self._has_failed = False
        policy = means.policy.after(self._history.attempts)
        try:
            verdict = carry(self._attempt, policy, sleep=means.clock.sleep, random=means.chance)
        except Drained:
            history = self._history.after_halt(control.halt_code)
            return cut_short(history, control.ending or Ending.INTERRUPTED, control.reason or "")
        except _Deferred:
            return None
        means.breaker.forget(self._due.due_no)
        halt = verdict if isinstance(verdict, Halt) else means.streaks.settled(verdict)
        if halt is not None:
            control.drain(Ending.STOPPED, halt.text, halt_code=halt.code)
        return settle(self._history, verdict)

    def _attempt(self) -> Verdict:
        self._defer_if_failed()
        clearance = self._clearance()
        verdict = self._send(clearance)
        self._has_failed = isinstance(verdict, TryAgain) and verdict.platform_down
        if self._history.attempts < self._means.policy.max_attempts:
            self._defer_if_failed()
        return verdict

    def _defer_if_failed(self) -> None:
        """Make way for another row where this one has just failed and the platform seems to be down."""
        if self._has_failed and self._means.breaker.is_open:
            raise _Deferred

    def _clearance(self) -> Clearance:
        """Wait for the right to make one attempt."""
        while True:
            self._means.control.check_running()
            clearance = self._means.breaker.start()
            if isinstance(clearance, Clearance):
                return clearance
            self._means.clock.sleep(clearance)

    def _send(self, clearance: Clearance) -> Verdict:
        means = self._means
        try:
            means.keys.refresh_if_due()
            answer, opened, at = self._exchange()
        except Drained:
            means.breaker.cancel(clearance)
            raise
        history = self._history
        verdict = judge(self._sent, answer, opened, doubt=history.doubt, at=at, unconfirmed=history.unconfirmed)
        self._history = history.after(verdict)
        if isinstance(verdict, TryAgain) and verdict.slow:
            means.quota.slow_down(verdict.wait_seconds)
        refused = means.keys.refresh_for(verdict, answer, opened)
        outage = means.breaker.finish(clearance, self._due.due_no, verdict)
        if 1 < self._history.attempts >= means.policy.max_attempts:
            # The row may be at fault, and ends by itself: the next row's probe shows whether the platform is.
            outage = None
        halt = outage or means.streaks.attempted(self._due.due_no, verdict) or refused
        return verdict if halt is None else halt

    def _exchange(self) -> tuple[Reply | Lost, Opened | None, datetime]:
        """Send the request once and open what comes back; return when that was as well."""
        means = self._means
        turn = _Turn(means.quota, means.clock, self._check_running)
        sent_at, started = means.clock.now(), means.clock.steady()
        request = means.signer.sign(self._due.body, at=sent_at, nonce=f"{means.chance.getrandbits(128):032x}")
        answer = means.transport.send(request, turn.depart, fresh=self._needs_fresh_connection())
        seconds, at = means.clock.steady() - started, means.clock.now()
        opened = means.signer.open(answer, at=at) if isinstance(answer, Reply) else None
        # An answer to another request says nothing of when the platform sees this one.
        is_own = isinstance(answer, Reply) and (answer.is_fresh or names_request(self._sent, opened))
        means.quota.give_back(turn.permit, answer.round_trip if isinstance(answer, Reply) and is_own else None)
        self._note(answer, opened, sent_at, at, seconds)
        return answer, opened, at

    def _needs_fresh_connection(self) -> bool:
        """Return whether an answer over a kept connection would not do, or could not be confirmed."""
        return not self._sent.is_echoed or self._history.attempts > 0 or self._means.policy.max_attempts == 1

    def _check_running(self) -> None:
        self._means.control.check_running()
        # Whoever took the job may have sent something newer: what waited here must not undo that.
        self._keep_job()

    def _note(
        self, answer: Reply | Lost, opened: Opened | None, sent_at: datetime, at: datetime, seconds: float
    ) -> None:
        history, reply = self._history, answer if isinstance(answer, Reply) else None
        content = opened.content if opened else None
        self._history = replace(
            history,
            seen=history.seen or reply is not None,
            attempts=history.attempts + 1,
            first_sent_at=history.first_sent_at or timestamp(sent_at),
            finished_at=timestamp(at),
            latency_ms=round(seconds * 1000),
            http_status=reply.status if reply else None,
            trace_id=trace_id(self._means.api, reply, self._sent.private, content=content) if reply else None,
        )


class _Deferred(Exception):
    """Another row is to make the next attempt."""


class _Turn:
    """The permit of one attempt, which may grow old while the connection comes about."""

    def __init__(self, quota: Quota, clock: Clock, check_running: Callable[[], None]) -> None:
        self._quota = quota
        self._clock = clock
        self._check_running = check_running
        self.permit = quota.take(check_running)

    def depart(self) -> None:
        """
        Make sure of a permit that is good now, when the first byte is about to leave.

        A permit that was held up goes back unused and another is waited for: connections that hung and then stand all
        at once would exceed the quota together.
        """
        while self._clock.steady() > self.permit.leave_by:
            self._quota.give_back(self.permit, RoundTrip())
            self.permit = self._quota.take(self._check_running)


def timestamp(at: datetime) -> str:
    """Return a moment as reports show it: UTC, ISO 8601, milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
