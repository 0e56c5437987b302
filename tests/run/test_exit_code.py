"""The exit code of several jobs."""

import pytest

from pipeline.run.exit_code import worst_of


@pytest.mark.parametrize(
    ("codes", "worst"),
    [
        pytest.param([], 0, id="no job"),
        pytest.param([0, 6, 0], 6, id="another run is active"),
        pytest.param([3, 6, 0], 3, id="rows left"),
        pytest.param([5, 3, 6], 5, id="interrupted"),
        pytest.param([2, 5, 3], 2, id="input error"),
        pytest.param([4, 2, 5], 4, id="stopped itself"),
        pytest.param([1, 4, 2], 1, id="internal error"),
    ],
)
def test_the_worst_exit_code_counts(codes: list[int], worst: int) -> None:
    """The order is 1, 4, 2, 5, 3, 6, 0, whatever the order of the jobs."""
    assert (worst_of(codes), worst_of(reversed(codes))) == (worst, worst)
