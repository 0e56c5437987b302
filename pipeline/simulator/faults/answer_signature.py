"""The signature of an answer, and what faults do to it."""

import base64
import hashlib
import itertools
from dataclasses import dataclass, replace

from pipeline.simulator import crypto
from pipeline.simulator.faults.fault import InjectedFault, Kind
from pipeline.simulator.identities import PlatformKey
from pipeline.simulator.ruling import Terms

NOBODY = "7F00000000000000000000000000000000000000"


class Fresh:
    """Texts that no other answer bears; the seed fixes them."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = itertools.count()

    def take(self) -> str:
        """Return 32 hex digits that were never returned before."""
        return hashlib.blake2b(f"{self._seed}/{next(self._count)}".encode(), digest_size=16).hexdigest()


def is_hit(fault: InjectedFault | None, kind: Kind) -> bool:
    """Tell whether that kind of fault strikes this answer."""
    return fault is not None and fault.kind is kind


@dataclass(frozen=True, slots=True)
class AnswerSignature:
    """Whose name an answer bears, and its signature; None where a fault takes it away."""

    name: str
    signature: str | None


def signature(message: bytes, terms: Terms, fault: InjectedFault | None) -> AnswerSignature:
    """Sign as the terms say, or as wrongly as the fault says. The terms' key is that of `key_for`."""
    signature = crypto.sign(terms.key.private, message, sha1=terms.sha1)
    kind = fault.kind if fault else None
    if kind is Kind.MISSING_SIGNATURE:
        return AnswerSignature(terms.key.name, None)
    if kind is Kind.BAD_SIGNATURE:
        return AnswerSignature(terms.key.name, _spoilt(signature))
    if kind is Kind.PROBE_SIGNATURE:
        return AnswerSignature(terms.key.name, f"WECHATPAY/SIGNTEST/{signature}")
    return AnswerSignature(terms.key.name, signature)


def with_other_key(terms: Terms, coming: PlatformKey, fault: InjectedFault) -> Terms:
    """Return the terms of an answer whose key the client can't know yet: fetchable, or nobody's."""
    return replace(terms, key=coming if fault.fetchable else replace(coming, name=NOBODY))


def _spoilt(signature: str) -> str:
    raw = bytearray(base64.b64decode(signature))
    raw[-1] ^= 1
    return base64.b64encode(raw).decode()
