"""Measurements of the way to the platform, one rule at a time."""

from random import Random

import pytest

from pipeline.limits.route import (
    RouteTiming,
    is_slow_answer,
    least_round_trip,
    path_jitter,
    with_longest_wait,
    with_round_trip,
    with_waits,
)
from pipeline.model import RoundTrip


@pytest.mark.parametrize(
    ("known", "measured", "kept"),
    [
        pytest.param(0.0, 0.0, 0.0, id="never-measured"),
        pytest.param(0.0, 0.03, 0.03, id="measured-first"),
        pytest.param(0.03, 0.02, 0.02, id="shorter"),
        pytest.param(0.03, 0.04, 0.03, id="longer"),
        pytest.param(0.03, 0.0, 0.03, id="not-measured-again"),
    ],
)
def test_the_shortest_round_trip_is_kept(known: float, measured: float, kept: float) -> None:
    """Only measured round trips count, and the shortest of them is kept."""
    assert with_round_trip(RouteTiming(known), RoundTrip(shortest=measured)) == RouteTiming(kept)


@pytest.mark.parametrize(
    ("known", "measured", "kept"),
    [
        pytest.param(RouteTiming(0.01), 0.0, RouteTiming(0.01), id="not-measured"),
        pytest.param(RouteTiming(), 0.03, RouteTiming(handshakes=1, slowest_handshake=0.03), id="the-first"),
        pytest.param(
            RouteTiming(0.01, handshakes=3, slowest_handshake=0.02), 0.05,
            RouteTiming(0.01, handshakes=4, slowest_handshake=0.05), id="slower",
        ),
        pytest.param(
            RouteTiming(0.01, handshakes=3, slowest_handshake=0.05), 0.02,
            RouteTiming(0.01, handshakes=4, slowest_handshake=0.049), id="the-slowest-decays",
        ),
    ],
)  # fmt: skip
def test_handshakes_are_counted_and_the_slowest_kept(known: RouteTiming, measured: float, kept: RouteTiming) -> None:
    """Each handshake counts, and the slowest decays slowly."""
    assert with_round_trip(known, RoundTrip(handshake=measured)) == kept


@pytest.mark.parametrize(
    ("handshakes", "longer"),
    [
        pytest.param(0, None, id="none"),
        pytest.param(4, None, id="too-few"),
        pytest.param(5, 0.085, id="few-may-be-chance"),
        pytest.param(16, 0.041, id="more"),
        pytest.param(1600, 0.0212, id="many"),
    ],
)
def test_path_jitter_is_the_spread_of_handshakes(handshakes: int, longer: float | None) -> None:
    """The spread of the handshakes bounds path jitter, with a larger margin the fewer there are."""
    route = RouteTiming(0.02, handshakes=handshakes, slowest_handshake=0.04)

    assert path_jitter(route) == (longer if longer is None else pytest.approx(longer))


def test_a_round_trip_may_be_shorter_than_the_shortest() -> None:
    """The least round trip is 5 % below the shortest one."""
    assert least_round_trip(RouteTiming(0.04)) == pytest.approx(0.038)


@pytest.mark.parametrize(
    ("known", "seen", "kept"),
    [
        pytest.param(0.5, 0.9, 0.9, id="a-slow-answer"),
        pytest.param(0.5, 0.1, 0.49, id="forgotten-slowly"),
        pytest.param(0.5, 30.0, 2.0, id="bounded"),
    ],
)
def test_slow_answers_are_remembered_for_a_while(known: float, seen: float, kept: float) -> None:
    """The longest wait decays, and is bounded."""
    assert with_longest_wait(RouteTiming(longest_wait=known), seen).longest_wait == pytest.approx(kept)


@pytest.mark.parametrize("longest", [pytest.param(0.12, id="quick"), pytest.param(0.6, id="slow")])
def test_the_percentile_is_above_19_of_20_answers(longest: float) -> None:
    """The percentile follows the times of answers, and evenly spread answers are never slow."""
    chance, route, longer, slow = Random(1), RouteTiming(), 0, 0
    for n in range(20_000):
        seconds = chance.uniform(0.02, longest)
        longer += seconds > route.wait_p95
        slow += is_slow_answer(route, seconds) and n > 100
        route = with_waits(route, [seconds])

    assert longer == pytest.approx(1000, rel=0.15)
    assert slow < 20


def test_a_slow_first_answer_does_not_set_the_percentile() -> None:
    """A first answer that is slow by chance does not hide later slow answers."""
    assert is_slow_answer(with_waits(RouteTiming(), [2.0]), 0.03)
