"""Real processes that send for one run are killed, frozen, or cut off for longer than their lease."""

from pathlib import Path

import pytest

from tests.postgresql.server import running
from tests.senders import slice_kills
from tests.senders.kills import OUTAGE_LEASE_SECONDS, Death, Killed, outlast, play
from tests.senders.scene import Scene, scene_on


@pytest.mark.parametrize("death", list(Death))
def test_a_run_survives_the_death_of_a_process(scene: Scene, death: Death) -> None:
    """Each row succeeds, each key has one body, and only what one process had under way is repeated."""
    assert play(scene, death, after=20, rows=60) == Killed(exit_code=0, was_refused=death is Death.FROZEN)


def test_a_run_survives_an_outage_of_the_server_that_is_longer_than_leases(tmp_path: Path) -> None:
    """All processes go on, none ends the lease of another one, and each row succeeds with one body."""
    with running() as server, scene_on(server, tmp_path) as scene:
        outlast(scene, server, after=20, rows=60, away=1.25 * OUTAGE_LEASE_SECONDS)


def test_a_run_survives_the_death_of_its_driver_while_it_is_staged(scene: Scene) -> None:
    """`resume` stages the inputs again, and each row is sent once; what a worker had staged counts for nothing."""
    assert slice_kills.play(scene, Death.LEADER, after=4, slices=8) == Killed(exit_code=0, was_refused=False)
