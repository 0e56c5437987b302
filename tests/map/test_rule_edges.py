"""Edges of the mapping rules that no other test of this folder reaches."""

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipeline.map import Invalid, Mapped, MappingRules, RoundedIds, UsedColumns, bind_chunks, check_rules
from pipeline.map.values.constraints import UnknownKeyword, rule_at
from pipeline.map.values.time_forms import form_fault
from pipeline.model import Api, Export, Row
from pipeline.tables.chunk import Chunk
from tests.map.conftest import GOOD


def test_the_used_columns_are_those_of_fields_and_of_the_filter(rules: Callable[..., MappingRules]) -> None:
    """Columns of fields, under their own names or others, and of the filter are used; others are not."""
    uses = UsedColumns(rules(Export.ORDERS, columns={"out_biz_no": "order"}, filter={"状态": ["已完成"]}))

    assert uses.used(("memo", "order", "状态", "trade_no")) == frozenset({1, 2, 3})


def test_columns_are_complete_when_each_needed_one_is_there(rules: Callable[..., MappingRules]) -> None:
    """A column that the job names, and one that every row needs, must be there."""
    needed = ("brand_id", "card_id", "openid", "user_card_code", "point_balance")

    assert UsedColumns(rules(Export.POINTS)).are_complete(needed)
    assert not UsedColumns(rules(Export.POINTS)).are_complete(needed[1:])
    assert not UsedColumns(rules(Export.POINTS, columns={"out_request_no": "number"})).are_complete(needed)


def test_constants_that_make_a_whole_row_have_no_fault(rules: Callable[..., MappingRules]) -> None:
    """Constants may hold all that a row needs."""
    constants = {"brand_id": "1", "card_id": "p", "openid": "o", "user_card_code": "7", "point_balance": "5"}

    assert check_rules(rules(Export.POINTS, constants=constants)) == []


def test_a_blank_constant_and_one_of_no_field_are_left_out(mapped: Callable[..., Mapped]) -> None:
    """A constant without text gives no value, so the field is missing."""
    found = mapped(Export.POINTS, {"card_id": "p"}, constants={"brand_id": " ", "no_field": "x"})

    assert isinstance(found, Invalid)
    assert "brand_id is missing" in [fault.message for fault in found.faults]


@pytest.mark.parametrize("form", [pytest.param("%Y%Y-%m-%d", id="a part twice"), pytest.param("%Y-%m-%d %", id="%")])
def test_a_form_that_names_a_part_twice_or_ends_in_a_percent_sign_is_refused(form: str) -> None:
    """A form that Python cannot use is a fault of the job, not of its rows."""
    assert form_fault(form) == "names a part twice, or ends with a lone %"


def test_an_empty_form_is_refused() -> None:
    """A form without a directive matches nothing but itself."""
    assert str(form_fault("")).startswith("is neither a form such as %Y/%m/%d %H:%M nor one of ")


def test_a_deep_value_behind_a_key_that_comes_twice_breaks_nothing(mapped: Callable[..., Mapped]) -> None:
    """The last value of a key counts. Where Python cannot read the hidden one, the row is invalid, and named so."""
    deep = "[" * 1015 + "]" * 1015
    discount = '"discount_name":"a","discount_type":"memberPoint","discount_amount":1.5'

    found = mapped(Export.ORDERS, {**GOOD[Export.ORDERS], "discounts": f'[{{"discount_name":{deep},{discount}}}]'})

    messages = [fault.message for fault in found.faults] if isinstance(found, Invalid) else []
    assert all("is nested too deep" in message for message in messages)
    assert messages or not isinstance(found, Invalid)


def test_a_column_with_a_text_that_the_charset_lacks_is_invalid_in_that_row_alone(
    rules: Callable[..., MappingRules],
) -> None:
    """A column is checked as its texts are, one by one: GBK has hanzi and no emoji."""
    row = GOOD[Export.STATES]
    rows = [Row(n, tuple({**row, "out_principal_id": text}.values())) for n, text in enumerate(("影-9", "😀-9"), 1)]

    mapped_chunk = bind_chunks(rules(Export.STATES, charset="gbk"), tuple(row))(Chunk.of_rows(tuple(row), rows))

    (place, refused), *others = mapped_chunk.others.items()
    assert isinstance(refused, Invalid)
    assert (place, [fault.code for fault in refused.faults], others) == (1, ["not_decodable"], [])


def test_a_path_through_an_unknown_keyword_is_unfamiliar() -> None:
    """Nothing is concluded from a schema with a keyword that the code does not know."""
    document: dict[str, Any] = {"properties": {"a": {"type": "object", "minProperties": 1}}}

    with pytest.raises(UnknownKeyword, match="minProperties"):
        rule_at(document, ("a", "b"))


def test_origins_with_the_same_columns_are_looked_up_once() -> None:
    """Several rows of one origin file are compared alike."""
    plain = MappingRules(Export.POINTS, Api.POINTS, {}, {}, {}, ZoneInfo("Asia/Shanghai"))
    ids = RoundedIds(plain, ("user_card_code",))

    for _ in range(2):
        (found,) = ids.find(("4.2E+12",), ("user_card_code",), ("4200000000001",))
        assert (found.column, found.original) == (0, "4200000000001")
