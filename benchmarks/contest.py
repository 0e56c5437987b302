"""Several ways to do the same, measured in turn, so that a machine that is busy for a while is so for all of them."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from benchmarks.measure import Unavailable, ratios, spread

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Contestant(Generic[T]):
    """One way to do it; `measure` does it once, or raises Unavailable."""

    name: str
    measure: Callable[[], T]


@dataclass(slots=True)
class Entry(Generic[T]):
    """What was measured of one contestant, time by time; or why nothing was."""

    name: str
    measured: list[T] = field(default_factory=list)
    excuse: str | None = None

    def cells(self, *figures: Callable[[T], float]) -> tuple[str, ...]:
        """Return its name and these figures of it as cells of a table; the excuse in place of the first, if need be."""
        if self.excuse:
            return self.name, self.excuse, *[""] * (len(figures) - 1)
        return self.name, *(spread([figure(one) for one in self.measured]) for figure in figures)

    def times(self, other: "Entry[T]", figure: Callable[[T], float]) -> str:
        """Return as a cell how many times the other's figure its own is, pair by pair."""
        if self.excuse or other.excuse:
            return ""
        return spread(ratios([figure(one) for one in self.measured], [figure(one) for one in other.measured]))


def contest(contestants: Sequence[Contestant[T]], runs: int) -> list[Entry[T]]:
    """Measure each contestant so many times, in turn; one that can't be measured is left out from then on."""
    entries = [Entry[T](contestant.name) for contestant in contestants]
    for turn in range(1, runs + 1):
        for contestant, entry in zip(contestants, entries, strict=True):
            if entry.excuse is None:
                sys.stderr.write(f"  {turn} of {runs}: {contestant.name}\n")
                _measure(contestant, entry)
    return entries


def _measure(contestant: Contestant[T], entry: Entry[T]) -> None:
    try:
        entry.measured.append(contestant.measure())
    except Unavailable as exc:
        entry.excuse = str(exc)
