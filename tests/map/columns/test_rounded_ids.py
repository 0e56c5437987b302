"""Ids that a spreadsheet rounded in `rows_to_fix`."""

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.map import MappingRules, RoundedIds
from pipeline.map.columns.rounded_ids import is_rounded
from pipeline.model import Api, Export

LONG = "20235400000000000002"


@pytest.mark.parametrize(
    ("was", "now"),
    [
        pytest.param(LONG, "2.02354E+19", id="scientific"),
        pytest.param(LONG, "2,02354E+19", id="scientific, comma"),
        pytest.param(LONG, "2e19", id="scientific, one digit"),
        pytest.param(LONG, "2.0235400000000000E+19", id="scientific, 17 digits"),
        pytest.param(LONG, "20235400000000000000", id="zeros after the 15th digit"),
        pytest.param(LONG, "20,235,400,000,000,000,000", id="in thousands"),
        pytest.param(LONG, "20235400000000000000.0", id="float"),
        pytest.param("123456789012345678", "123456789012345000", id="cut"),
        pytest.param("123456789012345678", "123456789012346000", id="rounded"),
        pytest.param("123456789012345678", "123456789012345680", id="nearest float"),
        pytest.param("2088123412341234567890", "2.08812341234123E+21", id="scientific, cut"),
        pytest.param("00012345", "12345", id="leading zeros"),
        pytest.param("00012345", "12345.0", id="leading zeros, float"),
        pytest.param("12345", "12345.0", id="float form"),
        pytest.param("12345", "1.2345E4", id="scientific, exact"),
        pytest.param("12E4", "120000", id="code that looks scientific"),
        pytest.param("≈2.02354E+19", "20235400000000000000", id="a cell that lost digits, written out"),
        pytest.param("2088123412341234.0", "2088123412341230", id="float of more than 15 digits, rounded"),
        pytest.param("20251120001.0", "2.0251120001E+10", id="float in scientific notation"),
        pytest.param("'00012345", "12345", id="guard before"),
        pytest.param("00012345", '="12345"', id="guard after"),
        pytest.param(LONG, "########", id="column too narrow"),
        pytest.param("agr-77", "#####", id="column too narrow for a text"),
    ],
)
def test_an_id_that_differs_only_by_rounding_is_found(was: str, now: str) -> None:
    """All forms in which a spreadsheet writes a rounded id are found."""
    assert is_rounded(was, now)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        pytest.param(LONG, LONG, id="the same"),
        pytest.param(LONG, f" {LONG} ", id="white space"),
        pytest.param(f"'{LONG}", LONG, id="guard taken off"),
        pytest.param(LONG, "20235400000000000003", id="another last digit"),
        pytest.param(LONG, "2.02355E+19", id="scientific, another number"),
        pytest.param("2.02354E+19", LONG, id="the right one at last"),
        pytest.param("20235400000000000000", LONG, id="the right digits at last"),
        pytest.param("≈2.02354E+19", LONG, id="the right digits of a cell that lost them"),
        pytest.param("20251120001.0", "20251120001", id="zeros of a float taken off"),
        pytest.param("1234567", "1230000", id="few digits"),
        pytest.param("A0012", "A12", id="letters"),
        pytest.param("agr-77", "agr-78", id="texts"),
        pytest.param("12345", "", id="emptied"),
        pytest.param("12", "#", id="one sign"),
        pytest.param("12345678901234567890", "1E9999999", id="far away"),
    ],
)
def test_an_id_that_a_person_changed_is_accepted(was: str, now: str) -> None:
    """Another number or text is a change by a person."""
    assert not is_rounded(was, now)


@given(st.from_regex(r"[1-9][0-9]{15,39}", fullmatch=True), st.integers(15, 17))
@example("9" * 20, 15)
def test_ids_rounded_by_a_float_or_to_15_digits_are_found(was: str, digits: int) -> None:
    """A number that keeps only its first digits is a rounded id, unless no digit was lost."""
    for now in (f"{float(was):.0f}", f"{Decimal(was):.{digits - 1}E}", was[:15] + "0" * (len(was) - 15)):
        assert is_rounded(was, now) == (now != was)


CONSTANTS = {"partner_id": "2088000000000000", "amount_name": "消费金额"}
RULES = MappingRules(Export.ORDERS, Api.CUMULATION, {"out_biz_no": "order"}, {}, CONSTANTS, ZoneInfo("Asia/Shanghai"))


def test_ids_are_compared_field_by_field() -> None:
    """Ids are compared by field in any order of columns; other fields and missing cells are not compared."""
    before = ("order", "agreement_no", "user_id", "trade_amount", "trade_no", "memo")
    origin = ("007", LONG, None, "12.50", "0042", "100")
    after = ("memo", "trade_amount", "agreement_no", "order", "trade_no", "user_id")

    found = RoundedIds(RULES, after).find(("100.0", "12.5", "2.02354E+19", "7", None, "1.0"), before, origin)

    assert {(each.column, each.original, each.fault.code) for each in found} == {
        (2, LONG, "id_rounded"),
        (3, "007", "id_rounded"),
    }
    texts = {each.column: each.fault.message for each in found}
    rule = (
        "is the original id as a spreadsheet rounded it; rows_to_fix of this run has the original: "
        "format the column as text"
    )
    assert texts == {
        2: f"agreement_no (11 characters) {rule}",
        3: f"out_biz_no (column order) (1 character) {rule}",
    }
