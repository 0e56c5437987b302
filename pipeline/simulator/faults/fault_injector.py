"""Which faults strike a request."""

import hashlib
import threading
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase

from pipeline.errors import SettingsError
from pipeline.simulator.faults.fault import InjectedFault, Kind, When, misfits
from pipeline.simulator.ruling import Claim


class Struck:
    """The faults that strike one request: any number that slow it, and at most one other."""

    def __init__(self, faults: Sequence[InjectedFault]) -> None:
        self._faults = faults
        self.main = next((fault for fault in faults if fault.kind is not Kind.SLOW), None)

    @property
    def name(self) -> str | None:
        """Return the kind that goes into the journal."""
        # As plain text: the journal's summary counts by it, and orjson takes no other keys.
        return self.main.kind.value if self.main else Kind.SLOW.value if self._faults else None

    def kind(self, *kinds: Kind) -> InjectedFault | None:
        """Return the fault where it is of one of these kinds."""
        return self.main if self.main and self.main.kind in kinds else None

    def delay(self, when: When) -> float:
        """Return how long the request is held up there."""
        slow = (fault for fault in self._faults if fault.kind is Kind.SLOW)
        return sum(fault.seconds or 0.0 for fault in slow if (fault.when or When.BEFORE_APPLYING) is when)


class FaultInjector:
    """
    The faults in force, and how often each has struck. Thread-safe.

    They are asked in order; the first that strikes hides the request from those after it, save that `slow` hides
    nothing. Raises SettingsError for a fault that makes no sense.
    """

    def __init__(self, faults: Sequence[InjectedFault], *, seed: int, at: float) -> None:
        self._lock = threading.Lock()
        self._seed = seed
        self.change(faults, at=at)

    def change(self, faults: Sequence[InjectedFault], *, at: float) -> None:
        """Put these faults in force from that steady time on, with nothing counted yet."""
        wrong = [f"fault {place}: {misfit}" for place, fault in enumerate(faults, 1) for misfit in misfits(fault)]
        if wrong:
            raise SettingsError(wrong)
        with self._lock:
            self._faults = tuple(faults)
            self._since = at
            self._matched: Counter[tuple[int, str]] = Counter()
            self._struck: Counter[tuple[int, str]] = Counter()
            self._drawn: Counter[tuple[int, str]] = Counter()

    def strike(self, claim: Claim, at: float) -> Struck:
        """Return the faults that strike this request, and count them."""
        hits: list[InjectedFault] = []
        with self._lock:
            for place, fault in enumerate(self._faults):
                if _chooses(fault, claim) and self._falls_due(place, fault, claim.key, at - self._since):
                    hits.append(fault)
                    if fault.kind is not Kind.SLOW:
                        break
        return Struck(hits)

    def _falls_due(self, place: int, fault: InjectedFault, key: str, age: float) -> bool:
        counted = (place, key if fault.each_key else "")
        self._matched[counted] += 1
        number = self._matched[counted]
        due = (
            (fault.first is None or number <= fault.first)
            and (fault.every is None or number % fault.every == 0)
            and (fault.times is None or self._struck[counted] < fault.times)
            and (fault.after_seconds is None or age >= fault.after_seconds)
            and (fault.until_seconds is None or age < fault.until_seconds)
            and (fault.probability is None or self._chance(place, key) < fault.probability)
        )
        self._struck[counted] += due
        return due

    def _chance(self, place: int, key: str) -> float:
        # Drawn from the key and its count, not from a stream, so that threads can't change what a seed means.
        self._drawn[(place, key)] += 1
        text = f"{self._seed}/{place}/{key}/{self._drawn[(place, key)]}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


def _chooses(fault: InjectedFault, claim: Claim) -> bool:
    return fault.api in (None, claim.api) and (fault.key is None or fnmatchcase(claim.key, fault.key))
