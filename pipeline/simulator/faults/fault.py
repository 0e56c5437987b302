"""Injected faults: their kinds, their options and which requests they hit."""

from dataclasses import dataclass, fields
from difflib import get_close_matches
from enum import StrEnum

from pipeline.language import t
from pipeline.simulator.ruling import Api


class FaultKind(StrEnum):
    """FaultKind of an injected fault."""

    LOSE_BEFORE_APPLYING = "lose_before_applying"
    LOSE_AFTER_APPLYING = "lose_after_applying"
    STATUS = "status"
    THROTTLE = "throttle"
    REFUSE = "refuse"
    SLOW = "slow"
    CUT_BODY = "cut_body"
    HTML_BODY = "html_body"
    BAD_SIGNATURE = "bad_signature"
    MISSING_SIGNATURE = "missing_signature"
    PROBE_SIGNATURE = "probe_signature"
    UNKNOWN_SERIAL = "unknown_serial"
    PLATFORM_CERTIFICATE = "platform_certificate"
    REISSUED_CERTIFICATE = "reissued_certificate"
    STALE_TIMESTAMP = "stale_timestamp"
    BAD_ENCRYPTION = "bad_encryption"
    WRONG_ECHO = "wrong_echo"
    STRAY_ANSWER = "stray_answer"
    UNLISTED = "unlisted"
    LISTED_TWICE = "listed_twice"
    WRONG_AMOUNT = "wrong_amount"
    FAIL_REASON_BESIDE = "fail_reason_beside"
    AGREEMENT_STATUS = "agreement_status"


class When(StrEnum):
    """Whether a fault hits before or after the request is applied."""

    BEFORE_APPLYING = "before_applying"
    AFTER_APPLYING = "after_applying"


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """
    One fault, and the requests that it hits.

    Requests: all conditions given must hold; requests are counted from 1.

    - `api`, `key` (a glob): which requests are counted
    - `first`: the first n of them; `every`: each n-th
    - `probability`: 0 to 1, drawn from the seed
    - `after_seconds`, `until_seconds`: arrival since the faults were set
    - `times`: at most n hits
    - `each_key`: count for each key separately

    Options by kind:

    - `status`: `status`, `body` or `code` and `message` (the platform's error form), `location`, `retry_after`, `when`
    - `throttle`: `retry_after`
    - `refuse`: `code`, `message` and `status`, or `fail_reason` (Alipay's success that reports a failure); `number`,
      WeChat Pay's inner error number
    - `slow`: `seconds`, `when`
    - `html_body`: `when`
    - `unknown_serial`: `fetchable`, whether the client can fetch the new key
    - `platform_certificate`: none; WeChat Pay signs with its certificate, as before the switch to the public key
    - `reissued_certificate`: none; Alipay names its reissued certificate, which has the same key and can be downloaded
    - `stale_timestamp`: `seconds`
    - `stray_answer`: a second answer on the same connection, `seconds` (0) after the first; `status` with `body` or
      `code` and `message`; without `status` it repeats the first answer

    Kinds for `api = "alipay.cumulate_query"`; the key is the agreement:

    - `unlisted`: no report is listed; with `seconds`, none that was applied less than that ago
    - `listed_twice`, `wrong_amount`: each report is listed twice; with a cent more
    - `fail_reason_beside`: `fail_reason`, beside the data

    For `api = "alipay.agreement_query"`: `agreement_status`, with `code` as the state (`P` ending, `N` ended)
    """

    kind: FaultKind
    api: Api | None = None
    key: str | None = None
    first: int | None = None
    every: int | None = None
    probability: float | None = None
    after_seconds: float | None = None
    until_seconds: float | None = None
    times: int | None = None
    each_key: bool = False
    when: When | None = None
    status: int | None = None
    body: str | None = None
    code: str | None = None
    message: str | None = None
    location: str | None = None
    fail_reason: str | None = None
    retry_after: float | str | None = None
    seconds: float | None = None
    number: int | None = None
    fetchable: bool = False


_TAKES: dict[FaultKind, frozenset[str]] = {
    FaultKind.STATUS: frozenset({"status", "body", "code", "message", "location", "retry_after", "when"}),
    FaultKind.THROTTLE: frozenset({"retry_after"}),
    FaultKind.REFUSE: frozenset({"code", "message", "status", "fail_reason", "number"}),
    FaultKind.SLOW: frozenset({"seconds", "when"}),
    FaultKind.HTML_BODY: frozenset({"when"}),
    FaultKind.UNKNOWN_SERIAL: frozenset({"fetchable"}),
    FaultKind.STALE_TIMESTAMP: frozenset({"seconds"}),
    FaultKind.STRAY_ANSWER: frozenset({"seconds", "status", "body", "code", "message"}),
    FaultKind.UNLISTED: frozenset({"seconds"}),
    FaultKind.FAIL_REASON_BESIDE: frozenset({"fail_reason"}),
    FaultKind.AGREEMENT_STATUS: frozenset({"code"}),
}
_NEEDS: dict[FaultKind, str] = {
    FaultKind.STATUS: "status",
    FaultKind.SLOW: "seconds",
    FaultKind.FAIL_REASON_BESIDE: "fail_reason",
    FaultKind.AGREEMENT_STATUS: "code",
}
_KIND_OPTIONS: frozenset[str] = frozenset().union(*_TAKES.values())
_ALIPAY = frozenset({Api.CUMULATION, Api.STATE})


def errors_of(fault: InjectedFault) -> list[str]:
    """Return the errors of a fault, each a phrase that begins with the option; empty if it is right."""
    return [*_wrong_keys(fault), *_wrong_numbers(fault), *_wrong_refusal(fault)]


def nearest(word: str, right: list[str]) -> str:
    """Return the end of a sentence about an unknown word: the nearest right word, else all right words."""
    close = get_close_matches(word, right, n=1)
    return (
        t("; did you mean `{close}`?", close=close[0])
        if close
        else t("; choose one of {right}", right=", ".join(sorted(right)))
    )


def _wrong_keys(fault: InjectedFault) -> list[str]:
    given = {field.name for field in fields(fault) if getattr(fault, field.name) not in (None, False)}
    takes = _TAKES.get(fault.kind, frozenset())
    useless = sorted((given & _KIND_OPTIONS) - takes)
    taken = ", ".join(f"`{name}`" for name in sorted(takes)) or t("no options")
    wrong = [
        t("`{name}` is not an option of kind `{kind}`, which takes {taken}", name=name, kind=fault.kind, taken=taken)
        for name in useless
    ]
    needed = _NEEDS.get(fault.kind)
    if needed and getattr(fault, needed) is None:
        wrong.append(t("`{needed}` is missing: kind `{kind}` needs it", needed=needed, kind=fault.kind))
    return wrong


def _wrong_numbers(fault: InjectedFault) -> list[str]:
    wrong = [
        t("`{name}` is {value}, but must be at least 1", name=name, value=value)
        for name in ("first", "every", "times")
        if (value := getattr(fault, name)) is not None and value < 1
    ]
    if fault.probability is not None and not 0 <= fault.probability <= 1:
        wrong.append(t("`probability` is {probability}, but must be between 0 and 1", probability=fault.probability))
    if fault.status is not None and not 200 <= fault.status <= 599:
        wrong.append(t("`status` is {status}, but must be between 200 and 599", status=fault.status))
    if fault.seconds is not None and fault.seconds < 0:
        wrong.append(t("`seconds` is {seconds}, but must be at least 0", seconds=fault.seconds))
    return wrong


def _wrong_refusal(fault: InjectedFault) -> list[str]:
    if fault.kind is not FaultKind.REFUSE:
        return []
    if (fault.code is None) == (fault.fail_reason is None):
        return [t("`code` or `fail_reason`: kind `refuse` needs exactly one of them")]
    if fault.fail_reason is not None and fault.api not in _ALIPAY:
        return [t("`fail_reason` needs `api` to be `alipay.cumulation` or `alipay.state`")]
    return []
