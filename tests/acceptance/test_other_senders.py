"""Points that others send too, with the real command."""

import json

import pytest

from pipeline.simulator import Api
from tests.acceptance.workspace import Workspace, balance

OTHERS = {"other_senders": True}


@pytest.mark.parametrize(
    ("settings", "statuses", "requests"),
    [
        pytest.param({}, ["skipped unchanged"] * 2, 2, id="nobody else"),
        pytest.param(OTHERS, ["succeeded SUCCESS"] * 2, 4, id="others"),
        pytest.param({**OTHERS, "unchanged_for": "1h"}, ["skipped unchanged"] * 2, 2, id="trusted for an hour"),
    ],
)
def test_the_same_export_is_sent_again_if_others_send_too(
    workspace: Workspace, settings: dict[str, object], statuses: list[str], requests: int
) -> None:
    """With other senders equal balances are sent again, each under a new key; the plan says the same."""
    workspace.configure({"jobs.points": settings})
    workspace.export("points.csv", [balance(1, 100), balance(2, 0)])
    workspace.backfill("run", "points")

    planned = json.loads(workspace.backfill("plan", "points", "--json").stdout)
    assert workspace.backfill("run", "points").exit_code == 0

    keys = workspace.requests(Api.POINTS)
    assert (workspace.results(), planned["requests"]) == (statuses, requests - 2)
    assert len(keys) == len(set(keys)) == requests


def test_a_share_lowers_the_quota(workspace: Workspace) -> None:
    """A run uses its share of the rate: 2 of 5 requests per second with 0.4, and the plan computes with that."""
    workspace.configure({"jobs.points": {"share": 0.4}})
    workspace.export("points.csv", [balance(card, 100) for card in range(4)])

    planned = json.loads(workspace.backfill("plan", "points", "--json").stdout)
    assert workspace.backfill("run", "points").exit_code == 0

    arrived = [entry.steady for entry in workspace.simulator.journal.entries]
    assert planned["seconds"] == 2.0
    assert workspace.summary()["quota"]["limit_per_s"] == 2.0
    assert all(later - earlier >= 1.0 for earlier, later in zip(arrived, arrived[2:], strict=False))
