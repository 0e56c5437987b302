"""
One harmless signed request for each account: whether the platform accepts its signature.

Alipay is asked for the state of an agreement, WeChat Pay for the cards of a user; both are made up. The facts:
docs/platform/alipay-v3-cumulation-query.md, wechatpay-v3-points.md, wechatpay-brand-points.md.
"""

import random
from datetime import datetime
from typing import Protocol
from urllib.parse import urlencode

from pipeline.check.finding import Finding, Level
from pipeline.clock import Clock
from pipeline.language import t
from pipeline.model import Api, Opened, Reply, SignedRequest
from pipeline.reconcile.targets import agreement_target
from pipeline.settings import Account, AlipayAccount, BrandAccount, Job
from pipeline.write.answers.judge import judge
from pipeline.write.answers.sent_request import SentRequest
from pipeline.write.answers.verdict import Halt, Succeeded, TryAgain, Verdict
from pipeline.write.keys import Keys
from pipeline.write.ports import Signer, Transport

_AGREEMENT = "20250000000000000000"
_OPENID = "oMadeUpByBackfillCheck000000"
_CARDS, _CARDS_OF_BRAND = "/v3/brand/partner/card-member/user-cards", "/brand/card-member/user-cards"
# Refusals in a row that stop a run: up to so many, the caller is at fault, and not the row.
_REFUSALS_OF_CALLER = 3


class CallSigner(Signer, Protocol):
    """A signer of any call of its API."""

    def sign_call(self, method: str, target: str, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:
        """Return the signed request; `target` is path and query as sent."""
        ...


def api_to_ask(account: Account, job: Job) -> Api:
    """Return the API whose signer asks: Alipay's v3 for both of its APIs."""
    return Api.CUMULATION if isinstance(account, AlipayAccount) else job.api


def check_online(
    account: Account, job: Job, signer: CallSigner, transport: Transport, clock: Clock, chance: random.Random
) -> Finding:
    """Send the request of an account once, with the job that it is known by."""
    what, target = t("account {account}", account=account.name), _target(account, job)
    if target is None:
        return Finding(Level.OK, what, t("was not asked: job {job} has no constant brand_id", job=job.name))
    halt = Keys(signer, transport, clock, chance).load(lambda: None)
    if halt is not None:
        return Finding(Level.ERROR, what, halt.text)
    at, nonce = clock.now(), f"{chance.getrandbits(128):032x}"
    answer = transport.send(signer.sign_call("GET", target, b"", at=at, nonce=nonce), fresh=True)
    at = clock.now()
    opened: Opened | None = signer.open(answer, at=at) if isinstance(answer, Reply) else None
    sent = SentRequest(api_to_ask(account, job), "", private=(_AGREEMENT, _OPENID))
    return _judged(what, account.base_url, judge(sent, answer, opened, doubt=False, at=at))


def _target(account: Account, job: Job) -> str | None:
    if isinstance(account, AlipayAccount):
        return agreement_target(_AGREEMENT)
    page = {"openid": _OPENID, "offset": "0", "limit": "1"}
    if isinstance(account, BrandAccount):
        return f"{_CARDS_OF_BRAND}?{urlencode(page)}"
    brand_id = job.constants.get("brand_id")
    return None if brand_id is None else f"{_CARDS}?{urlencode({'brand_id': brand_id, **page})}"


def _judged(what: str, host: str, verdict: Verdict) -> Finding:
    if isinstance(verdict, Succeeded):
        return Finding(Level.OK, what, t("{host} accepts the signature, and its own signature verifies", host=host))
    said = f"{verdict.code}: {verdict.text}" if verdict.text else verdict.code
    if _refuses_caller(verdict):
        return Finding(Level.ERROR, what, t("{host} refuses the account: {said}", host=host, said=said))
    if isinstance(verdict, TryAgain):
        return Finding(Level.WARNING, what, t("{host} gave no usable answer: {said}", host=host, said=said))
    return Finding(
        Level.OK,
        what,
        t("{host} accepts the signature, and refuses the made-up question ({code})", host=host, code=verdict.code),
    )


def _refuses_caller(verdict: Verdict) -> bool:
    if isinstance(verdict, Halt):
        return True
    after = getattr(verdict, "halts_after", None)
    return after is not None and after <= _REFUSALS_OF_CALLER
