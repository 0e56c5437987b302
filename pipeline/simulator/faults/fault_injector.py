"""The fault injector: picks the faults of each request."""

import hashlib
import threading
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase

from pipeline.errors import SettingsError
from pipeline.simulator.faults.fault import FaultKind, InjectedFault, When, errors_of
from pipeline.simulator.ruling import Claim


class ActiveFaults:
    """The faults of one request: any number of kind `slow`, and at most one other."""

    def __init__(self, faults: Sequence[InjectedFault]) -> None:
        self._faults = faults
        self.main = next((fault for fault in faults if fault.kind is not FaultKind.SLOW), None)

    @property
    def name(self) -> str | None:
        """Return the kind for the journal."""
        # A str, because the journal's summary has it as a key, and orjson accepts no enum there.
        return self.main.kind.value if self.main else FaultKind.SLOW.value if self._faults else None

    def kind(self, *kinds: FaultKind) -> InjectedFault | None:
        """Return the main fault if it has one of these kinds."""
        return self.main if self.main and self.main.kind in kinds else None

    def delay(self, when: When) -> float:
        """Return the delay before or after applying, in seconds."""
        slow = (fault for fault in self._faults if fault.kind is FaultKind.SLOW)
        return sum(fault.seconds or 0.0 for fault in slow if (fault.when or When.BEFORE_APPLYING) is when)


class FaultInjector:
    """
    The faults in force, and counts of their hits. Thread-safe.

    Faults are tried in order. After the first hit of a kind other than `slow`, later faults do not see the request.
    Raises SettingsError for a wrong fault.
    """

    def __init__(self, faults: Sequence[InjectedFault], *, seed: int, at: float) -> None:
        self._lock = threading.Lock()
        self._seed = seed
        self.change(faults, at=at)

    def change(self, faults: Sequence[InjectedFault], *, at: float) -> None:
        """Replace the faults from that steady time on, and reset all counts."""
        wrong = [f"fault {place}: {error}" for place, fault in enumerate(faults, 1) for error in errors_of(fault)]
        if wrong:
            raise SettingsError(wrong)
        with self._lock:
            self._faults = tuple(faults)
            self._since = at
            self._matched: Counter[tuple[int, str]] = Counter()
            self._hits: Counter[tuple[int, str]] = Counter()
            self._drawn: Counter[tuple[int, str]] = Counter()

    def faults_of(self, claim: Claim, at: float) -> ActiveFaults:
        """Return the faults that hit this request, and count them."""
        hits: list[InjectedFault] = []
        with self._lock:
            for place, fault in enumerate(self._faults):
                if _chooses(fault, claim) and self._hits_now(place, fault, claim.key, at - self._since):
                    hits.append(fault)
                    if fault.kind is not FaultKind.SLOW:
                        break
        return ActiveFaults(hits)

    def _hits_now(self, place: int, fault: InjectedFault, key: str, age: float) -> bool:
        counted = (place, key if fault.each_key else "")
        self._matched[counted] += 1
        number = self._matched[counted]
        is_hit = (
            (fault.first is None or number <= fault.first)
            and (fault.every is None or number % fault.every == 0)
            and (fault.times is None or self._hits[counted] < fault.times)
            and (fault.after_seconds is None or age >= fault.after_seconds)
            and (fault.until_seconds is None or age < fault.until_seconds)
            and (fault.probability is None or self._chance(place, key) < fault.probability)
        )
        self._hits[counted] += is_hit
        return is_hit

    def _chance(self, place: int, key: str) -> float:
        # Drawn from the key and its count, so that the order of threads does not change the result of a seed.
        self._drawn[(place, key)] += 1
        text = f"{self._seed}/{place}/{key}/{self._drawn[(place, key)]}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


def _chooses(fault: InjectedFault, claim: Claim) -> bool:
    return fault.api in (None, claim.api) and (fault.key is None or fnmatchcase(claim.key, fault.key))
