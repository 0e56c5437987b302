"""The shape that the three protocols have in common."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from pipeline.simulator.faults.fault import InjectedFault
from pipeline.simulator.http.messages import Call, Reply
from pipeline.simulator.ruling import Accepted, Admission, Api, Claim, Decision, Refusal, Ruling
from pipeline.simulator.state.memory import Memory

Rule = Callable[[Admission, Memory], tuple[Decision, Ruling]]


class PlatformApi(Protocol):
    """Where the calls of one protocol come in and their answers are made."""

    @property
    def rules(self) -> Mapping[Api, Rule]:
        """Return what is done with the requests of each API."""
        ...

    @property
    def throttled(self) -> Refusal:
        """Return what a caller above its quota is told."""
        ...

    @property
    def replayed(self) -> Refusal:
        """Return what a caller is told that uses a nonce twice."""
        ...

    def claim(self, call: Call) -> Claim:
        """Return what the call says of itself, as far as it can be read."""
        ...

    def admit(self, call: Call, claim: Claim) -> Admission | Refusal:
        """Check headers, time and signature, and return the plain content."""
        ...

    def refusal(self, fault: InjectedFault) -> Ruling:
        """Return the business refusal that a fault asks for."""
        ...

    def turn_away(self, call: Call, refusal: Refusal) -> Reply:
        """Return the unsigned answer to a call that was not admitted."""
        ...

    def answer(self, admission: Admission, ruling: Ruling, at: datetime, fault: InjectedFault | None) -> Reply:
        """Return the answer, signed and encrypted as the request asks, or as wrongly as the fault says."""
        ...


def mislead(ruling: Ruling, name: str) -> Ruling:
    """Return a success that echoes another value in that field than was sent."""
    if isinstance(ruling, Refusal) or name not in ruling.content:
        return ruling
    return Accepted({**ruling.content, name: f"{ruling.content[name]}-other"})
