"""What is known of the way to the platform, one rule at a time."""

from random import Random

import pytest

from pipeline.limits.route import Route, is_not_slow, path_jitter, quickest, took, travelled, waited
from pipeline.model import RoundTrip


@pytest.mark.parametrize(
    ("known", "told", "kept"),
    [
        pytest.param(0.0, 0.0, 0.0, id="never-told"),
        pytest.param(0.0, 0.03, 0.03, id="told-first"),
        pytest.param(0.03, 0.02, 0.02, id="shorter"),
        pytest.param(0.03, 0.04, 0.03, id="longer"),
        pytest.param(0.03, 0.0, 0.03, id="not-told-again"),
    ],
)
def test_the_shortest_trip_ever_told_is_kept(known: float, told: float, kept: float) -> None:
    """Only what the network was seen to take counts, and the shortest of it."""
    assert travelled(Route(known), RoundTrip(shortest=told)) == Route(kept)


@pytest.mark.parametrize(
    ("known", "told", "kept"),
    [
        pytest.param(Route(0.01), 0.0, Route(0.01), id="not-told"),
        pytest.param(Route(), 0.03, Route(handshakes=1, slowest_handshake=0.03), id="the-first"),
        pytest.param(
            Route(0.01, handshakes=3, slowest_handshake=0.02), 0.05,
            Route(0.01, handshakes=4, slowest_handshake=0.05), id="slower",
        ),
        pytest.param(
            Route(0.01, handshakes=3, slowest_handshake=0.05), 0.02,
            Route(0.01, handshakes=4, slowest_handshake=0.049), id="what-was-slow-is-forgotten-slowly",
        ),
    ],
)  # fmt: skip
def test_handshakes_are_counted_and_the_slowest_kept(known: Route, told: float, kept: Route) -> None:
    """Each handshake counts, and the slowest is remembered for a while."""
    assert travelled(known, RoundTrip(handshake=told)) == kept


@pytest.mark.parametrize(
    ("handshakes", "longer"),
    [
        pytest.param(0, None, id="none"),
        pytest.param(4, None, id="too-few"),
        pytest.param(5, 0.085, id="few-may-all-have-been-lucky"),
        pytest.param(16, 0.041, id="more"),
        pytest.param(1600, 0.0212, id="many-show-what-they-show"),
    ],
)
def test_how_much_longer_than_the_quickest_a_request_may_take(handshakes: int, longer: float | None) -> None:
    """The spread of the handshakes bounds that of the requests, with the more in hand the fewer there were."""
    route = Route(0.02, handshakes=handshakes, slowest_handshake=0.04)

    assert path_jitter(route) == (longer if longer is None else pytest.approx(longer))


def test_a_trip_may_come_in_under_the_shortest() -> None:
    """A twentieth of the shortest trip is kept in hand."""
    assert quickest(Route(0.04)) == pytest.approx(0.038)


@pytest.mark.parametrize(
    ("known", "seen", "kept"),
    [
        pytest.param(0.5, 0.9, 0.9, id="a-slow-answer"),
        pytest.param(0.5, 0.1, 0.49, id="forgotten-slowly"),
        pytest.param(0.5, 30.0, 2.0, id="bounded"),
    ],
)
def test_slow_answers_are_remembered_for_a_while(known: float, seen: float, kept: float) -> None:
    """The longest wait fades, and one very slow answer does not slow down a night."""
    assert waited(Route(longest_wait=known), seen).longest_wait == pytest.approx(kept)


@pytest.mark.parametrize("longest", [pytest.param(0.12, id="quick"), pytest.param(0.6, id="slow")])
def test_nineteen_of_twenty_answers_take_no_longer_than_what_is_usual(longest: float) -> None:
    """Whatever answers take, what is usual follows them, and none that comes evenly is unusual."""
    chance, route, longer, slow = Random(1), Route(), 0, 0
    for n in range(20_000):
        seconds = chance.uniform(0.02, longest)
        longer += seconds > route.usual_wait
        slow += not is_not_slow(route, seconds) and n > 100
        route = took(route, [seconds])

    assert longer == pytest.approx(1000, rel=0.15)
    assert slow < 20


def test_a_first_answer_that_is_slow_is_not_taken_for_usual() -> None:
    """What is slow by chance is not waited out for minutes."""
    assert not is_not_slow(took(Route(), [2.0]), 0.03)
