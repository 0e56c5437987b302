"""The order within a lane."""

from collections.abc import Iterator, Sequence

from pipeline.ledger.records import Due


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
