"""Memory does not grow with the rows: a run holds a chunk or a page, for any number of rows."""

from pathlib import Path

import pytest

from pipeline.ledger.records import Phase
from tests.guards.spending import peaks

# Chunks and pages differ in size. Memory that grows with the rows would be 3 times as much.
GROWTH = 1.5
# The first run of a process imports modules, so a run of 10 rows comes first and is not compared.
IMPORTS = 10


@pytest.mark.slow
def test_staging_takes_no_more_memory_for_three_times_the_rows(tmp_path: Path) -> None:
    """The peak memory of staging is the same for several chunks as for one."""
    _, few, many = (peaks(tmp_path / str(rows), rows, delivers=False) for rows in (IMPORTS, 9_000, 27_000))

    assert many[Phase.STAGING] < GROWTH * few[Phase.STAGING]


@pytest.mark.slow
def test_delivering_takes_no_more_memory_for_three_times_the_rows(tmp_path: Path) -> None:
    """The peak memory of delivering is the same for 6 pages of dues as for 2."""
    _, few, many = (peaks(tmp_path / str(rows), rows, delivers=True) for rows in (IMPORTS, 500, 1_500))

    assert many[Phase.DELIVERING] < GROWTH * few[Phase.DELIVERING]


@pytest.mark.slow
def test_delivering_takes_no_more_memory_for_a_longer_lane(tmp_path: Path) -> None:
    """The peak memory of delivering is the same if all rows are of one agreement."""
    # The first run of a process also imports modules that all runs share.
    _, few, many = (peaks(tmp_path / str(rows), rows, delivers=True, one_lane=True) for rows in (100, 500, 1_500))

    assert many[Phase.DELIVERING] < GROWTH * few[Phase.DELIVERING]
