"""Figures: measuring, combining and formatting."""

from functools import partial
from pathlib import Path
from threading import Barrier

import pytest

from benchmarks.comparison import Candidate, compare
from benchmarks.measure import Cost, Pace, Unavailable, cost_at_once, cost_of, number, pace_of, python, ratios, spread
from benchmarks.peers.installed import PEERS, python_of
from benchmarks.quota import shares


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(1234567.8, "1,234,568", id="many"),
        pytest.param(99.94, "99.9", id="tens"),
        pytest.param(1.206, "1.21", id="few"),
        pytest.param(0.004, "0.00", id="hardly any"),
    ],
)
def test_a_figure_has_about_three_digits(value: float, shown: str) -> None:
    """Large figures are whole numbers, small ones have 2 places."""
    assert number(value) == shown


def test_a_spread_has_median_least_and_greatest() -> None:
    """The order of measurements does not matter; equal measurements give one figure."""
    assert (spread([3.0, 1.0, 2.0]), spread([2.0])) == ("2.00 (1.00 to 3.00)", "2.00")


def test_a_pace_excludes_the_start() -> None:
    """A pace has the cost of a row without the start, and the memory of both sizes."""

    def act(rows: int) -> Cost:
        return Cost(2.0 + rows / 1024, 1.0 + rows / 2048, 100.0 + rows / 100)

    assert pace_of(act, 1000) == Pace(1 / 1024, 1 / 2048, 110.0, 101.0)


def test_too_few_rows_are_not_measured() -> None:
    """If more rows cost no more, Unavailable is raised instead of a wrong figure."""
    with pytest.raises(Unavailable, match="too few rows"):
        pace_of(lambda _rows: Cost(1.0, 1.0, 1.0), 1000)


def test_a_pace_is_shared_evenly() -> None:
    """The cost of several items is divided evenly."""
    assert Pace(4.0, 2.0, 10.0, 5.0).shared_by(4) == Pace(1.0, 0.5, 10.0, 5.0)


def test_commands_at_once_share_their_cost() -> None:
    """They run at the same time; time is divided by their number, and the peak is that of the largest."""
    both_run = Barrier(2, timeout=60)

    def command(name: str) -> Cost:
        both_run.wait()
        return Cost(5.0, 3.0 if name == "a" else 4.0, 200.0 if name == "a" else 100.0, f"{name}\n")

    cost = cost_at_once([partial(command, name) for name in ("a", "b")])

    assert (cost.cpu_seconds, cost.peak_mib, cost.stdout) == (3.5, 200.0, "a\nb\n")
    assert cost.wall_seconds < 5.0


def test_the_cost_of_a_command_is_that_of_its_process(tmp_path: Path) -> None:
    """It counts the process's own CPU time and memory, and keeps what it printed."""
    cost = cost_of(python("-c", "held = b'x' * (100 << 20); print(len(held)); sum(range(10**6))"), folder=tmp_path)

    assert cost.stdout == f"{100 << 20}\n"
    assert cost.cpu_seconds > 0
    assert cost.peak_mib > 100


def test_the_output_of_a_failed_command_is_in_no_message(tmp_path: Path) -> None:
    """The message has the exit code only, because the output may name folders."""
    with pytest.raises(Unavailable) as failure:
        cost_of(python("-c", "import sys; sys.exit('/some/folder is missing')"), folder=tmp_path)

    assert (str(failure.value), failure.value.exit_code) == ("failed with exit code 1", 1)


def test_contestants_take_turns() -> None:
    """Each candidate is measured once before any is measured again; a failed one is skipped from then on."""
    turns: list[str] = []

    def measured(name: str, value: float) -> float:
        turns.append(name)
        if value < 0:
            raise Unavailable("not here")
        return value * len(turns)

    able, unable, other = compare(
        [
            Candidate("able", lambda: measured("able", 1.0)),
            Candidate("unable", lambda: measured("unable", -1.0)),
            Candidate("other", lambda: measured("other", 2.0)),
        ],
        2,
    )

    assert turns == ["able", "unable", "other", "able", "other"]
    assert (able.measured, other.measured) == ([1.0, 4.0], [6.0, 10.0])
    assert able.cells(float, lambda one: one * 2) == ("able", "2.50 (1.00 to 4.00)", "5.00 (2.00 to 8.00)")
    assert unable.cells(float, lambda one: one * 2) == ("unable", "not here", "")
    assert other.times(able, float) == "4.25 (2.50 to 6.00)"
    assert (other.times(unable, float), unable.times(able, float)) == ("", "")


def test_ratios_are_made_pair_by_pair() -> None:
    """Measurements of one turn are compared, so that a busy moment counts for both."""
    assert ratios([2.0, 30.0], [1.0, 10.0]) == [2.0, 3.0]


def test_an_unwanted_peer_is_not_installed() -> None:
    """Without a folder for environments nothing is installed, and the reason names the command."""
    with pytest.raises(Unavailable, match="PEERS=1"):
        python_of(PEERS[0], None)


def test_the_output_of_points_becomes_cells() -> None:
    """Each line of a sender becomes a row of the table; other lines are ignored."""
    output = "warming up\nours, 3 processes: 97.5% of the permits (97.1% to 98.0%), 0 refused in 3 times 60 s\n"

    assert shares(output) == (("ours, 3 processes", "97.5% (97.1% to 98.0%)", "0"),)
