"""False answers: a fault sends them instead of the platform's answer, or behind it."""

from dataclasses import replace

from pipeline.simulator.api import PlatformApi
from pipeline.simulator.faults.fault import FaultKind, InjectedFault, When
from pipeline.simulator.faults.fault_injector import ActiveFaults
from pipeline.simulator.http.messages import Answer, Call, Followed, Reply, Silence
from pipeline.simulator.ruling import Refusal

_HTML = b"<!DOCTYPE html><html><body><h1>Welcome</h1></body></html>"


def false_answer(api: PlatformApi, call: Call, faults: ActiveFaults, when: When) -> Answer | None:
    """Return the answer that a fault sends before or after applying; None without such a fault."""
    lost = FaultKind.LOSE_BEFORE_APPLYING if when is When.BEFORE_APPLYING else FaultKind.LOSE_AFTER_APPLYING
    if faults.kind(lost):
        return Silence()
    fault = faults.kind(FaultKind.STATUS, FaultKind.HTML_BODY)
    if fault is None or (fault.when or When.BEFORE_APPLYING) is not when:
        return None
    if fault.kind is FaultKind.HTML_BODY:
        return Reply(200, (("Content-Type", "text/html; charset=utf-8"),), _HTML)
    return _with_status(api, call, fault)


def with_stray_answer(api: PlatformApi, call: Call, fault: InjectedFault, reply: Reply) -> Followed:
    """Return the answer, followed by the fault's stray answer."""
    stray = reply if fault.status is None else _with_status(api, call, fault)
    return Followed(reply, stray, fault.seconds or 0.0)


def retry_after(fault: InjectedFault | None) -> tuple[tuple[str, str], ...]:
    """Return the `Retry-After` header, if the fault has one."""
    return () if fault is None or fault.retry_after is None else (("Retry-After", str(fault.retry_after)),)


def _with_status(api: PlatformApi, call: Call, fault: InjectedFault) -> Reply:
    status = fault.status or 500
    headers = retry_after(fault)
    if 300 <= status < 400:
        headers = (*headers, ("Location", fault.location or "/elsewhere"))
    if fault.code is not None:
        refusal = Refusal(fault.code, fault.message or "", status, headers=headers)
        return replace(api.unsigned_refusal(call, refusal), status=status)
    return Reply(status, headers, (fault.body or "").encode())
