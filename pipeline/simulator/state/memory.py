"""The platforms' memory: applied keys with their content, and nonces."""

import hashlib
from dataclasses import dataclass

import orjson

from pipeline.simulator.ruling import Admission, Decision


@dataclass(frozen=True, slots=True)
class _Applied:
    content: bytes
    kind: str


class Memory:
    """
    The platforms' memory. Not thread-safe: the caller locks.

    Only applied requests are remembered; a refused request leaves no trace.
    """

    def __init__(self) -> None:
        self._applied: dict[tuple[str, str, str], _Applied] = {}
        self._nonces: set[tuple[str, str]] = set()

    def compare(self, admission: Admission, *, key: str | None = None) -> Decision | None:
        """
        Compare a request with the one applied under its key; `key` defaults to the request's own.

        Return REPEATED for the same content, CONFLICT for other content, None for a new key.
        """
        applied = self._applied.get(_place(admission, key or admission.claim.key))
        if applied is None:
            return None
        return Decision.REPEATED if applied.content == content_digest(admission) else Decision.CONFLICT

    def apply(self, admission: Admission, *, kind: str = "", key: str | None = None) -> Decision:
        """Remember the request's content and kind under its key; `key` defaults to the request's own."""
        self._applied[_place(admission, key or admission.claim.key)] = _Applied(content_digest(admission), kind)
        return Decision.APPLIED

    def knows(self, admission: Admission, key: str, *, kind: str) -> bool:
        """Return whether the same merchant applied a request of that kind under this key."""
        applied = self._applied.get(_place(admission, key))
        return applied is not None and applied.kind == kind

    def use_nonce(self, merchant: str, nonce: str) -> bool:
        """Remember a nonce; return whether the merchant uses it for the first time."""
        used = (merchant, nonce) in self._nonces
        self._nonces.add((merchant, nonce))
        return not used


def content_digest(admission: Admission) -> bytes:
    """Return a digest of the content that ignores the order of keys and white space."""
    text = orjson.dumps(admission.content, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=16).digest()


def _place(admission: Admission, key: str) -> tuple[str, str, str]:
    return admission.claim.api, admission.claim.merchant, key
