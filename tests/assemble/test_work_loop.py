"""The loop of a worker."""

from dataclasses import dataclass, field

from pipeline.assemble.work_loop import IDLE_SECONDS, work_until_stopped
from tests.moved_clock import MovedClock


@dataclass
class Pieces:
    """Work of one kind: so many pieces, each noted when it is done."""

    name: str
    left: int
    done: list[str] = field(default_factory=list)

    def do_next(self) -> bool:
        if not self.left:
            return False
        self.left -= 1
        self.done.append(self.name)
        return True


def test_the_kinds_come_in_their_order_until_there_is_no_work() -> None:
    """With `once` the loop ends without a pause; each look ticks."""
    done: list[str] = []
    clock, ticks = MovedClock(), [0]

    def tick() -> None:
        ticks[0] += 1

    work_until_stopped([Pieces("a", 2, done), Pieces("b", 1, done)], clock, lambda: False, tick=tick, once=True)

    assert (done, clock.sleeps, ticks) == (["a", "a", "b"], [], [4])


def test_without_work_it_pauses_until_it_is_stopped() -> None:
    """It looks again after each pause."""
    clock = MovedClock()
    work_until_stopped([Pieces("a", 0)], clock, lambda: len(clock.sleeps) == 3)

    assert clock.sleeps == [IDLE_SECONDS] * 3
