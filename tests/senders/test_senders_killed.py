"""Real processes that send for one run are killed, or frozen for longer than their lease."""

import pytest

from tests.senders import slice_kills
from tests.senders.kills import Death, Killed, play
from tests.senders.scene import Scene


@pytest.mark.parametrize("death", list(Death))
def test_a_run_survives_the_death_of_a_process(scene: Scene, death: Death) -> None:
    """Each row succeeds, each key has one body, and only what one process had under way is repeated."""
    assert play(scene, death, after=20, rows=60) == Killed(exit_code=0, was_refused=death is Death.FROZEN)


def test_a_run_survives_the_death_of_its_driver_while_it_is_staged(scene: Scene) -> None:
    """`resume` stages the inputs again, and each row is sent once; what a worker had staged counts for nothing."""
    assert slice_kills.play(scene, Death.LEADER, after=4, slices=8) == Killed(exit_code=0, was_refused=False)
