"""The way of one request through the simulated platforms."""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.clock import Clock
from pipeline.simulator.api import PlatformApi
from pipeline.simulator.apis import alipay_v3, gateway, wechatpay
from pipeline.simulator.apis.fields import text
from pipeline.simulator.false_answers import followed, instead, retry_after
from pipeline.simulator.faults.answer_signature import Fresh
from pipeline.simulator.faults.fault import InjectedFault, Kind, When
from pipeline.simulator.faults.fault_injector import FaultInjector, Struck
from pipeline.simulator.http.messages import Answer, Call, Cut, Followed, Reply, Silence
from pipeline.simulator.identities import Identities
from pipeline.simulator.ruling import Admission, Api, Claim, Decision, Refusal, Ruling
from pipeline.simulator.state.journal import Entry, Journal, card_digest
from pipeline.simulator.state.memory import Memory
from pipeline.simulator.state.quota import Quota


class Platform:
    """
    The three APIs behind one door. Thread-safe.

    A request is struck by faults, admitted, decided and answered. Deciding and its journal entry are one step, so
    the journal's order is the order of applying; and they come before the answer's first byte.
    """

    def __init__(
        self,
        identities: Identities,
        *,
        faults: Sequence[InjectedFault],
        limits: Mapping[str, int],
        clock: Clock,
        seed: int,
        journal_path: Path | None,
    ) -> None:
        self.journal = Journal(journal_path)
        self._identities = identities
        self._faults = tuple(faults)
        self._limits = limits
        self._clock = clock
        self._seed = seed
        self._turn = threading.Lock()
        self._fault_injector = FaultInjector(faults, seed=seed, at=clock.steady())
        self._start_over()

    def set_faults(self, faults: Sequence[InjectedFault]) -> None:
        """Replace the faults in force. Raises SettingsError for one that makes no sense."""
        self._fault_injector.change(faults, at=self._clock.steady())

    def reset(self) -> None:
        """Forget every request, key, nonce and arrival, and go back to the faults of the start."""
        with self._turn:
            self._start_over()
            self.journal.clear()
        self.set_faults(self._faults)

    def receive(self, call: Call) -> Answer:
        """Carry one request to its answer."""
        route = self._routes.get(call.path)
        if route is None or call.method != route[0]:
            return Reply(404 if route is None else 405)
        api = route[1]
        claim = api.claim(call)
        struck = self._fault_injector.strike(claim, call.steady)
        self._pause(struck.delay(When.BEFORE_APPLYING))
        early = instead(api, call, struck, When.BEFORE_APPLYING)
        if early is not None:
            self._note(call, struck, Decision.UNTOUCHED, _status(early), known=claim)
            return early
        admission = api.admit(call, claim)
        if isinstance(admission, Refusal):
            self._note(call, struck, Decision.REFUSED, admission.status, known=claim, code=admission.code)
            return api.turn_away(call, admission)
        return self._serve(api, call, admission, struck)

    def _serve(self, api: PlatformApi, call: Call, admission: Admission, struck: Struck) -> Answer:
        with self._turn:
            decision, ruling = self._decide(api, call, admission, struck)
            answer = instead(api, call, struck, When.AFTER_APPLYING)
            code, status = (ruling.code, ruling.status) if isinstance(ruling, Refusal) else ("SUCCESS", 200)
            status_sent = _status(answer) if answer else status
            self._note(call, struck, decision, status_sent, known=admission, code=code)
        if answer is None:
            # Signing takes longer than all the rest, and nobody has to wait their turn for it.
            reply = api.answer(admission, ruling, self._clock.now(), struck.main)
            stray = struck.kind(Kind.STRAY_ANSWER)
            answer = followed(api, call, stray, reply) if stray else reply
            answer = Cut(reply) if struck.kind(Kind.CUT_BODY) else answer
        self._pause(struck.delay(When.AFTER_APPLYING))
        return answer

    def _decide(self, api: PlatformApi, call: Call, admission: Admission, struck: Struck) -> tuple[Decision, Ruling]:
        claim = admission.claim
        if admission.nonce and not self._memory.use_nonce(claim.merchant, admission.nonce):
            return Decision.REFUSED, api.replayed
        throttle = struck.kind(Kind.THROTTLE)
        if throttle or not self._quota.admit(claim.api, claim.merchant, call.steady):
            return Decision.THROTTLED, replace(api.throttled, headers=retry_after(throttle))
        refuse = struck.kind(Kind.REFUSE)
        if refuse:
            return Decision.REFUSED, api.refusal(refuse)
        return api.rules[claim.api](admission, self._memory)

    def _note(
        self,
        call: Call,
        struck: Struck,
        decision: Decision,
        status: int | None,
        *,
        known: Admission | Claim,
        code: str = "",
    ) -> None:
        claim, body = (known.claim, known.body) if isinstance(known, Admission) else (known, call.body)
        content = known.content if isinstance(known, Admission) and claim.api is Api.POINTS else {}
        balance = content.get("point_balance")
        self.journal.add(
            Entry(
                number=0,
                api=claim.api,
                merchant=claim.merchant,
                key=claim.key,
                body_digest=hashlib.sha256(body).hexdigest(),
                arrived_at=call.wall,
                steady=call.steady,
                decision=decision,
                code=code,
                status=status,
                fault=struck.name,
                card=card_digest(text(content, "card_id"), text(content, "user_card_code")) if content else None,
                points=balance if isinstance(balance, int) else None,
            )
        )

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self._clock.sleep(seconds)

    def _start_over(self) -> None:
        fresh = Fresh(self._seed)
        wechat = wechatpay.WechatApi(self._identities, fresh)
        self._memory = Memory()
        self._quota = Quota(self._limits)
        self._routes: dict[str, tuple[str, PlatformApi]] = {
            alipay_v3.PATH: ("POST", alipay_v3.V3Api(self._identities, fresh)),
            gateway.PATH: ("POST", gateway.GatewayApi(self._identities, fresh)),
            wechatpay.POINTS_PATH: ("POST", wechat),
            wechatpay.CERTIFICATES_PATH: ("GET", wechat),
        }


def _status(answer: Answer) -> int | None:
    match answer:
        case Silence():
            return None
        case Cut(reply) | Followed(reply):
            return reply.status
        case Reply(status=status):
            return status
