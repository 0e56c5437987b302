"""What a platform remembers of its callers: keys with their content, and nonces."""

import hashlib
from dataclasses import dataclass

import orjson

from pipeline.simulator.ruling import Admission, Decision


@dataclass(frozen=True, slots=True)
class _Remembered:
    content: bytes
    mark: str


class Memory:
    """
    The durable memory of the platforms. Not thread-safe: the caller takes turns.

    A key is remembered only once its content was applied; a refused request leaves no trace.
    """

    def __init__(self) -> None:
        self._pages: dict[tuple[str, str, str], _Remembered] = {}
        self._nonces: set[tuple[str, str]] = set()

    def standing(self, admission: Admission, *, key: str | None = None) -> Decision | None:
        """Return REPEATED or CONFLICT where the key was applied before with this or other content, else None."""
        page = self._pages.get(_place(admission, key or admission.claim.key))
        if page is None:
            return None
        return Decision.REPEATED if page.content == content_digest(admission) else Decision.CONFLICT

    def apply(self, admission: Admission, *, mark: str = "", key: str | None = None) -> Decision:
        """Remember the key, that of the request where none is named, with its content; `mark` says what it did."""
        self._pages[_place(admission, key or admission.claim.key)] = _Remembered(content_digest(admission), mark)
        return Decision.APPLIED

    def knows(self, admission: Admission, key: str, *, mark: str) -> bool:
        """Tell whether the same merchant had this key applied as a deed of that kind."""
        page = self._pages.get(_place(admission, key))
        return page is not None and page.mark == mark

    def use_nonce(self, merchant: str, nonce: str) -> bool:
        """Return whether the merchant uses this nonce for the first time, and remember it."""
        used = (merchant, nonce) in self._nonces
        self._nonces.add((merchant, nonce))
        return not used


def content_digest(admission: Admission) -> bytes:
    """Return what is the same for the same content, whatever the order of its keys or its white space."""
    text = orjson.dumps(admission.content, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=16).digest()


def _place(admission: Admission, key: str) -> tuple[str, str, str]:
    return admission.claim.api, admission.claim.merchant, key
