"""The arithmetic of totals: forward minus reverse, in yuan, and which agreements are final."""

from decimal import Decimal

from pipeline.model import Status
from pipeline.tables.agreement_totals import Measures, StatusTotals, TotalsLine, totals_lines


def test_reverse_reports_are_subtracted() -> None:
    """A line has forward minus reverse, and the reverse part by itself, with exact amounts in yuan."""
    totals = StatusTotals("zhima", "X", Status.SUCCEEDED, Measures(3, 2, 1001, 30), Measures(1, 1, 2000, 5))

    assert list(totals_lines([totals])) == [
        TotalsLine(
            account="zhima",
            agreement_no="X",
            status=Status.SUCCEEDED,
            final=True,
            reports=2,
            tasks=1,
            amount=Decimal("-9.99"),
            discount=Decimal("0.25"),
            reverse_reports=1,
            reverse_tasks=1,
            reverse_amount=Decimal("20.00"),
            reverse_discount=Decimal("0.05"),
        )
    ]


def test_amounts_beyond_floats_are_exact() -> None:
    """Amounts with more digits than a float has keep each of them."""
    totals = StatusTotals("zhima", "X", Status.SUCCEEDED, Measures(1, 0, 1234567890123456789, 0))

    assert next(totals_lines([totals])).amount == Decimal("12345678901234567.89")


def test_totals_are_final_only_where_all_succeeded() -> None:
    """All lines of an agreement are final or none is; succeeded ones come first."""
    one = Measures(1, 0, 100, 0)
    totals = [
        StatusTotals("zhima", "X", Status.SUCCEEDED, one),
        StatusTotals("zhima", "Y", Status.INVALID, one),
        StatusTotals("zhima", "Y", Status.UNKNOWN, one),
        StatusTotals("zhima", "Y", Status.SUCCEEDED, one),
        StatusTotals("zhima", "Z", Status.UNSENT, one),
        StatusTotals("zhima2", "Z", Status.SUCCEEDED, one),
    ]

    assert [(line.account, line.agreement_no, line.status, line.final) for line in totals_lines(totals)] == [
        ("zhima", "X", Status.SUCCEEDED, True),
        ("zhima", "Y", Status.SUCCEEDED, False),
        ("zhima", "Y", Status.UNKNOWN, False),
        ("zhima", "Y", Status.INVALID, False),
        ("zhima", "Z", Status.UNSENT, False),
        ("zhima2", "Z", Status.SUCCEEDED, True),
    ]


def test_invalid_rows_have_a_number_only() -> None:
    """Amounts of invalid rows are not known, rather than 0."""
    (line,) = totals_lines([StatusTotals("zhima", "X", Status.INVALID, Measures(2))])

    assert line == TotalsLine("zhima", "X", Status.INVALID, final=False, reports=2)
