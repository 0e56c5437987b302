"""Outcomes of rows, single and as pages."""

from dataclasses import replace

from pipeline.model import Status
from pipeline.tables.outcome_page import Outcome
from tests.report.outcome_pages import page_of

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


def test_a_page_returns_its_outcomes() -> None:
    """A page returns each outcome unchanged, by index and by iteration."""
    outcomes = page_of(GOOD, BAD)

    assert (len(outcomes), outcomes[0], outcomes[1]) == (2, GOOD, BAD)
    assert list(outcomes) == [GOOD, BAD]


def test_the_repr_of_a_page_has_no_keys_or_cells() -> None:
    """The repr leaves out values that may name a user."""
    text = repr(page_of(GOOD, BAD))

    assert "secret" not in text
    assert "K-1" not in text
