"""The delivery of one due: repeat attempts until a verdict is final. Each attempt has its own permit and signature."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pipeline.clock import Clock
from pipeline.ledger.records import Due, Settlement
from pipeline.model import Api, Lost, Opened, Reply
from pipeline.write.answers.answer_content import trace_id
from pipeline.write.answers.diagnosis import names_request
from pipeline.write.answers.judge import judge
from pipeline.write.answers.sent_request import sent_request_of
from pipeline.write.answers.verdict import Halt, TryAgain, Verdict
from pipeline.write.attempt import AttemptPermit, Quota, wait_for_clearance
from pipeline.write.brakes.circuit_breaker import CircuitBreaker, Clearance
from pipeline.write.brakes.failure_streaks import FailureStreaks
from pipeline.write.brakes.run_control import Drained, Ending, RunControl
from pipeline.write.keys import Keys
from pipeline.write.ports import Signer, Transport
from pipeline.write.retry import RetryPolicy, with_retries
from pipeline.write.settlement import DeliveryHistory, cut_short, settle


@dataclass(frozen=True, slots=True)
class Services:
    """The services that all deliveries of a run share; `brand_id` is that of a brand's own account."""

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
    brand_id: str | None = None


class Delivery:
    """
    Delivers one due, whose intent is durable.

    `keep_job` is called before each attempt. It raises LedgerError if the run may not send any more.
    """

    def __init__(self, services: Services, due: Due, history: DeliveryHistory, keep_job: Callable[[], None]) -> None:
        self._services = services
        self._due = due
        self._history = history
        self._keep_job = keep_job
        self._has_failed = False
        self._sent = sent_request_of(services.api, due.request_key, due.body, services.brand_id)

    def carry_out(self) -> Settlement | None:
        """
        Attempt until a verdict is final, the attempts are used up, or the run ends. Return the settlement.

        Return None if the delivery is deferred: the circuit breaker is open, and another row probes. Call again later
        to continue with the attempts that are left.
        """
        services, control = self._services, self._services.control
        self._has_failed = False
        policy = services.policy.after(self._history.attempts)
        try:
            verdict = with_retries(self._attempt, policy, sleep=services.clock.sleep, random=services.chance)
        except Drained:
            history = self._history.after_halt(control.halt_code)
            return cut_short(history, control.ending or Ending.INTERRUPTED, control.reason or "")
        except _Deferred:
            return None
        services.breaker.forget(self._due.due_no)
        services.streaks.forget(self._due.due_no)
        halt = verdict if isinstance(verdict, Halt) else services.streaks.settled(verdict)
        if halt is not None:
            control.drain(Ending.STOPPED, halt.text, halt_code=halt.code)
        return settle(self._history, verdict)

    def _attempt(self) -> Verdict:
        self._defer_if_failed()
        services = self._services
        clearance = wait_for_clearance(
            services.breaker, self._due.due_no, services.clock, services.control.check_running
        )
        verdict = self._send(clearance)
        self._has_failed = isinstance(verdict, TryAgain) and verdict.platform_down
        if self._history.attempts < self._services.policy.max_attempts:
            self._defer_if_failed()
        return verdict

    def _defer_if_failed(self) -> None:
        """Let another row probe if this one has just failed and the circuit is open."""
        if self._has_failed and self._services.breaker.is_open:
            raise _Deferred

    def _send(self, clearance: Clearance) -> Verdict:
        services = self._services
        try:
            services.keys.refresh_if_due()
            answer, opened, at = self._exchange()
        except Drained:
            services.breaker.cancel(clearance)
            raise
        services.keys.note(opened)
        history = self._history
        verdict = judge(self._sent, answer, opened, doubt=history.doubt, at=at, unconfirmed=history.unconfirmed)
        self._history = history.after(verdict)
        is_throttled = isinstance(verdict, TryAgain) and verdict.slow
        services.control.count_attempt(is_retry=self._history.attempts > 1, is_throttled=is_throttled)
        if isinstance(verdict, TryAgain) and verdict.slow:
            services.quota.slow_down(verdict.wait_seconds)
        refused = services.keys.refresh_for(verdict, answer, opened)
        outage = services.breaker.finish(clearance, self._due.due_no, verdict)
        if 1 < self._history.attempts >= services.policy.max_attempts:
            # The row itself may be at fault. It ends here, and the probe of the next row shows if the platform is down.
            outage = None
        halt = outage or services.streaks.attempted(self._due.due_no, verdict) or refused
        return verdict if halt is None else halt

    def _exchange(self) -> tuple[Reply | Lost, Opened | None, datetime]:
        """Send the request once, and open the answer. Return both, with the time of the answer."""
        services = self._services
        current = AttemptPermit(services.quota, services.clock, self._check_running)
        sent_at, started = services.clock.now(), services.clock.steady()
        request = services.signer.sign(self._due.body, at=sent_at, nonce=f"{services.chance.getrandbits(128):032x}")
        answer = services.transport.send(request, current.depart, fresh=self._needs_fresh_connection())
        seconds, at = services.clock.steady() - started, services.clock.now()
        opened = services.signer.open(answer, at=at) if isinstance(answer, Reply) else None
        # The answer to another request has no timing of this one.
        own = answer if isinstance(answer, Reply) and (answer.is_fresh or names_request(self._sent, opened)) else None
        services.quota.give_back(current.permit, own.round_trip if own else None)
        self._record(answer, opened, sent_at, at, seconds)
        return answer, opened, at

    def _needs_fresh_connection(self) -> bool:
        """Return whether only an answer over a fresh connection can count."""
        return not self._sent.is_echoed or self._history.attempts > 0 or self._services.policy.max_attempts == 1

    def _check_running(self) -> None:
        self._services.control.check_running()
        # The new owner of the job may have sent a newer balance or state, which this request would undo.
        self._keep_job()

    def _record(
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
            trace_id=trace_id(self._services.api, reply, self._sent.private, content=content) if reply else None,
        )


class _Deferred(Exception):
    """Another row makes the next attempt."""


def timestamp(at: datetime) -> str:
    """Return a time as reports show it: UTC, ISO 8601, milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
