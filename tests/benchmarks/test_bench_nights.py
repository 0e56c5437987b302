"""Sizes of a past: which there are, in which order they are measured, and how often."""

import pytest

from benchmarks.__main__ import arguments, command
from benchmarks.nights import in_turn, reported, times


@pytest.mark.parametrize(
    ("words", "sizes"),
    [
        pytest.param([], [25_000, 50_000, 100_000], id="none named: shares of the rows to plan"),
        pytest.param(["--rows", "4000"], [1_000, 2_000, 4_000], id="of however many those are"),
        pytest.param(["--rows", "4000", "--known", "7", "9"], [7, 9], id="named"),
        pytest.param(["nights", "--known", "7"], [7], id="one, for one part"),
    ],
)
def test_sizes_are_those_named_or_shares_of_the_rows(words: list[str], sizes: list[int]) -> None:
    """What is not named is as long as what is planned, and two shorter ones."""
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
    """The others go from short to long, so that one past is kept at a time."""
    assert (in_turn(sizes), reported(sizes)) == (order, order[-1])


def test_long_pasts_are_measured_less_often() -> None:
    """Above a million twice at most, and never more often than the others."""
    assert [times(1_000_000, 3), times(1_000_001, 3), times(5_000_000, 1)] == [3, 2, 1]


def test_the_command_names_what_was_used() -> None:
    """Whoever repeats the line of the page measures the same, whatever was left out of the first one."""
    line = 'make bench ROWS=400 KNOWN="100 200 400" SENT=30 SECONDS=10 RUNS=3'

    assert command(arguments(["--rows", "400", "--sent", "30"])) == line
    assert command(arguments(["--rows", "400", "--sent", "30", "--peers", "p"])) == f"{line} PEERS=1"
    part = "python -m benchmarks send --sent 30 --runs 3 --peers FOLDER"
    assert command(arguments(["send", "--sent", "30", "--peers", "p"])) == part
    assert command(arguments(["nights", "report", "--known", "7", "9"])) == (
        "python -m benchmarks nights report --known 7 9 --runs 3"
    )
