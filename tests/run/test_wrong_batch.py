"""A wrong batch, and its reason."""

import pytest

from pipeline.ledger.records import StagedCounts
from pipeline.model import DEFAULT_MAX_INVALID, RowLimit, Status
from pipeline.run.wrong_batch import is_wrong, too_many_invalid
from pipeline.tables.fault_groups import FaultExample, FaultGroups, FaultKind

AMOUNT = FaultKind(Status.INVALID, "field_invalid", "trade_amount", "note", "amount")
TIME = FaultKind(Status.INVALID, "field_missing", "biz_time", "biz_time", "missing")


@pytest.mark.parametrize(
    ("rows", "invalid", "limit", "wrong"),
    [
        pytest.param(30, 25, DEFAULT_MAX_INVALID, True, id="most rows"),
        pytest.param(100, 20, DEFAULT_MAX_INVALID, False, id="as many as a fifth"),
        pytest.param(100, 21, DEFAULT_MAX_INVALID, True, id="more than a fifth"),
        pytest.param(20, 19, DEFAULT_MAX_INVALID, False, id="fewer than 20"),
        pytest.param(20, 20, DEFAULT_MAX_INVALID, True, id="20, which are all"),
        pytest.param(1000, 51, RowLimit(5, in_percent=True), True, id="another share"),
        pytest.param(19, 19, RowLimit(0, in_percent=True), False, id="no share, and fewer than 20"),
        pytest.param(30, 30, RowLimit(100, in_percent=True), False, id="all may be invalid"),
        pytest.param(3, 3, RowLimit(2), True, id="more than a number"),
        pytest.param(1000, 2, RowLimit(2), False, id="as many as a number"),
        pytest.param(1, 1, RowLimit(0), True, id="none may be invalid"),
        pytest.param(0, 0, RowLimit(0), False, id="no rows"),
    ],
)
def test_a_batch_is_wrong_if_too_many_rows_are_invalid(rows: int, invalid: int, limit: RowLimit, wrong: bool) -> None:
    """A percentage needs at least 20 invalid rows; a number does not."""
    assert is_wrong(StagedCounts(rows, invalid), limit) is wrong


def test_the_most_frequent_fault_is_named() -> None:
    """The reason has the counts, the limit, the most frequent fault with its first row, and what to do."""
    faults = FaultGroups()
    for row, kind in enumerate((TIME, AMOUNT, AMOUNT), 1):
        example = FaultExample("a.csv", row, row + 1, "x", f'{kind.field} (column {kind.column}) "x" is odd')
        faults.add(kind, lambda example=example: example)  # type: ignore[misc]  # the example is bound at once

    assert too_many_invalid(StagedCounts(1234, 3, faults), RowLimit(2)) == (
        "3 of 1,234 rows are invalid; max_invalid allows 2. Nothing is sent. Most frequent, in 2 rows: "
        'trade_amount (column note) "x" is odd (field_invalid), first in a.csv: row 2 (line 3). '
        "Fix the config or the export, or send the valid rows with --max-invalid"
    )
