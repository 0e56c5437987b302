"""The summary and the tally of a run."""

import json
from collections.abc import Callable

import pytest

from pipeline.model import Status
from pipeline.report import Summary, Tally
from pipeline.tables.fault_groups import FaultExample, FaultGroup, FaultKind
from pipeline.tables.outcome_page import Outcome
from tests.report.outcome_pages import page_of


@pytest.fixture
def tally(outcome: Callable[..., Outcome]) -> Tally:
    """Return a tally of 3 rows: 2 succeeded, 1 rejected with a request for a new key."""
    counted = Tally()
    counted.add(page_of(outcome()))
    counted.add(page_of(outcome(attempts=2)))
    counted.add(page_of(outcome(status=Status.REJECTED, code="INVALID_PARAM", message="no", wants_new_key=True)))
    return counted


def test_the_summary_has_the_promised_content(tally: Tally, summary_of: Callable[..., Summary], run_id: str) -> None:
    """The file has the promised keys in order, all 7 statuses, and rounded measures."""
    written = summary_of(tally, reason="not for the file").as_json()

    assert written.endswith(b"}\n")
    assert list(json.loads(written).items()) == [
        ("run_id", run_id),
        ("parent", None),
        ("date", "2024-05-01"),
        ("job", "orders"),
        ("api", "alipay.cumulation"),
        ("account", "zhima"),
        ("state", "completed"),
        ("exit_code", 3),
        ("inputs", [{"file": "orders-1.csv", "rows": 3, "sha256": "9f86d081", "encoding": "utf-8"}]),
        ("rows", 3),
        ("left", 1),
        (
            "counts",
            {"succeeded": 2, "skipped": 0, "invalid": 0, "rejected": 1, "unknown": 0, "blocked": 0, "unsent": 0},
        ),
        ("codes", {"SUCCESS": 2, "INVALID_PARAM": 1}),
        (
            "faults",
            [
                {
                    "status": "rejected",
                    "code": "INVALID_PARAM",
                    "field": None,
                    "column": None,
                    "rule": None,
                    "rows": 1,
                    "example": {"file": "orders-1.csv", "row": 1, "value": None},
                }
            ],
        ),
        ("attempts", 4),
        ("started_at", "2024-05-01T16:00:00.000Z"),
        ("finished_at", "2024-05-01T17:02:03.500Z"),
        ("elapsed_s", 3723.5),
        ("sent_per_s", 4.871),
        ("quota", {"limit_per_s": 5, "used_fraction": 0.9742, "throttled": 3}),
        ("report", f"reports/{run_id}"),
    ]


def test_statuses_without_rows_count_0(summary_of: Callable[..., Summary]) -> None:
    """The summary lists all 7 statuses, also those that no row has."""
    summary = summary_of(Tally(), rows=2, counts={Status.SKIPPED: 2})

    assert summary.as_dict()["counts"] == dict.fromkeys(Status, 0) | {Status.SKIPPED: 2}


def test_counts_that_differ_from_the_rows_read_are_refused(summary_of: Callable[..., Summary]) -> None:
    """A summary raises ValueError if its counts do not add up to the rows read."""
    with pytest.raises(ValueError, match="3 rows were read, but their outcomes are succeeded 1, unsent 1"):
        summary_of(Tally(), rows=3, counts={Status.SUCCEEDED: 1, Status.UNSENT: 1})


def test_faults_are_grouped_and_codes_counted(tally: Tally, outcome: Callable[..., Outcome]) -> None:
    """Rows that did not succeed are grouped, with each group's first row; codes are counted for all rows."""
    amount = {"field": "trade_amount", "column": "paid", "rule": "amount"}
    rows = [
        outcome(source_row=4, file_line=5, status=Status.UNKNOWN, code="timeout", message="broken pipe"),
        outcome(source_row=5, file_line=6, status=Status.UNKNOWN, code="timeout", message="no answer"),
        outcome(source_row=6, file_line=7, status=Status.INVALID, code="x", message="a", value="1.5", **amount),
        outcome(source_row=7, file_line=9, status=Status.INVALID, code="x", message="b", field="biz_time"),
        outcome(source_row=8, file_line=10, status=Status.INVALID, code="x", message="c", value="1.6", **amount),
        outcome(source_row=9, status=Status.SKIPPED, code="unchanged", message=""),
        outcome(source_row=10, status=Status.UNSENT, code="timeout", message=""),
    ]
    tally.add(page_of(*rows[:3]))
    tally.add(page_of(*rows[3:]))

    assert list(tally.faults.groups) == [
        FaultGroup(
            FaultKind(Status.UNKNOWN, "timeout"), 2, FaultExample("orders-1.csv", 4, 5, None, "broken pipe")
        ),
        FaultGroup(
            FaultKind(Status.INVALID, "x", "trade_amount", "paid", "amount"), 2,
            FaultExample("orders-1.csv", 6, 7, "1.5", "a"),
        ),
        FaultGroup(FaultKind(Status.REJECTED, "INVALID_PARAM"), 1, FaultExample("orders-1.csv", 1, None, None, "no")),
        FaultGroup(FaultKind(Status.INVALID, "x", "biz_time"), 1, FaultExample("orders-1.csv", 7, 9, None, "b")),
        FaultGroup(FaultKind(Status.UNSENT, "timeout"), 1, FaultExample("orders-1.csv", 10)),
    ]  # fmt: skip
    assert tally.codes == {"timeout": 3, "x": 3, "SUCCESS": 2, "INVALID_PARAM": 1, "unchanged": 1}
    assert tally.skipped == {"unchanged": 1}


def test_a_new_key_is_wanted_only_for_refused_rows(tally: Tally, outcome: Callable[..., Outcome]) -> None:
    """A row in doubt keeps its key: it does not count as wanting a new one."""
    tally.add(page_of(outcome(status=Status.UNKNOWN, wants_new_key=True)))

    assert tally.new_keys_wanted == 1


def test_rows_that_need_attention_are_listed_by_status(outcome: Callable[..., Outcome]) -> None:
    """Rows in doubt come first and unsent ones last, up to 50 of each status, in source order."""
    tally = Tally()
    for number in range(1, 200):
        tally.add(page_of(outcome(source_row=number, status=Status.UNSENT, cells='["A-1"]')))
    tally.add(page_of(outcome(source_row=200)))
    tally.add(page_of(outcome(source_row=201, status=Status.INVALID)))
    tally.add(page_of(outcome(source_row=202, status=Status.UNKNOWN, cells='["A-1"]')))
    tally.add(page_of(outcome(source_row=203, status=Status.UNKNOWN)))

    listed = tally.need_attention()

    assert [row.source_row for row in listed] == [202, 203, 201, *range(1, 51)]
    assert {row.cells for row in listed} == {None}
