"""Counts over time and latencies, from outcomes."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model import Status
from pipeline.report.timeline import REQUESTS, TimeBins, Timeline
from pipeline.tables.outcome_page import Outcome
from tests.report.outcome_pages import page_of

START = int(datetime(2024, 5, 1, 16, tzinfo=UTC).timestamp())


def at(seconds: float) -> str:
    """Return the time that many seconds after START."""
    moment = datetime.fromtimestamp(START + seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def timeline_of(*outcomes: Outcome) -> Timeline:
    timeline = Timeline()
    for outcome in outcomes:
        timeline.add(page_of(outcome))
    return timeline


def sent(first: float, last: float, **changes: Any) -> dict[str, Any]:
    return {"first_sent_at": at(first), "finished_at": at(last), **changes}


@pytest.mark.parametrize(
    ("last", "width"),
    [
        pytest.param(119, 1, id="two minutes"),
        pytest.param(120, 5, id="a second more"),
        pytest.param(3600, 60, id="an hour"),
        pytest.param(8 * 3600, 300, id="a night"),
        pytest.param(3 * 86_400, 3600, id="resumed after days"),
        pytest.param(40 * 365 * 86_400, 19_353_600, id="a clock that was wrong for decades"),
    ],
)
def test_bins_are_as_wide_as_the_time_needs(last: int, width: int) -> None:
    """There are at most 120 bins, for any time."""
    bins = TimeBins()

    bins.add({("a", START): 1, ("a", START + last): 2})

    assert (bins.width, len(bins.starts) <= 120) == (width, True)
    assert [count for count in bins.counts("a") if count] == [1, 2]
    assert bins.starts[0] <= START < bins.starts[0] + width


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 10**6)), min_size=1, max_size=30), st.randoms())
def test_the_order_of_counts_does_not_matter(counts: list[tuple[str, int]], random: Any) -> None:
    """Width and counts are the same in any order, and no count is lost."""
    shuffled = list(counts)
    random.shuffle(shuffled)
    one, other = TimeBins(most_bins=7), TimeBins(most_bins=7)

    for name, second in counts:
        one.add({(name, second): 1})
    for name, second in shuffled:
        other.add({(name, second): 1})

    assert (one.width, one.starts, one.counts("a")) == (other.width, other.starts, other.counts("a"))
    assert sum(one.counts("a")) + sum(one.counts("b")) == len(counts)


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40) | st.integers(0, 10**6)), max_size=9), max_size=4
    )
)
def test_bins_of_parts_add_up_to_those_of_one_pass(parts: list[list[tuple[str, int]]]) -> None:
    """Width and counts are those of all counts together, whatever the widths of the parts are."""
    together, total = TimeBins(most_bins=7), TimeBins(most_bins=7)
    for counts in parts:
        part = TimeBins(most_bins=7)
        for each in counts:
            part.add({each: 1})
            together.add({each: 1})
        total.add_plain(part.plain())

    found = [(bins.width, bins.starts, bins.counts("a"), bins.counts("b")) for bins in (total, together)]
    assert found[0] == found[1]


def test_rows_are_counted_by_status_when_they_finish(outcome: Callable[..., Outcome]) -> None:
    """A row counts in the second of its last answer; rows that were not sent have no time."""
    timeline = timeline_of(
        outcome(**sent(0, 0.4)),
        outcome(**sent(0, 2)),
        outcome(status=Status.UNKNOWN, **sent(1, 2.9)),
        outcome(status=Status.INVALID),
    )

    assert {status: timeline.finished.counts(status) for status in Status if status in timeline.finished} == {
        Status.SUCCEEDED: [1, 0, 1],
        Status.UNKNOWN: [0, 0, 1],
    }


@pytest.mark.parametrize(
    ("row", "requests"),
    [
        pytest.param(sent(0, 30, attempts=1), [1], id="one request, when it was sent"),
        pytest.param(sent(0, 20, attempts=2, latency_ms=11_000), [1, 1], id="the last one before its answer"),
        pytest.param(sent(0, 20, attempts=3, latency_ms=10), [1, 0, 1, 0, 1], id="others evenly spread"),
        pytest.param(sent(5, 4, attempts=2, latency_ms=10), [2], id="a clock that went back"),
    ],
)
def test_requests_are_counted_when_they_were_sent(
    outcome: Callable[..., Outcome], row: dict[str, Any], requests: list[int]
) -> None:
    """Each attempt of a row counts once, in a bin of 5 seconds."""
    assert timeline_of(outcome(**row)).requests.counts(REQUESTS) == requests


@pytest.mark.parametrize(
    ("latencies", "percent", "latency"),
    [
        pytest.param([], 50, None, id="no rows"),
        pytest.param([7], 99, 7, id="one row"),
        pytest.param(range(1, 101), 50, 50, id="median"),
        pytest.param(range(1, 101), 99, 99, id="99 of 100"),
        pytest.param([1] * 99 + [9000], 99, 1, id="one slow row of 100"),
        pytest.param([1] * 99 + [9000], 100, 9000, id="the slowest"),
    ],
)
def test_a_percentile_is_a_measured_latency(
    outcome: Callable[..., Outcome], latencies: list[int], percent: int, latency: int | None
) -> None:
    """It is the smallest one that this share of rows does not exceed."""
    assert timeline_of(*(outcome(latency_ms=each) for each in latencies)).latency(percent) == latency
