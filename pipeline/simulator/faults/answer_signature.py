"""The signature of an answer, right or spoilt by a fault."""

import base64
import hashlib
import itertools
from dataclasses import dataclass, replace

from pipeline.simulator import crypto
from pipeline.simulator.faults.fault import FaultKind, InjectedFault
from pipeline.simulator.identities import PlatformKey
from pipeline.simulator.ruling import Terms

# A key name that no download returns.
UNKNOWN_NAME = "7F00000000000000000000000000000000000000"


class UniqueTexts:
    """Unique texts for nonces and trace ids, fixed by the seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = itertools.count()

    def take(self) -> str:
        """Return 32 hex digits, new with each call."""
        return hashlib.blake2b(f"{self._seed}/{next(self._count)}".encode(), digest_size=16).hexdigest()


def is_hit(fault: InjectedFault | None, kind: FaultKind) -> bool:
    """Return whether this answer has a fault of that kind."""
    return fault is not None and fault.kind is kind


@dataclass(frozen=True, slots=True)
class AnswerSignature:
    """The key name and the signature of an answer; None if a fault removes the signature."""

    name: str
    signature: str | None


def signature(message: bytes, terms: Terms, fault: InjectedFault | None) -> AnswerSignature:
    """Sign a message by the terms; a signature fault spoils the result."""
    signature = crypto.sign(terms.key.private, message, sha1=terms.sha1)
    kind = fault.kind if fault else None
    if kind is FaultKind.MISSING_SIGNATURE:
        return AnswerSignature(terms.key.name, None)
    if kind is FaultKind.BAD_SIGNATURE:
        return AnswerSignature(terms.key.name, _spoilt(signature))
    if kind is FaultKind.PROBE_SIGNATURE:
        return AnswerSignature(terms.key.name, f"WECHATPAY/SIGNTEST/{signature}")
    return AnswerSignature(terms.key.name, signature)


def with_other_key(terms: Terms, next_key: PlatformKey, fault: InjectedFault) -> Terms:
    """Return terms with a key that the client does not know yet: the next key, or one that can't be fetched."""
    return replace(terms, key=next_key if fault.fetchable else replace(next_key, name=UNKNOWN_NAME))


def _spoilt(signature: str) -> str:
    raw = bytearray(base64.b64decode(signature))
    raw[-1] ^= 1
    return base64.b64encode(raw).decode()
