"""Sizes of full ledgers: their order, and the number of measurements."""

import pytest

from benchmarks.__main__ import arguments, command
from benchmarks.repeat import in_turn, reported, times


@pytest.mark.parametrize(
    ("words", "sizes"),
    [
        pytest.param([], [25_000, 50_000, 100_000], id="none named: shares of the rows to plan"),
        pytest.param(["--rows", "4000"], [1_000, 2_000, 4_000], id="of however many those are"),
        pytest.param(["--rows", "4000", "--known", "7", "9"], [7, 9], id="named"),
        pytest.param(["repeat", "--known", "7"], [7], id="one, for one part"),
    ],
)
def test_sizes_are_given_or_shares_of_the_rows(words: list[str], sizes: list[int]) -> None:
    """Without --known, the sizes are the planned rows, half and a quarter of them."""
    assert arguments(words).known == sizes


@pytest.mark.parametrize(
    ("sizes", "order"),
    [
        pytest.param([25, 50, 100], [25, 50, 100], id="all shorter than the aim: the longest"),
        pytest.param([20_000_000, 1_000_000, 5_000_000], [1_000_000, 20_000_000, 5_000_000], id="the aim itself"),
        pytest.param(
            [20_000_000, 6_000_000, 6_000_000], [20_000_000, 6_000_000], id="nearest to it, and each but once"
        ),
        pytest.param([7], [7], id="one alone"),
    ],
)
def test_the_size_nearest_to_the_aim_comes_last_and_is_reported_on(sizes: list[int], order: list[int]) -> None:
    """The other sizes are measured in ascending order."""
    assert (in_turn(sizes), reported(sizes)) == (order, order[-1])


def test_large_ledgers_are_measured_less_often() -> None:
    """Above a million rows there are up to 2 measurements, and never more than for other sizes."""
    assert [times(1_000_000, 3), times(1_000_001, 3), times(5_000_000, 1)] == [3, 2, 1]


def test_the_command_names_what_was_used() -> None:
    """The command on the page has all options that were used, defaults included."""
    line = 'make bench ROWS=400 KNOWN="100 200 400" SENT=30 SECONDS=10 RUNS=3'

    assert command(arguments(["--rows", "400", "--sent", "30"])) == line
    assert command(arguments(["--rows", "400", "--sent", "30", "--peers", "p"])) == f"{line} PEERS=1"
    part = "python -m benchmarks send --sent 30 --runs 3 --peers FOLDER"
    assert command(arguments(["send", "--sent", "30", "--peers", "p"])) == part
    assert command(arguments(["repeat", "report", "--known", "7", "9"])) == (
        "python -m benchmarks repeat report --known 7 9 --runs 3"
    )
    assert command(arguments(["known", "--known", "7", "9", "--ledger", "postgresql"])) == (
        "python -m benchmarks known --known 7 9 --shuffled 7 --ledger postgresql --runs 3"
    )
