"""The loop of a worker: it does the work that a ledger has for it, one kind after another, until it is stopped."""

from collections.abc import Callable, Sequence
from typing import Protocol

from pipeline.clock import Clock

# Pause while there is no work.
IDLE_SECONDS = 1.0


class Work(Protocol):
    """One kind of work, such as sending partitions."""

    def do_next(self) -> bool:
        """Do one piece of work; return whether there was one."""
        ...


def work_until_stopped(
    kinds: Sequence[Work],
    clock: Clock,
    is_stopped: Callable[[], bool],
    *,
    tick: Callable[[], None] = lambda: None,
    once: bool = False,
) -> None:
    """
    Do work of all kinds, those named first before others, until `is_stopped`; with `once` until there is none left.

    `tick` is called before each look for work.
    """
    while not is_stopped():
        tick()
        if any(kind.do_next() for kind in kinds):
            continue
        if once:
            return
        clock.sleep(IDLE_SECONDS)
