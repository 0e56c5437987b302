"""The journal: every request and its decision, for checks of the client."""

import hashlib
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import orjson

from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.simulator.ruling import Api, Decision
from pipeline.simulator.state.quota import peak

_COUNTED_AS = {
    Decision.APPLIED: "applied",
    Decision.REPEATED: "repeats",
    Decision.CONFLICT: "conflicts",
    Decision.THROTTLED: "throttled",
    Decision.REFUSED: "refused",
    Decision.UNTOUCHED: "untouched",
    Decision.SERVED: "served",
}


# Each line begins so. A file that begins otherwise is not a journal, and nothing is appended to it.
_BEGINNING = b'{"number":'


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One request and its decision.

    `body_digest` is the SHA-256 of the decrypted body. `arrived_at` and `steady` are the arrival of its first line.
    `status` is None if no answer was sent. `fault` is the kind of the fault that hit. For a balance, `card` is the
    `card_digest` and `points` the balance.
    """

    number: int
    api: Api
    merchant: str
    key: str
    body_digest: str
    arrived_at: datetime
    steady: float
    decision: Decision
    code: str
    status: int | None
    fault: str | None = None
    card: str | None = None
    points: int | None = None


class Journal(AbstractContextManager["Journal"]):
    """
    All requests in the order of their decisions. Thread-safe.

    An entry is added before the first byte of its answer is sent. With a path, each entry is also a JSON line there.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        try:
            self._file = self._opened(self._path) if self._path else None
        except OSError as error:
            raise SettingsError(
                [t("can't write the journal {path}: {reason}", path=self._path, reason=error.strerror)]
            ) from error
        return self

    def _opened(self, path: Path) -> TextIO:
        if path.exists():
            with path.open("rb") as existing:
                if existing.read(len(_BEGINNING)) not in (b"", _BEGINNING):
                    raise SettingsError([t("{path} exists and is not a journal; choose another file", path=path)])
        return path.open("a", encoding="utf-8")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._file:
                self._file.close()
            self._file = None

    def add(self, entry: Entry) -> None:
        """Add one request; the journal replaces the number of `entry`."""
        with self._lock:
            numbered = replace(entry, number=len(self._entries) + 1)
            self._entries.append(numbered)
            if self._file:
                self._file.write(orjson.dumps(asdict(numbered)).decode() + "\n")
                self._file.flush()

    def clear(self) -> None:
        """Remove all entries; lines in the file stay."""
        with self._lock:
            self._entries.clear()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Return all entries, oldest first."""
        with self._lock:
            return tuple(self._entries)

    def decided(self, *decisions: Decision, api: Api | None = None) -> tuple[Entry, ...]:
        """Return the entries with one of these decisions, of one API or of all."""
        return tuple(e for e in self.entries if e.decision in decisions and api in (None, e.api))

    def applied_keys(self, api: Api | None = None) -> list[str]:
        """Return the applied keys in order; a key that appears twice was counted twice."""
        return [entry.key for entry in self.decided(Decision.APPLIED, api=api)]

    def balance(self, card_id: str, user_card_code: str) -> int | None:
        """Return the last balance applied to a card; None if there is none."""
        card = card_digest(card_id, user_card_code)
        return next((e.points for e in reversed(self.decided(Decision.APPLIED)) if e.card == card), None)

    def summary(self) -> dict[str, object]:
        """Return counts of decisions and of faults, and the most requests in any 1.000 s."""
        entries = self.entries
        decisions = Counter(entry.decision for entry in entries)
        return {
            "requests": len(entries),
            **{name: decisions[decision] for decision, name in _COUNTED_AS.items()},
            "faults": dict(sorted(Counter(entry.fault for entry in entries if entry.fault).items())),
            "peaks": _peaks(entries),
        }


def card_digest(card_id: str, user_card_code: str) -> str:
    """Return the digest that names a card in the journal."""
    return hashlib.sha256(f"{card_id}\n{user_card_code}".encode()).hexdigest()[:32]


def _peaks(entries: Iterable[Entry]) -> list[dict[str, object]]:
    times: dict[tuple[str, str], list[float]] = {}
    for entry in entries:
        times.setdefault((entry.api.value, entry.merchant), []).append(entry.steady)
    return [
        {"api": api, "merchant": merchant, "requests_in_one_second": peak(steady)}
        for (api, merchant), steady in sorted(times.items())
    ]
