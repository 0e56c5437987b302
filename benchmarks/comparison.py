"""Candidates measured in turn, so that a busy machine slows all of them alike."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from benchmarks.measure import Unavailable, ratios, spread

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Candidate(Generic[T]):
    """One way to do the work; `measure` does it once, or raises Unavailable."""

    name: str
    measure: Callable[[], T]


@dataclass(slots=True)
class Measurements(Generic[T]):
    """Measurements of one candidate in order, or the reason why there are none."""

    name: str
    measured: list[T] = field(default_factory=list)
    reason: str | None = None

    def cells(self, *figures: Callable[[T], float]) -> tuple[str, ...]:
        """Return name and figures as cells of a table; the reason replaces the figures if there are none."""
        if self.reason:
            return self.name, self.reason, *[""] * (len(figures) - 1)
        return self.name, *(spread([figure(one) for one in self.measured]) for figure in figures)

    def times(self, other: "Measurements[T]", figure: Callable[[T], float]) -> str:
        """Return its figures divided by those of another candidate, pair by pair, as a cell."""
        if self.reason or other.reason:
            return ""
        return spread(ratios([figure(one) for one in self.measured], [figure(one) for one in other.measured]))


def compare(candidates: Sequence[Candidate[T]], runs: int) -> list[Measurements[T]]:
    """Measure each candidate `runs` times, in turn; skip a candidate after its first failure."""
    entries = [Measurements[T](candidate.name) for candidate in candidates]
    for turn in range(1, runs + 1):
        for candidate, entry in zip(candidates, entries, strict=True):
            if entry.reason is None:
                sys.stderr.write(f"  {turn} of {runs}: {candidate.name}\n")
                _measure(candidate, entry)
    return entries


def _measure(candidate: Candidate[T], entry: Measurements[T]) -> None:
    try:
        entry.measured.append(candidate.measure())
    except Unavailable as exc:
        entry.reason = str(exc)
