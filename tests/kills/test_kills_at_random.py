"""The real command killed at random moments; `python -m tests.kills` does the same for longer."""

from pathlib import Path

import pytest

from pipeline.settings import TransportName
from pipeline.simulator import Simulator
from tests.kills.exports import orders, points
from tests.kills.histories import Killer


@pytest.mark.parametrize(("transport", "kills"), [(TransportName.REQUESTS, 8), (TransportName.CURL, 4)])
def test_a_run_that_is_killed_many_times_completes(
    tmp_path: Path, simulator: Simulator, transport: TransportName, kills: int
) -> None:
    """Each row has one outcome, each key counts once, and a kill repeats no more requests than promised."""
    figures = Killer(tmp_path, simulator, orders(150), seed=1, transport=transport).play(kills)

    assert figures.kills == kills


def test_kills_and_restarts_do_not_break_the_quota(tmp_path: Path, simulator: Simulator) -> None:
    """No second of the platform has more balances than allowed, also with kills and restarts."""
    figures = Killer(tmp_path, simulator, points(8), seed=2).play(2)

    assert figures.kills == 2
