"""Splits a lane into stretches of dues that are admitted together."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.ledger.records import Due
from pipeline.ledger.rules.admission import Admission

# Dues admitted by one commit. After a crash each admitted due counts as possibly sent, so the number is small.
_LONGEST_STRETCH = 4

# Dues of a lane that may be admitted together: none waits for the outcome of another.
Stretch = Sequence[Due]


@dataclass(frozen=True, slots=True)
class Lane:
    """Dues to send in order. `admissions` are those of the first stretch; other stretches are read in turn."""

    first: Stretch
    admissions: Sequence[Admission]
    others: Iterator[Stretch]


def draw(lanes: Iterator[Iterable[Due]], dues: int) -> list[tuple[Stretch, Iterator[Stretch]]]:
    """Take lanes until their first stretches have `dues` dues in total; return each first stretch and the others."""
    drawn: list[tuple[Stretch, Iterator[Stretch]]] = []
    while dues > 0 and (lane := next(lanes, None)) is not None:
        others = stretches(lane)
        first = next(others)
        drawn.append((first, others))
        dues -= len(first)
    return drawn


def stretches(dues: Iterable[Due]) -> Iterator[Stretch]:
    """Split the dues of a lane before each due that may have to wait for an earlier outcome. Keep their order."""
    stretch: list[Due] = []
    for due in dues:
        if stretch and (len(stretch) == _LONGEST_STRETCH or _waits(due)):
            yield stretch
            stretch = []
        stretch.append(due)
    if stretch:
        yield stretch


def _waits(due: Due) -> bool:
    """Return whether a due may have to wait: a refund for its payment, a state or a balance for an earlier one."""
    return due.state is not None or due.refund_of is not None or due.balance is not None
