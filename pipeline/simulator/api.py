"""The interface of the protocols."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from pipeline.simulator.faults.fault import InjectedFault
from pipeline.simulator.http.messages import Call, Reply
from pipeline.simulator.ruling import Accepted, AdmittedRequest, Api, Claim, Decision, Refusal, Ruling
from pipeline.simulator.state.memory import Memory

CallRule = Callable[[AdmittedRequest, Memory], tuple[Decision, Ruling]]


class PlatformApi(Protocol):
    """One protocol: reads calls and makes answers."""

    @property
    def rules(self) -> Mapping[Api, CallRule]:
        """Return the rule that decides requests, by API."""
        ...

    @property
    def throttled(self) -> Refusal:
        """Return the refusal for a caller above its quota."""
        ...

    @property
    def replayed(self) -> Refusal:
        """Return the refusal for a nonce that was used before."""
        ...

    def claim(self, call: Call) -> Claim:
        """Return API, merchant and key that the call claims, as far as readable."""
        ...

    def admit(self, call: Call, claim: Claim) -> AdmittedRequest | Refusal:
        """Check headers, time and signature, and return the plain content."""
        ...

    def refusal(self, fault: InjectedFault) -> Ruling:
        """Return the business refusal that a fault describes."""
        ...

    def unsigned_refusal(self, call: Call, refusal: Refusal) -> Reply:
        """Return the unsigned answer to a call that was not admitted."""
        ...

    def answer(self, admission: AdmittedRequest, ruling: Ruling, at: datetime, fault: InjectedFault | None) -> Reply:
        """Return the answer, signed and encrypted as the request demands; a fault makes it wrong."""
        ...


def with_wrong_echo(ruling: Ruling, name: str) -> Ruling:
    """Return the ruling; a success echoes a wrong value in the named field."""
    if isinstance(ruling, Refusal) or name not in ruling.content:
        return ruling
    return Accepted({**ruling.content, name: f"{ruling.content[name]}-other"})
