"""Outcomes one by one and side by side."""

from dataclasses import replace

from pipeline.model import Status
from pipeline.tables.outcome_page import Outcome
from tests.report.side_by_side import side_by_side

GOOD = Outcome(
    source_file="a.csv",
    source_row=1,
    request_key="K-1",
    status=Status.SUCCEEDED,
    code="SUCCESS",
    message="",
    http_status=200,
    attempts=1,
    first_sent_at="first",
    finished_at="last",
    latency_ms=30,
    trace_id="trace",
    file_no=1,
)
BAD = replace(GOOD, source_row=2, status=Status.REJECTED, code="NO", wants_new_key=True, cells='["2088-secret"]')


def test_outcomes_side_by_side_are_the_outcomes_that_they_are_of() -> None:
    """Each of many outcomes is got back whole, by its place or one after another."""
    outcomes = side_by_side(GOOD, BAD)

    assert (len(outcomes), outcomes[0], outcomes[1]) == (2, GOOD, BAD)
    assert list(outcomes) == [GOOD, BAD]


def test_no_repr_of_many_outcomes_tells_keys_or_cells() -> None:
    """What may name a user is left out where outcomes are printed."""
    told = repr(side_by_side(GOOD, BAD))

    assert "secret" not in told
    assert "K-1" not in told
