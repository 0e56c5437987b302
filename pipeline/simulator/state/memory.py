"""The platforms' memory: applied keys with their content, and nonces."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from pipeline.simulator.ruling import AdmittedRequest, Decision

_NONE = Decimal(0)


@dataclass(frozen=True, slots=True)
class _Applied:
    content: bytes
    kind: str


@dataclass(frozen=True, slots=True)
class AppliedReport:
    """A report to Zhima Go that was applied: its JSON, and when."""

    content: Mapping[str, Any] = field(repr=False)
    applied_at: datetime
    more: Decimal = _NONE

    @property
    def sign(self) -> int:
        """1 for a payment or a task, -1 for what takes one back."""
        return -1 if self.content["biz_action"] == "ORDER_REFUND" else 1

    @property
    def amount(self) -> Decimal:
        """The amount in yuan."""
        trade = self.content.get("amount_type_data", {}).get("trade_info", {})
        return Decimal(trade.get("amount", "0")) + self.more

    @property
    def discount(self) -> Decimal:
        """The sum of the discounts in yuan."""
        discounts = self.content.get("amount_type_data", {}).get("out_discount_infos", [])
        return sum((Decimal(each["discount_amount"]) for each in discounts), _NONE)

    @property
    def times(self) -> int:
        """How many tasks it counts."""
        return int("task_type_data" in self.content)

    @property
    def name(self) -> str:
        """The name of the task or the amount."""
        named: Mapping[str, str] = self.content.get("task_type_data") or self.content["amount_type_data"]
        return named["name"]

    def with_more(self, amount: Decimal) -> "AppliedReport":
        """Return the report with a larger amount."""
        return replace(self, more=amount)


class Memory:
    """
    The platforms' memory. Not thread-safe: the caller locks.

    Only applied requests are remembered; a refused request leaves no trace. `now` gives the time of applying.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._reports: dict[str, list[tuple[datetime, bytes]]] = defaultdict(list)
        self._applied: dict[tuple[str, str, str], _Applied] = {}
        self._nonces: set[tuple[str, str]] = set()

    def compare(self, admission: AdmittedRequest, *, key: str | None = None) -> Decision | None:
        """
        Compare a request with the one applied under its key; `key` defaults to the request's own.

        Return REPEATED for the same content, CONFLICT for other content, None for a new key.
        """
        applied = self._applied.get(_place(admission, key or admission.claim.key))
        if applied is None:
            return None
        return Decision.REPEATED if applied.content == content_digest(admission) else Decision.CONFLICT

    def apply(self, admission: AdmittedRequest, *, kind: str = "", key: str | None = None) -> Decision:
        """Remember the request's content and kind under its key; `key` defaults to the request's own."""
        self._applied[_place(admission, key or admission.claim.key)] = _Applied(content_digest(admission), kind)
        return Decision.APPLIED

    def keep_report(self, admission: AdmittedRequest) -> None:
        """Remember an applied report to Zhima Go, for its queries."""
        self._reports[str(admission.content["agreement_no"])].append((self._now(), admission.body))

    def reports_of(self, agreement: str) -> list[AppliedReport]:
        """Return the reports of an agreement, in the order of applying."""
        return [AppliedReport(orjson.loads(body), at) for at, body in self._reports.get(agreement, ())]

    def knows(self, admission: AdmittedRequest, key: str, *, kind: str) -> bool:
        """Return whether the same merchant applied a request of that kind under this key."""
        applied = self._applied.get(_place(admission, key))
        return applied is not None and applied.kind == kind

    def use_nonce(self, merchant: str, nonce: str) -> bool:
        """Remember a nonce; return whether the merchant uses it for the first time."""
        used = (merchant, nonce) in self._nonces
        self._nonces.add((merchant, nonce))
        return not used


def content_digest(admission: AdmittedRequest) -> bytes:
    """Return a digest of the content that ignores the order of keys and white space."""
    text = orjson.dumps(admission.content, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=16).digest()


def _place(admission: AdmittedRequest, key: str) -> tuple[str, str, str]:
    return admission.claim.api, admission.claim.merchant, key
