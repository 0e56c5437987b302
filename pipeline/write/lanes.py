"""The order within a lane, and which of its dues are admitted together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.ledger.records import Due
from pipeline.ledger.rules.admission import Admission

# After a crash what was admitted counts as possibly sent: so no lane has all of its dues admitted at once.
_LONGEST_STRETCH = 4

# Dues of a lane that may be admitted together: none of them waits for what becomes of another.
Stretch = Sequence[Due]


@dataclass(frozen=True, slots=True)
class Lane:
    """Dues that go one after another, one stretch at least; those of the first one are admitted, or are not."""

    stretches: Sequence[Stretch]
    first: Sequence[Admission]


def draw(lanes: Iterator[Sequence[Due]], dues: int) -> list[list[Stretch]]:
    """Return the next lanes, as many as it takes until their first stretches hold so many dues."""
    drawn: list[list[Stretch]] = []
    while dues > 0 and (lane := next(lanes, None)):
        drawn.append(list(stretches(payments_first(lane))))
        dues -= len(drawn[-1][0])
    return drawn


def stretches(dues: Iterator[Due]) -> Iterator[Stretch]:
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


def payments_first(lane: Sequence[Due]) -> Iterator[Due]:
    """
    Yield the dues of a lane in source order, but a refund that comes before its payment right after that payment.

    Refunds that name each other in a circle come last.
    """
    here = {due.identity for due in lane}
    seen: set[str] = set()
    waiting: dict[str, list[Due]] = {}
    for due in lane:
        if due.refund_of in here and due.refund_of not in seen:
            waiting.setdefault(due.refund_of, []).append(due)
        else:
            yield from _with_those_that_wait(due, waiting, seen)
    for circle in waiting.values():
        yield from circle


def _with_those_that_wait(due: Due, waiting: dict[str, list[Due]], seen: set[str]) -> Iterator[Due]:
    ready = [due]
    while ready:
        due = ready.pop(0)
        seen.add(due.identity)
        yield due
        ready.extend(waiting.pop(due.identity, ()))
