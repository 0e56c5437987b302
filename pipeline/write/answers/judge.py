"""
The judge: turn an answer into a verdict on its request.

The rules are data (`catalogue`). `diagnosis` finds the condition of an answer; this module turns it into a verdict.
"""

from dataclasses import replace
from datetime import datetime

from pipeline.language import later, t
from pipeline.model import Api, Lost, Opened, Reply
from pipeline.write.answers.answer_content import wait_seconds
from pipeline.write.answers.diagnosis import Diagnosis, diagnose, names_request
from pipeline.write.answers.matrix.condition import RERUN, Action
from pipeline.write.answers.sent_request import SentRequest
from pipeline.write.answers.verdict import Halt, Open, Refused, Succeeded, TryAgain, Verdict

_ADVICE_IN_DOUBT = later(
    "an earlier attempt may have been applied; ask the platform which values it has for this key, "
    "and do not send it under another key"
)
_ADVICE_UNCONFIRMED = later(
    "it came over a kept connection and may answer another request, so it is ignored; `backfill "
    "rerun` sends the same request over a fresh connection"
)
_PLATFORM = {"alipay": later("Alipay"), "wechatpay": later("WeChat Pay")}


def judge(
    sent: SentRequest, answer: Reply | Lost, opened: Opened | None, *, doubt: bool, at: datetime, unconfirmed: str = ""
) -> Verdict:
    """
    Return the verdict of an answer on its request. Never raises.

    An answer over a kept connection may be a late answer to another request. It counts if its echo names this request.
    Otherwise the verdict is TryAgain, and the same request goes out over a fresh connection. `unconfirmed` is the code
    of such an answer to an earlier attempt; under another code, that attempt stays in doubt.

    `doubt`: an earlier attempt of this delivery may have been applied. A refusal then settles the row only if it rests
    on the content alone: the platform refused the same bytes the first time, too.

    A refusal may rest on the platform's state: key used already, refund taken back already, agreement ended. It may be
    an effect of the first attempt, so the row stays open. An undocumented code settles nothing, for the same reason.
    """
    finding = diagnose(sent, answer, opened)
    verdict = _verdict(sent.api, finding, doubt=doubt or unconfirmed not in ("", finding.code))
    if isinstance(answer, Lost):
        return verdict
    is_echoed_success = isinstance(verdict, Succeeded) and sent.is_echoed
    if not answer.is_fresh and not is_echoed_success and not names_request(sent, opened):
        verdict = _unproven(sent.api, finding, verdict)
    return replace(verdict, wait_seconds=wait_seconds(answer, at=at)) if isinstance(verdict, TryAgain) else verdict


def _unproven(api: Api, finding: Diagnosis, verdict: Verdict) -> TryAgain:
    """Return the verdict on an answer that may belong to another request."""
    if isinstance(verdict, TryAgain) and verdict.may_have_acted:
        # It proves nothing about the caller. Where tries are few, the next one has a fresh connection.
        return verdict if verdict.tries else replace(verdict, halts_after=None)
    return TryAgain(
        finding.code,
        _text(api, finding, _ADVICE_UNCONFIRMED),
        may_have_acted=True,
        slow=isinstance(verdict, TryAgain) and verdict.slow,
        is_unconfirmed=True,
        questions_caller=isinstance(verdict, Halt),
    )


def _verdict(api: Api, finding: Diagnosis, *, doubt: bool) -> Verdict:
    """Return the verdict that the condition asks for."""
    rule, codes = finding.rule, finding.codes
    advice = (codes and codes.advice) or rule.advice
    match (codes and codes.action) or rule.action(api):
        case Action.DONE:
            return Succeeded(finding.code)
        case Action.FAIL | Action.NEW_KEY as action:
            refused = _refused(finding, _text(api, finding, advice), wants_new_key=action is Action.NEW_KEY)
            is_open = doubt and not refused.settles_doubt
            return Open(finding.code, _text(api, finding, _ADVICE_IN_DOUBT)) if is_open else refused
        case Action.RETRY | Action.RETRY_SLOW as action:
            # "Not applied" would be true for this attempt only.
            advice = RERUN if doubt and not rule.may_have_acted else advice
            return _try_again(finding, _text(api, finding, advice), slow=action is Action.RETRY_SLOW, doubt=doubt)
        case Action.STOP:
            return Halt(finding.code, _text(api, finding, advice), may_have_acted=rule.may_have_acted)
        case Action.UNKNOWN:
            return Open(finding.code, _text(api, finding, advice))


def _refused(finding: Diagnosis, text: str, *, wants_new_key: bool) -> Refused:
    codes = finding.codes
    wants_new_key = wants_new_key or finding.asks_for_new_key
    return Refused(
        finding.code,
        text,
        # A platform that asks for a new key has a record under the old one, perhaps from the first attempt.
        settles_doubt=codes is not None and codes.settles_doubt and not wants_new_key,
        wants_new_key=wants_new_key,
        halts_after=(codes and codes.halts_after) or finding.rule.halts_after,
    )


def _try_again(finding: Diagnosis, text: str, *, slow: bool, doubt: bool) -> TryAgain:
    rule, codes = finding.rule, finding.codes
    return TryAgain(
        finding.code,
        text,
        may_have_acted=rule.may_have_acted,
        slow=slow,
        tries=(codes and codes.tries) or rule.tries,
        platform_down=rule.platform_down,
        halts_after=(codes and codes.halts_after) or rule.halts_after,
        refresh_keys=rule.refresh_keys,
        refused_at_last=rule.refused_at_last and not doubt,
    )


def _text(api: Api, finding: Diagnosis, advice: str) -> str:
    """Return what happened, with the platform's message if any, and what to do next."""
    platform = t(_PLATFORM[api.platform])
    happened = t(finding.rule.happened, platform=platform, code=finding.code, status=finding.status)
    message = f": {finding.message}" if finding.message else ""
    return f"{happened}{message}; {t(advice)}"
