"""
The cost of a row in countable things: the same count on every machine, however busy.

A bound is a little above the present cost. If it is exceeded, rows became more expensive; `make bench` measures by how
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
            id="statements: a row and its due; look up, intend, settle and delete, for 32 at once; pages",
        ),
        pytest.param(
            partial(statements, only="COMMIT"),
            {Phase.STAGING: 0.1, Phase.DELIVERING: 0.09, Phase.CONCLUDED: 0.1},
            id="commits: one for 32 intents and the outcomes before them",
        ),
    ],
)
def test_the_cost_of_a_row_stays_within_its_bounds(count: Count, bounds: dict[Phase, float], tmp_path: Path) -> None:
    """One more row stays within the bound of each phase of a run."""
    spent = spent_a_row(tmp_path, ROWS, count)

    assert {phase: spent[phase] for phase in Phase if spent[phase] > bounds[phase]} == {}
