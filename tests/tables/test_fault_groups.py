"""Groups of faults."""

import pytest

from pipeline.model import Status
from pipeline.tables.fault_groups import FaultExample, FaultGroup, FaultGroups, FaultKind, GroupedFaults

AMOUNT = FaultKind(Status.INVALID, "field_invalid", "trade_amount", "paid", "amount")
TIME = FaultKind(Status.INVALID, "field_invalid", "biz_time", "biz_time", "time")
REFUSED = FaultKind(Status.REJECTED, "INVALID_PARAMETER")


def example(row: int) -> FaultExample:
    return FaultExample("a.csv", row, row + 1, f"{row}.5", f"row {row} is odd")


@pytest.fixture
def groups() -> FaultGroups:
    """Return groups of 6 rows with 3 kinds of faults."""
    found = FaultGroups()
    for row, kind in enumerate((TIME, AMOUNT, REFUSED, AMOUNT, REFUSED, AMOUNT), 1):
        found.add(kind, lambda row=row: example(row))  # type: ignore[misc]  # the row is bound at once
    return found


def test_the_largest_group_is_first(groups: FaultGroups) -> None:
    """Groups are sorted by rows, and each has its first row as an example."""
    amount, refused, time = (
        FaultGroup(kind, rows, example(first)) for kind, rows, first in ((AMOUNT, 3, 2), (REFUSED, 2, 3), (TIME, 1, 1))
    )
    assert groups.listed() == GroupedFaults((amount, refused, time))
    assert groups.listed(1) == GroupedFaults((amount,), rows_of_others=3)


def test_rows_of_groups_that_are_not_listed_are_counted() -> None:
    """Kinds beyond the limits are counted together, so that no row is lost."""
    few = FaultGroups(most_kinds=60)
    for number in range(100):
        few.add(FaultKind(Status.REJECTED, f"CODE_{number}"), lambda: example(1), rows=2)

    listed = few.listed().as_dicts()

    assert (len(listed), sum(group["rows"] for group in listed)) == (51, 200)
    assert listed[-1] == {
        "status": None, "code": None, "field": None, "column": None, "rule": None, "rows": 100, "example": None,
    }  # fmt: skip


def test_a_group_has_the_promised_form(groups: FaultGroups) -> None:
    """A group has status, code, field, column, rule, rows, and an example of file, row and value."""
    assert groups.listed().as_dicts()[0] == {
        "status": "invalid", "code": "field_invalid", "field": "trade_amount", "column": "paid", "rule": "amount",
        "rows": 3, "example": {"file": "a.csv", "row": 2, "value": "2.5"},
    }  # fmt: skip


def test_each_group_is_a_line(groups: FaultGroups) -> None:
    """A line has the number of rows, status, code, and the place and message of the first row."""
    assert groups.listed().in_words(2) == [
        "        3 invalid field_invalid, first a.csv: row 2 (line 3): row 2 is odd",
        "        2 rejected INVALID_PARAMETER, first a.csv: row 3 (line 4): row 3 is odd",
        "        1 with other faults",
    ]


def test_groups_of_one_code_can_be_left_out(groups: FaultGroups) -> None:
    """`without` leaves the groups of other codes."""
    assert [group.kind for group in groups.listed().without("field_invalid").groups] == [REFUSED]
