"""A row is recognised by its content, however it is written."""

from collections.abc import Callable, Mapping

from pipeline.map import MappingRules, RowContents
from pipeline.model import Export

Good = Mapping[Export, Mapping[str, str | None]]


def test_a_row_is_known_by_its_texts_and_by_its_values(good: Good, rules: Callable[..., MappingRules]) -> None:
    """One digest is of the texts, one of the values: an amount that is written otherwise keeps the second."""
    row = good[Export.ORDERS]
    contents = RowContents(rules(Export.ORDERS), tuple(row))

    texts, values = contents.of(tuple(row.values()))
    same_texts, same_values = contents.of(tuple({**row, "trade_amount": " 12.50 "}.values()))
    other_texts, other_values = contents.of(tuple({**row, "trade_amount": "12.51"}.values()))

    assert values == same_values
    assert len({texts, same_texts, other_texts}) == 3
    assert values != other_values


def test_columns_that_no_field_uses_do_not_count(good: Good, rules: Callable[..., MappingRules]) -> None:
    """A memo may change, a cell may be missing at the end of a row, and columns may have another order."""
    row = good[Export.ORDERS]
    plain = RowContents(rules(Export.ORDERS), tuple(row)).of(tuple(row.values()))
    with_memo = RowContents(rules(Export.ORDERS), ("memo", *list(row)[::-1], "task_name"))

    assert with_memo.of(("paid twice?", *list(row.values())[::-1])) == plain


def test_a_row_without_content_is_not_recognised(good: Good, rules: Callable[..., MappingRules]) -> None:
    """Empty and blank cells have no digest."""
    contents = RowContents(rules(Export.ORDERS), tuple(good[Export.ORDERS]))

    assert contents.of(("", " ", None)) == ()


def test_the_key_of_a_row_is_its_request_key(good: Good, rules: Callable[..., MappingRules]) -> None:
    """The key is that of the mapped row; an invalid row has its key too, where it names one."""
    row = good[Export.ORDERS]
    contents = RowContents(rules(Export.ORDERS), tuple(row))

    assert contents.key_of(tuple(row.values())) == "A-17"
    assert contents.key_of(tuple({**row, "user_id": None}.values())) == "A-17"
    assert contents.key_of(tuple({**row, "out_biz_no": None}.values())) is None
