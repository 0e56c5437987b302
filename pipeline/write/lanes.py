"""The order within a lane, and which of its dues are admitted together."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.ledger.records import Due
from pipeline.ledger.rules.admission import Admission

# After a crash what was admitted counts as possibly sent: so no lane has all of its dues admitted at once.
_LONGEST_STRETCH = 4

# Dues of a lane that may be admitted together: none of them waits for what becomes of another.
Stretch = Sequence[Due]


@dataclass(frozen=True, slots=True)
class Lane:
    """Dues that go one after another; those of the first stretch are admitted, or are not. Others are read in turn."""

    first: Stretch
    admissions: Sequence[Admission]
    others: Iterator[Stretch]


def draw(lanes: Iterator[Iterable[Due]], dues: int) -> list[tuple[Stretch, Iterator[Stretch]]]:
    """Return the next lanes, as many as it takes until their first stretches hold so many dues; and their others."""
    drawn: list[tuple[Stretch, Iterator[Stretch]]] = []
    while dues > 0 and (lane := next(lanes, None)) is not None:
        others = stretches(lane)
        first = next(others)
        drawn.append((first, others))
        dues -= len(first)
    return drawn


def stretches(dues: Iterable[Due]) -> Iterator[Stretch]:
    """Cut the dues of a lane, in their order, where one has to wait for what becomes of those before it."""
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
