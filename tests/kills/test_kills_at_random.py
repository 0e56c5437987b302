"""The real command killed at random moments; `python -m tests.kills` does the same for longer."""

from pathlib import Path

import pytest

from pipeline.settings import TransportName
from pipeline.simulator import Simulator
from tests.kills.exports import orders, points
from tests.kills.histories import Killer


@pytest.mark.parametrize(("transport", "kills"), [(TransportName.REQUESTS, 12), (TransportName.CURL, 6)])
def test_a_run_that_is_killed_again_and_again_ends_as_if_it_had_not_been(
    tmp_path: Path, simulator: Simulator, transport: TransportName, kills: int
) -> None:
    """Each row has its one outcome, each key is counted once, and a kill costs no more repeats than is promised."""
    figures = Killer(tmp_path, simulator, orders(150), seed=1, transport=transport).play(kills)

    assert figures.kills == kills


def test_kills_and_restarts_do_not_break_the_quota(tmp_path: Path, simulator: Simulator) -> None:
    """In no second does the platform see more balances than it allows, also where processes die and are restarted."""
    figures = Killer(tmp_path, simulator, points(8), seed=2).play(2)

    assert figures.kills == 2
