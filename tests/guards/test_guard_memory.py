"""Memory does not grow with the rows: what a run holds is a chunk or a page, however long the night or a lane."""

from pathlib import Path

import pytest

from pipeline.ledger.records import Phase
from tests.guards.spending import peaks

# One chunk or page may be fuller than another; what grew with the rows would be three times as much.
GROWTH = 1.5
# The first run of a process imports modules, so a run of 10 rows comes first and is not compared.
IMPORTS = 10


@pytest.mark.slow
def test_staging_takes_no_more_memory_for_three_times_the_rows(tmp_path: Path) -> None:
    """The most that staging holds at once is the same for several chunks as for one."""
    _, few, many = (peaks(tmp_path / str(rows), rows, delivers=False) for rows in (IMPORTS, 9_000, 27_000))

    assert many[Phase.STAGING] < GROWTH * few[Phase.STAGING]


@pytest.mark.slow
def test_delivering_takes_no_more_memory_for_three_times_the_rows(tmp_path: Path) -> None:
    """The most that delivering holds at once is the same for six pages of dues as for two."""
    _, few, many = (peaks(tmp_path / str(rows), rows, delivers=True) for rows in (IMPORTS, 2_000, 6_000))

    assert many[Phase.DELIVERING] < GROWTH * few[Phase.DELIVERING]


@pytest.mark.slow
def test_delivering_takes_no_more_memory_for_a_lane_of_three_times_the_rows(tmp_path: Path) -> None:
    """The most that delivering holds at once is the same where all rows are of one agreement."""
    # The first run of a process also loads what all runs share.
    _, few, many = (peaks(tmp_path / str(rows), rows, delivers=True, one_lane=True) for rows in (100, 2_000, 6_000))

    assert many[Phase.DELIVERING] < GROWTH * few[Phase.DELIVERING]
