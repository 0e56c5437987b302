"""
What a row costs, in things that can be counted: the same count on every machine, however busy.

A bound is a little above what is spent. One that is exceeded says that rows became dearer; `make bench` says by how
much.
"""

from functools import partial
from pathlib import Path

import pytest

from pipeline.ledger.records import Phase
from tests.guards.spending import Count, spent_a_row, statements

ROWS = 512


@pytest.mark.parametrize(
    ("count", "bounds"),
    [
        pytest.param(
            statements,
            {Phase.STAGING: 2.1, Phase.DELIVERING: 0.7, Phase.CONCLUDED: 0.1},
            id="statements: a row and its due; look, intend, settle and forget, for 32 at once; pages",
        ),
        pytest.param(
            partial(statements, only="COMMIT"),
            {Phase.STAGING: 0.1, Phase.DELIVERING: 0.09, Phase.CONCLUDED: 0.1},
            id="commits: the intents of 32 are what makes the outcomes of those before durable",
        ),
    ],
)
def test_a_row_costs_no_more_than_it_did(count: Count, bounds: dict[Phase, float], tmp_path: Path) -> None:
    """What one row more takes in each act of a run stays within its bound."""
    spent = spent_a_row(tmp_path, ROWS, count)

    assert {act: spent[act] for act in Phase if spent[act] > bounds[act]} == {}
