"""The order of dues within a lane, and which of them are admitted together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.ledger.records import Due
from pipeline.ledger.rules.admission import Admission

# Dues admitted by one commit. After a crash each admitted due counts as possibly sent, so the number is small.
_LONGEST_STRETCH = 4

# Dues of a lane that may be admitted together: none waits for the outcome of another.
Stretch = Sequence[Due]


@dataclass(frozen=True, slots=True)
class Lane:
    """Dues to send in order, in one stretch or more. `first` has the admissions of the first stretch."""

    stretches: Sequence[Stretch]
    first: Sequence[Admission]


def draw(lanes: Iterator[Sequence[Due]], dues: int) -> list[list[Stretch]]:
    """Take lanes until their first stretches have `dues` dues in total; return the stretches of each lane."""
    drawn: list[list[Stretch]] = []
    while dues > 0 and (lane := next(lanes, None)):
        drawn.append(list(stretches(payments_first(lane))))
        dues -= len(drawn[-1][0])
    return drawn


def stretches(dues: Iterator[Due]) -> Iterator[Stretch]:
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


def payments_first(lane: Sequence[Due]) -> Iterator[Due]:
    """
    Yield the dues of a lane in source order, but a refund above its payment directly after that payment.

    Refunds that name each other in a cycle come last.
    """
    here = {due.identity for due in lane}
    seen: set[str] = set()
    waiting: dict[str, list[Due]] = {}
    for due in lane:
        if due.refund_of in here and due.refund_of not in seen:
            waiting.setdefault(due.refund_of, []).append(due)
        else:
            yield from _with_waiting_refunds(due, waiting, seen)
    for cycle in waiting.values():
        yield from cycle


def _with_waiting_refunds(due: Due, waiting: dict[str, list[Due]], seen: set[str]) -> Iterator[Due]:
    ready = [due]
    while ready:
        due = ready.pop(0)
        seen.add(due.identity)
        yield due
        ready.extend(waiting.pop(due.identity, ()))
