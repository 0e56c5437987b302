"""Run ids, the default day and row limits of a new run."""

from datetime import UTC, date, datetime
from random import Random

import pytest

from pipeline.assemble.parts.new_run import new_run_id, yesterday
from pipeline.model import Api, RowLimit
from tests.assemble.parts.test_platform import job

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("most", "rows", "number"),
    [
        pytest.param(RowLimit(7), 1000, 7, id="a-number"),
        pytest.param(RowLimit(5, in_percent=True), 1000, 50, id="a-share"),
        pytest.param(RowLimit(5, in_percent=True), 10, 0.5, id="a-share-of-few"),
        pytest.param(RowLimit(5, in_percent=True), 0, 0, id="a-share-of-none"),
    ],
)
def test_how_many_rows_may_fail(most: RowLimit, rows: int, number: float) -> None:
    """A percentage refers to the rows of the run."""
    assert most.of(rows) == number


def test_a_run_id_sorts_by_time_and_is_unique() -> None:
    """Run ids sort by time, and ids of the same time differ."""
    chance = Random(1)
    ids = [new_run_id(NOON.replace(hour=hour), chance) for hour in (1, 2, 2, 23)]

    assert ids[0] < min(ids[1:3]) <= max(ids[1:3]) < ids[3]
    assert len(set(ids)) == 4
    assert all(len(run_id) == 26 for run_id in ids)


def test_the_default_day_is_yesterday_in_the_jobs_zone() -> None:
    """Without --date, inputs are those of the day before, in the job's zone."""
    assert yesterday(job(Api.POINTS), NOON) == date(2026, 2, 28)
