"""Figures of several processes: the cost of more rows, and the time that the CPU time allows."""

import pytest

from benchmarks.measure import Cost, Unavailable
from benchmarks.postgresql import SharedCost
from benchmarks.processes import more_sent, path_seconds


def test_the_cost_of_more_rows_excludes_the_start() -> None:
    """Some of the rows are sent first, and their cost is left out; memory is that of all rows."""

    def sent(rows: int) -> SharedCost:
        cost = Cost(2.0 + rows / 1024, 1.0 + rows / 2048, 100.0 + rows)
        return SharedCost(cost, 0.5 + rows / 4096, 1.5, worker_seconds=3.0 + rows / 512, ray_seconds=rows / 8192)

    found = more_sent(sent, 10_240, 1_024)

    assert found == SharedCost(Cost(9.0, 4.5, 10_340.0), 2.25, 1.5, worker_seconds=18.0, ray_seconds=1.125)
    assert (found.own_seconds, found.all_seconds) == (22.5, 25.875)


def test_too_few_rows_are_not_measured() -> None:
    """If more rows cost no more, Unavailable is raised instead of a wrong figure."""
    with pytest.raises(Unavailable, match="too few rows"):
        more_sent(lambda _rows: SharedCost(Cost(1.0, 1.0, 1.0), 0.0, 0.0), 1_000, 100)


@pytest.mark.parametrize(
    ("printed", "seconds"),
    [
        pytest.param("12.0 8.0 0.0", 12.0, id="one process: its own time and the server's"),
        pytest.param("9.0 5.0 3.0", 7.0, id="two: the time of the one that takes more, and half of the server's"),
        pytest.param("9.0 5.0 6.0", 8.0, id="two: the other process may be that one"),
    ],
)
def test_the_process_that_takes_more_is_the_path_of_staging(printed: str, seconds: float) -> None:
    """By CPU time: with a core for each process and each of its connections."""
    assert path_seconds(SharedCost(Cost(9.0, 9.5, 1.0, f"{printed}\n"), 4.0, 0.0)) == seconds


def test_two_workers_of_a_cluster_work_beside_the_driver() -> None:
    """The driver stages slices too, and each of the three has a third of the server's time."""
    assert path_seconds(SharedCost(Cost(9.0, 9.5, 1.0, "9.0 8.0 0.0\n"), 6.0, 0.0, worker_seconds=6.0)) == 10.0
