"""A row is recognised by its content, however it is written."""

from collections.abc import Callable, Mapping

from pipeline.map import MappingRules, RowContents
from pipeline.model import Export, Invalid

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


def test_a_row_is_mapped_as_the_job_maps_it_now(good: Good, rules: Callable[..., MappingRules]) -> None:
    """A valid row has payloads; an invalid one has its key, where it names one."""
    row = good[Export.ORDERS]
    contents = RowContents(rules(Export.ORDERS), tuple(row))
    valid = contents.mapped(tuple(row.values()))
    invalid = [contents.mapped(tuple({**row, name: None}.values())) for name in ("user_id", "out_biz_no")]

    assert not isinstance(valid, Invalid)
    assert [payload.request_key for payload in valid] == ["A-17"]
    assert [isinstance(each, Invalid) and each.request_key for each in invalid] == ["A-17", None]
