"""Answers that a fault puts in the place of the platform's own."""

from dataclasses import replace

from pipeline.simulator.api import PlatformApi
from pipeline.simulator.faults.fault import InjectedFault, Kind, When
from pipeline.simulator.faults.fault_injector import Struck
from pipeline.simulator.http.messages import Answer, Call, Followed, Reply, Silence
from pipeline.simulator.ruling import Refusal

_HTML = b"<!DOCTYPE html><html><body><h1>Welcome</h1></body></html>"


def instead(api: PlatformApi, call: Call, struck: Struck, when: When) -> Answer | None:
    """Return what the caller gets in place of an answer, on that side of applying; None where no fault says so."""
    lost = Kind.LOSE_BEFORE_APPLYING if when is When.BEFORE_APPLYING else Kind.LOSE_AFTER_APPLYING
    if struck.kind(lost):
        return Silence()
    fault = struck.kind(Kind.STATUS, Kind.HTML_BODY)
    if fault is None or (fault.when or When.BEFORE_APPLYING) is not when:
        return None
    if fault.kind is Kind.HTML_BODY:
        return Reply(200, (("Content-Type", "text/html; charset=utf-8"),), _HTML)
    return _with_status(api, call, fault)


def followed(api: PlatformApi, call: Call, fault: InjectedFault, reply: Reply) -> Followed:
    """Return the answer with the stray one that the fault sends behind it."""
    stray = reply if fault.status is None else _with_status(api, call, fault)
    return Followed(reply, stray, fault.seconds or 0.0)


def retry_after(fault: InjectedFault | None) -> tuple[tuple[str, str], ...]:
    """Return the header that says how long to wait, where the fault names a time."""
    return () if fault is None or fault.retry_after is None else (("Retry-After", str(fault.retry_after)),)


def _with_status(api: PlatformApi, call: Call, fault: InjectedFault) -> Reply:
    status = fault.status or 500
    headers = retry_after(fault)
    if 300 <= status < 400:
        headers = (*headers, ("Location", fault.location or "/elsewhere"))
    if fault.code is not None:
        refusal = Refusal(fault.code, fault.message or "", status, headers=headers)
        return replace(api.turn_away(call, refusal), status=status)
    return Reply(status, headers, (fault.body or "").encode())
