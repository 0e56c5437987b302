"""One query of the platform: attempts with permits, clearances and retries, as for sending."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

from pipeline.model import Lost, Opened, Reply, SignedRequest
from pipeline.write.answers.answer_content import parse_answer
from pipeline.write.answers.judge import judge
from pipeline.write.answers.sent_request import SentRequest
from pipeline.write.answers.verdict import Halt, Succeeded, TryAgain, Verdict
from pipeline.write.attempt import AttemptPermit, wait_for_clearance
from pipeline.write.brakes.run_control import Drained, Ending
from pipeline.write.delivery import Services
from pipeline.write.retry import with_retries


class QuerySigner(Protocol):
    """Signs any call of Alipay v3, and opens its answer; see `AlipayV3`."""

    def sign_call(self, method: str, target: str, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:
        """Return the signed request; `target` is path and query as sent."""
        ...

    def open(self, reply: Reply, *, at: datetime) -> Opened:
        """Verify the answer's signature, and decrypt its content. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class NotAnswered:
    """A query without a usable answer: code, and the platform's message as far as it may be shown."""

    code: str
    message: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code


class Queries:
    """
    Asks the platform. Thread-safe. A query changes nothing there, so it may be repeated freely.

    `keep_job` is called before each attempt. It raises LedgerError if the run may not send any more.
    """

    def __init__(self, services: Services, signer: QuerySigner, keep_job: Callable[[], None]) -> None:
        self._services = services
        self._signer = signer
        self._keep_job = keep_job

    def ask(self, target: str, sent: SentRequest, number: int) -> bytes | NotAnswered:
        """
        Return the verified content of the answer to a GET, or why there is none.

        `sent` has what a true answer repeats. `number` names the question for the circuit breaker. Raises Drained if
        the run ends; a refused caller and an outage end it.
        """
        services = self._services
        answers: list[Opened | None] = []
        attempt = partial(self._attempt, target, sent, number, answers)
        verdict = with_retries(attempt, services.policy, sleep=services.clock.sleep, random=services.chance)
        services.breaker.forget(number)
        services.streaks.forget(number)
        content = answers[-1].content if answers[-1] else None
        match verdict:
            case Succeeded() if content is not None:
                return content
            case Halt(code, text):
                services.control.drain(Ending.STOPPED, f"{code}: {text}", halt_code=code)
                raise Drained
            case _:
                found = parse_answer(services.api, content, sent.private)
                return NotAnswered(verdict.code, found.message if found else "")

    def _attempt(self, target: str, sent: SentRequest, number: int, answers: list[Opened | None]) -> Verdict:
        services = self._services
        clearance = wait_for_clearance(services.breaker, number, services.clock, services.control.check_running)
        try:
            answer, opened, at = self._exchange(target)
        except Drained:
            services.breaker.cancel(clearance)
            raise
        answers.append(opened)
        verdict = judge(sent, answer, opened, doubt=False, at=at)
        if isinstance(verdict, TryAgain) and verdict.slow:
            services.quota.slow_down(verdict.wait_seconds)
        halt = services.breaker.finish(clearance, number, verdict) or services.streaks.attempted(number, verdict)
        return verdict if halt is None else halt

    def _exchange(self, target: str) -> tuple[Reply | Lost, Opened | None, datetime]:
        """Send the query once, over a fresh connection, so that no other answer can come in its place."""
        services = self._services
        current = AttemptPermit(services.quota, services.clock, self._check_running)
        nonce = f"{services.chance.getrandbits(128):032x}"
        request = self._signer.sign_call("GET", target, b"", at=services.clock.now(), nonce=nonce)
        answer = services.transport.send(request, current.depart, fresh=True)
        at = services.clock.now()
        opened = self._signer.open(answer, at=at) if isinstance(answer, Reply) else None
        services.quota.give_back(current.permit, answer.round_trip if isinstance(answer, Reply) else None)
        return answer, opened, at

    def _check_running(self) -> None:
        self._services.control.check_running()
        self._keep_job()
