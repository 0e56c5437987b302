"""Fixtures: a good outcome, a summary of a tally, and a report of outcomes."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.model import Api, Status
from pipeline.report import InputFile, OutcomeFormat, QuotaUse, ReportFiles, Summary, Tally, write_report
from pipeline.tables.outcome_page import Outcome
from tests.report.outcome_pages import in_pages

RUN_ID = "01JD4Q4Z8V3N5R6T7Y8M9B0C1D"
GOOD = Outcome(
    source_file="orders-1.csv",
    source_row=1,
    request_key="A-1",
    status=Status.SUCCEEDED,
    code="SUCCESS",
    message="",
    http_status=200,
    attempts=1,
    first_sent_at="2024-05-01T16:00:00.123Z",
    finished_at="2024-05-01T16:00:00.456Z",
    latency_ms=333,
    trace_id="0a1b2c3d",
    file_no=0,
)
NEVER_SENT: dict[str, Any] = {
    "http_status": None,
    "attempts": 0,
    "first_sent_at": None,
    "finished_at": None,
    "latency_ms": None,
    "trace_id": None,
}


def make_outcome(**changes: Any) -> Outcome:
    if changes.get("status") in {Status.INVALID, Status.UNSENT, Status.SKIPPED}:
        changes = NEVER_SENT | changes
    return replace(GOOD, **changes)


def make_summary(tally: Tally, **changes: Any) -> Summary:
    summary = Summary(
        run_id=RUN_ID,
        parent=None,
        date="2024-05-01",
        job="orders",
        api=Api.CUMULATION,
        account="zhima",
        state="completed",
        exit_code=3,
        inputs=(InputFile("orders-1.csv", tally.rows, "9f86d081", "utf-8"),),
        rows=tally.rows,
        left=tally.left,
        counts=tally.counts,
        codes=tally.codes,
        faults=tally.faults,
        attempts=tally.attempts,
        started_at="2024-05-01T16:00:00.000Z",
        finished_at="2024-05-01T17:02:03.500Z",
        elapsed_s=3723.5,
        sent_per_s=4.8712,
        quota=QuotaUse(5, 0.97424, 3),
        report=f"reports/{RUN_ID}",
    )
    return replace(summary, **changes)


def make_report(
    folder: Path,
    outcomes: Iterable[Outcome],
    *,
    outcome_format: OutcomeFormat | None = OutcomeFormat.CSV,
    columns: dict[int, tuple[str, ...]] | None = None,
    summarise: Callable[[Tally], Summary] = make_summary,
    page_rows: int = 300,
) -> ReportFiles:
    return write_report(
        folder,
        outcome_format=outcome_format,
        run_id=RUN_ID,
        job="orders",
        outcomes=in_pages(outcomes, page_rows),
        columns={0: ("order_id", "amount")} if columns is None else columns,
        summarise=summarise,
        mark=lambda row_no, outcome: f"[row {row_no} of {outcome.source_file}]",
    )


@pytest.fixture(scope="session")
def run_id() -> str:
    return RUN_ID


@pytest.fixture(scope="session")
def outcome() -> Callable[..., Outcome]:
    """Return a function that makes a good outcome with some fields changed."""
    return make_outcome


@pytest.fixture(scope="session")
def summary_of() -> Callable[..., Summary]:
    """Return a function that makes the summary of a tally, with some fields changed."""
    return make_summary


@pytest.fixture(scope="session")
def report() -> Callable[..., ReportFiles]:
    """Return a function that writes a report of outcomes into a folder."""
    return make_report
