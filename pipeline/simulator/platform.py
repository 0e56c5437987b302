"""The simulated platforms: one request from its arrival to its answer."""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.clock import Clock
from pipeline.simulator.api import PlatformApi
from pipeline.simulator.apis import alipay_v3, brand, gateway, wechatpay, zmgo_queries
from pipeline.simulator.apis.fields import text
from pipeline.simulator.false_answers import false_answer, retry_after, with_stray_answer
from pipeline.simulator.faults.answer_signature import UniqueTexts
from pipeline.simulator.faults.fault import FaultKind, InjectedFault, When
from pipeline.simulator.faults.fault_injector import ActiveFaults, FaultInjector
from pipeline.simulator.http.messages import Answer, Call, Cut, Followed, Reply, Silence
from pipeline.simulator.identities import Identities
from pipeline.simulator.ruling import AdmittedRequest, Api, Claim, Decision, Refusal, Ruling
from pipeline.simulator.state.journal import Entry, Journal, card_digest
from pipeline.simulator.state.memory import Memory
from pipeline.simulator.state.quota import Quota

_BALANCES = frozenset({Api.POINTS, Api.BRAND_POINTS})


class Platform:
    """
    The four APIs. Thread-safe.

    Each request gets its faults, is admitted, decided and answered. Decision and journal entry are one locked step, so
    that the journal has the order of applying. Both precede the answer's first byte.
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
        self._lock = threading.Lock()
        self._fault_injector = FaultInjector(faults, seed=seed, at=clock.steady())
        self._clear()

    def set_faults(self, faults: Sequence[InjectedFault]) -> None:
        """Replace the faults in force. Raises SettingsError for a wrong one."""
        self._fault_injector.change(faults, at=self._clock.steady())

    def reset(self) -> None:
        """Forget every request, key, nonce and arrival; restore the faults of the start."""
        with self._lock:
            self._clear()
            self.journal.clear()
        self.set_faults(self._faults)

    def receive(self, call: Call) -> Answer:
        """Return the answer to one request."""
        route = self._routes.get(call.path)
        if route is None or call.method != route[0]:
            return Reply(404 if route is None else 405)
        api = route[1]
        claim = api.claim(call)
        faults = self._fault_injector.faults_of(claim, call.steady)
        self._pause(faults.delay(When.BEFORE_APPLYING))
        early = false_answer(api, call, faults, When.BEFORE_APPLYING)
        if early is not None:
            self._record(call, faults, Decision.UNTOUCHED, _status(early), known=claim)
            return early
        admission = api.admit(call, claim)
        if isinstance(admission, Refusal):
            self._record(call, faults, Decision.REFUSED, admission.status, known=claim, code=admission.code)
            return api.unsigned_refusal(call, admission)
        return self._serve(api, call, admission, faults)

    def _serve(self, api: PlatformApi, call: Call, admission: AdmittedRequest, faults: ActiveFaults) -> Answer:
        with self._lock:
            decision, ruling = self._decide(api, call, admission, faults)
            answer = false_answer(api, call, faults, When.AFTER_APPLYING)
            code, status = (ruling.code, ruling.status) if isinstance(ruling, Refusal) else ("SUCCESS", 200)
            status_sent = _status(answer) if answer else status
            self._record(call, faults, decision, status_sent, known=admission, code=code)
        if answer is None:
            # Outside the lock, because signing takes longer than all the rest.
            reply = api.answer(admission, ruling, self._clock.now(), faults.main)
            stray = faults.kind(FaultKind.STRAY_ANSWER)
            answer = with_stray_answer(api, call, stray, reply) if stray else reply
            answer = Cut(reply) if faults.kind(FaultKind.CUT_BODY) else answer
        self._pause(faults.delay(When.AFTER_APPLYING))
        return answer

    def _decide(
        self, api: PlatformApi, call: Call, admission: AdmittedRequest, faults: ActiveFaults
    ) -> tuple[Decision, Ruling]:
        claim = admission.claim
        if admission.nonce and not self._memory.use_nonce(claim.merchant, admission.nonce):
            return Decision.REFUSED, api.replayed
        throttle = faults.kind(FaultKind.THROTTLE)
        if throttle or not self._quota.admit(claim.api, claim.merchant, call.steady):
            return Decision.THROTTLED, replace(api.throttled, headers=retry_after(throttle))
        refuse = faults.kind(FaultKind.REFUSE)
        if refuse:
            return Decision.REFUSED, api.refusal(refuse)
        return api.rules[claim.api](admission, self._memory)

    def _record(
        self,
        call: Call,
        faults: ActiveFaults,
        decision: Decision,
        status: int | None,
        *,
        known: AdmittedRequest | Claim,
        code: str = "",
    ) -> None:
        claim, body = (known.claim, known.body) if isinstance(known, AdmittedRequest) else (known, call.body)
        content = known.content if isinstance(known, AdmittedRequest) and claim.api in _BALANCES else {}
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
                fault=faults.name,
                card=card_digest(text(content, "card_id"), text(content, "user_card_code")) if content else None,
                points=balance if isinstance(balance, int) else None,
            )
        )

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self._clock.sleep(seconds)

    def _clear(self) -> None:
        unique_texts = UniqueTexts(self._seed)
        v3 = alipay_v3.V3Api(self._identities, unique_texts)
        wechat = wechatpay.WechatApi(self._identities, unique_texts)
        of_brand = brand.BrandApi(self._identities, unique_texts)
        self._memory = Memory(self._clock.now)
        self._quota = Quota(self._limits)
        self._routes: dict[str, tuple[str, PlatformApi]] = {
            alipay_v3.PATH: ("POST", v3),
            zmgo_queries.CUMULATE_QUERY_PATH: ("GET", v3),
            zmgo_queries.AGREEMENT_QUERY_PATH: ("GET", v3),
            gateway.PATH: ("POST", gateway.GatewayApi(self._identities, unique_texts)),
            wechatpay.POINTS_PATH: ("POST", wechat),
            wechatpay.CERTIFICATES_PATH: ("GET", wechat),
            wechatpay.CARDS_PATH: ("GET", wechat),
            brand.BRAND_POINTS_PATH: ("POST", of_brand),
            brand.BRAND_CARDS_PATH: ("GET", of_brand),
        }


def _status(answer: Answer) -> int | None:
    match answer:
        case Silence():
            return None
        case Cut(reply) | Followed(reply):
            return reply.status
        case Reply(status=status):
            return status
