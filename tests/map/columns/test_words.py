"""The job's values, defaults and filter."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from pipeline.map import MappingRules, bind, bind_chunks
from pipeline.model import BadRow, Export, Fault, Filtered, Invalid, Mapped, Row
from pipeline.tables.chunk import Chunk

Rules = Callable[..., MappingRules]
Good = Mapping[Export, Mapping[str, str | None]]
Cells = Mapping[str, str | None]
Map = Callable[..., list[Mapped | BadRow]]


@pytest.fixture(params=[pytest.param(1, id="by-columns"), pytest.param(99, id="row-by-row")])
def rows_mapped(request: pytest.FixtureRequest, rules: Rules, good: Good) -> Map:
    """Map valid rows with some changed cells, by columns or row by row."""

    def mapped(export: Export, several: Sequence[Cells], **how: Any) -> list[Mapped | BadRow]:
        columns = tuple(dict.fromkeys((*good[export], *(name for cells in several for name in cells))))
        rows = [
            Row(at, tuple({**good[export], **cells}.get(name) for name in columns))
            for at, cells in enumerate(several, 1)
        ]
        of_job = rules(export, **how)
        mapped = bind_chunks(of_job, columns, worth_learning=request.param)(Chunk.of_rows(columns, rows))
        messages = [mapped.at(place) for place in range(len(mapped))]
        assert messages == list(map(bind(of_job, columns), rows))
        return messages

    return mapped


def body(mapped: Mapped | BadRow) -> Any:
    """Return the body of a row of one payload."""
    assert isinstance(mapped, tuple), mapped
    (payload,) = mapped
    return json.loads(payload.body)


REFUND = {"pay_out_biz_no": "A-1"}
ACTIONS = {"biz_action": {"退款": "ORDER_REFUND", " 支付 ": "ORDER_PAID", "-": ""}}


@pytest.mark.parametrize(
    ("cells", "action"),
    [
        pytest.param({"biz_action": "退款", **REFUND}, "ORDER_REFUND", id="word"),
        pytest.param({"biz_action": " 支付\u3000"}, "ORDER_PAID", id="word with blanks around it"),
        pytest.param({"biz_action": "\ufeff退款\u200b", **REFUND}, "ORDER_REFUND", id="word with marks around it"),
        pytest.param({"biz_action": "'退款", **REFUND}, "ORDER_REFUND", id="word with a spreadsheet's mark"),
        pytest.param({"biz_action": '="退款"', **REFUND}, "ORDER_REFUND", id="word in a formula"),
        pytest.param({"biz_action": "ORDER_REFUND", **REFUND}, "ORDER_REFUND", id="another word"),
        pytest.param({"biz_action": "-"}, "ORDER_PAID", id="word for nothing"),
        pytest.param({"biz_action": None}, "ORDER_PAID", id="empty cell"),
        pytest.param({"biz_action": " "}, "ORDER_PAID", id="blank cell"),
    ],
)
def test_a_word_has_the_meaning_in_the_job(rows_mapped: Map, cells: Cells, action: str) -> None:
    """A word becomes its meaning, one with an empty meaning no value; other words stay."""
    (mapped,) = rows_mapped(Export.ORDERS, [cells], values=ACTIONS)

    assert body(mapped)["biz_action"] == action


def test_a_null_value_has_no_meaning(rows_mapped: Map) -> None:
    """Null values are removed before words are looked up, and defaults follow."""
    messages = rows_mapped(
        Export.TASKS,
        [{"task_name": "NULL"}, {"task_name": "\\N"}, {"task_name": "-"}],
        values={"task_name": {"NULL": "x", "-": "NULL"}},
        defaults={"task_name": "签到"},
    )

    assert [body(row)["task_type_data"]["name"] for row in messages] == ["签到", "签到", "NULL"]


def test_a_word_that_is_not_listed_is_checked_as_it_is(rows_mapped: Map) -> None:
    """The message of an invalid word shows the export's word."""
    (mapped,) = rows_mapped(Export.ORDERS, [{"biz_action": "换货"}], values=ACTIONS)

    assert isinstance(mapped, Invalid)
    assert 'biz_action "换货" is not one of' in mapped.message


@pytest.mark.parametrize(
    ("export", "field", "words", "cell", "sent"),
    [
        pytest.param(Export.ORDERS, "trade_amount", {"免费": "0"}, "免费", "0.00", id="amount"),
        pytest.param(Export.TASKS, "task_name", {"01": "签到"}, "01", "签到", id="text"),
        pytest.param(Export.TASKS, "biz_time", {"开": "2025-11-20 10:00:00"}, "开", "2025-11-20 10:00:00", id="time"),
        pytest.param(Export.POINTS, "point_balance", {"无": "0"}, "无", 0, id="whole number"),
        pytest.param(Export.STATES, "biz_state_code", {"1": "SIGNED"}, "1", "SIGNED", id="code"),
        pytest.param(Export.STATES, "biz_data", {"空": "{}"}, "空", "{}", id="JSON"),
    ],
)  # fmt: skip
def test_any_field_may_have_words(
    rows_mapped: Map, export: Export, field: str, words: Mapping[str, str], cell: str, sent: object
) -> None:
    """The meaning of a word is read like a cell with that text."""
    meaning = words[cell]
    one, other = rows_mapped(export, [{field: cell}, {field: meaning}], values={field: words})

    assert body(one) == body(other)
    assert sent in flat(body(one))


def flat(value: Any) -> list[Any]:
    """Return the scalars of a body."""
    return [one for inner in value.values() for one in flat(inner)] if isinstance(value, dict) else [value]


def test_a_part_of_biz_data_may_have_words(rows_mapped: Map) -> None:
    """Words of a part are given by its dotted name."""
    cells = {"biz_data": None, "biz_data.city": "沪"}
    (mapped,) = rows_mapped(Export.STATES, [cells], values={"biz_data.city": {"沪": "上海"}})

    assert json.loads(body(mapped)["biz_data"]) == {"city": "上海"}


def test_one_column_may_have_words_for_one_field(rows_mapped: Map) -> None:
    """A column that feeds two fields may have words for only one of them."""
    messages = rows_mapped(
        Export.TASKS,
        [{"kind": "甲"}, {"kind": "乙"}],
        columns={"task_name": "kind", "out_biz_no": "kind"},
        values={"task_name": {"甲": "签到"}},
    )

    assert [(body(row)["out_biz_no"], body(row)["task_type_data"]["name"]) for row in messages] == [
        ("甲", "签到"), ("乙", "乙"),
    ]  # fmt: skip


def test_one_column_may_be_read_in_two_ways(rows_mapped: Map) -> None:
    """A text prefix is removed for an id and kept for a name, from the same column."""
    messages = rows_mapped(Export.TASKS, [{"kind": "'007"}], columns={"task_name": "kind", "out_biz_no": "kind"})

    assert [(body(row)["out_biz_no"], body(row)["task_type_data"]["name"]) for row in messages] == [("007", "'007")]


def test_a_fault_of_a_shared_column_shows_each_row_s_value(rows_mapped: Map) -> None:
    """A bad user id in a shared column is shown masked, with its own first and last digit."""
    rows = [{"id": f"208800000000000{digit}"} for digit in (1, 2)]
    messages = rows_mapped(Export.STATES, rows, columns={"user_id": "id", "biz_data.a": "id"})

    assert [row.message.partition(" must")[0] for row in messages if isinstance(row, Invalid)] == [
        f'biz_data.a (column id) "2***{digit}" (16 characters)' for digit in (1, 2)
    ]


def test_a_marker_may_be_a_word(rows_mapped: Map) -> None:
    """A word that equals a marker changes no other text."""
    words = {f"q{number:03}Z7": "x" for number in (*range(20), *range(1000, 1020))}
    messages = rows_mapped(Export.TASKS, [{"task_name": "xx"}, {"task_name": "q000Z7"}], values={"task_name": words})

    assert [body(row)["task_type_data"]["name"] for row in messages] == ["xx", "x"]


@pytest.mark.parametrize(
    ("export", "defaults", "cells", "wanted"),
    [
        pytest.param(
            Export.TASKS, {"task_name": " 签到 "}, {"task_name": None}, {"task_type_data": {"name": "签到"}}, id="empty"
        ),
        pytest.param(
            Export.TASKS, {"task_name": "x"}, {"task_name": " \u3000"}, {"task_type_data": {"name": "x"}}, id="blank"
        ),
        pytest.param(
            Export.TASKS, {"task_name": "x"}, {"task_name": "分享"}, {"task_type_data": {"name": "分享"}}, id="there"
        ),
        pytest.param(
            Export.TASKS,
            {"biz_action": "ORDER_REFUND"},
            {"biz_action": None, **REFUND},
            {"biz_action": "ORDER_REFUND"},
            id="instead of the schema's",
        ),
        pytest.param(
            Export.ORDERS,
            {"discount_name": "券", "discount_type": "memberPoint"},
            {"discount_name": None, "discount_amount": "1"},
            {
                "amount_type_data": {
                    "name": "消费金额",
                    "trade_info": {"amount": "12.50", "trade_no": "T-1"},
                    "out_discount_infos": [
                        {"discount_name": "券", "discount_type": "memberPoint", "discount_amount": "1.00"}
                    ],
                }
            },
            id="beside its companion",
        ),
        pytest.param(
            Export.ORDERS,
            {"discount_name": "券", "discount_type": "memberPoint"},
            {"discount_name": None, "discount_amount": None},
            {"amount_type_data": {"name": "消费金额", "trade_info": {"amount": "12.50", "trade_no": "T-1"}}},
            id="not without its companion",
        ),
        pytest.param(
            Export.ORDERS,
            {"task_name": "签到"},
            {"discount_name": "券", "discount_type": "memberPoint", "discount_amount": "1"},
            {"cumulate_data_type": "AMOUNT_TASK", "task_type_data": {"name": "签到"}},
            id="what follows from it",
        ),
        pytest.param(Export.POINTS, {"point_balance": "0"}, {"point_balance": None}, {"point_balance": 0}, id="number"),
    ],
)
def test_a_default_fills_an_empty_cell(
    rows_mapped: Map, export: Export, defaults: Mapping[str, str], cells: Cells, wanted: Mapping[str, Any]
) -> None:
    """A field without a value gets the job's default, else the schema's."""
    (mapped,) = rows_mapped(export, [cells], defaults=defaults)

    assert {name: body(mapped).get(name) for name in wanted} == wanted


def test_a_default_replaces_a_word_with_an_empty_meaning(rows_mapped: Map) -> None:
    """Words are looked up before defaults, and a default is not looked up as a word."""
    messages = rows_mapped(
        Export.TASKS,
        [{"task_name": "无"}, {"task_name": None}],
        values={"task_name": {"无": "", "签到": "不用"}},
        defaults={"task_name": "签到"},
    )

    assert [body(row)["task_type_data"]["name"] for row in messages] == ["签到", "签到"]


@pytest.mark.parametrize(
    ("wanted", "cells", "is_wanted"),
    [
        pytest.param({"状态": ("已完成", "已退款")}, {"状态": "已退款"}, True, id="one of the texts"),
        pytest.param({"状态": ("已完成", "已退款")}, {"状态": "待付款"}, False, id="none of them"),
        pytest.param({"状态": ("已完成",)}, {"状态": "\t已完成\u3000"}, True, id="blanks around it"),
        pytest.param({"状态": (" 已完成 ",)}, {"状态": "已完成"}, True, id="blanks around it in the job"),
        pytest.param({"状态": ("已完成",)}, {"状态": "已完成的"}, False, id="more than the text"),
        pytest.param({"state": ("ok",)}, {"state": "OK"}, False, id="other letters"),
        pytest.param({"状态": ("已完成",)}, {"状态": None}, False, id="empty"),
        pytest.param({"状态": ("",)}, {"状态": " "}, True, id="empty is wanted"),
        pytest.param({"状态": ("",)}, {"状态": "\\N"}, True, id="a null value where empty is wanted"),
        pytest.param({"状态": ("NULL",)}, {"状态": "NULL"}, True, id="a null value by its word"),
        pytest.param({"状态": ("ok",)}, {"状态": "NULL"}, False, id="a null value where a text is wanted"),
        pytest.param({"state": ("01",)}, {"state": "'01"}, True, id="a spreadsheet's mark before it"),
        pytest.param({"state": ("'01",)}, {"state": "'01"}, True, id="a spreadsheet's mark in the job"),
        pytest.param({"State ": ("1",)}, {"state": "1"}, True, id="name with other letters"),
        pytest.param({"a": ("1",), "b": ("1", "2")}, {"a": "1", "b": "2"}, True, id="two columns"),
        pytest.param({"a": ("1",), "b": ("1", "2")}, {"a": "2", "b": "2"}, False, id="one of two columns"),
        pytest.param({"task_name": ("签到",)}, {}, True, id="column of a field"),
        pytest.param({"task_name": ("签到",)}, {"task_name": "分享"}, False, id="other text of a field"),
    ],
)
def test_a_filter_selects_rows(
    rows_mapped: Map, wanted: Mapping[str, tuple[str, ...]], cells: Cells, is_wanted: bool
) -> None:
    """A row is wanted if each column of the filter has one of its texts, ignoring marks around them."""
    (mapped,) = rows_mapped(Export.TASKS, [cells], filter=wanted)

    assert isinstance(mapped, tuple) if is_wanted else mapped == Filtered("A-17")


def test_a_filter_uses_the_export_s_text(rows_mapped: Map) -> None:
    """Words and defaults of a field do not affect the filter."""
    messages = rows_mapped(
        Export.TASKS,
        [{"task_name": "甲"}, {"task_name": "乙"}, {"task_name": None}],
        filter={"task_name": ("甲",)},
        values={"task_name": {"甲": "乙", "乙": "甲"}},
        defaults={"task_name": "甲"},
    )

    assert body(messages[0])["task_type_data"] == {"name": "乙"}
    assert messages[1:] == [Filtered("A-17"), Filtered("A-17")]


@pytest.mark.parametrize(
    ("cells", "key"),
    [
        pytest.param({}, "A-17", id="right"),
        pytest.param({"agreement_no": None, "biz_time": "soon", "user_id": "\ufffd"}, "A-17", id="all else is wrong"),
        pytest.param({"out_biz_no": " A-18\u3000"}, "A-18", id="blanks around it"),
        pytest.param({"out_biz_no": "word"}, "meaning", id="word"),
        pytest.param({"out_biz_no": None}, "A-19", id="default"),
        pytest.param({"out_biz_no": "x" * 65537}, None, id="too long"),
        pytest.param({"out_biz_no": "a\x00b"}, None, id="control character"),
        pytest.param({"out_biz_no": "a\ufffd"}, None, id="not read"),
    ],
)
def test_an_unwanted_row_is_never_invalid(rows_mapped: Map, cells: Cells, key: str | None) -> None:
    """An unwanted row is filtered, with its request key if that is valid."""
    messages = rows_mapped(
        Export.TASKS,
        [{"state": "x", **cells}, {"state": "ok"}, {"state": "x", **cells}],
        filter={"state": ("ok",)},
        values={"out_biz_no": {"word": "meaning"}},
        defaults={"out_biz_no": "A-19"},
    )

    assert messages[::2] == [Filtered(key), Filtered(key)]
    assert isinstance(messages[1], tuple)


def test_a_filtered_row_has_no_derived_key(rows_mapped: Map) -> None:
    """A filtered balance has a request key only if the export gives one."""
    messages = rows_mapped(Export.POINTS, [{"memo": "x"}], filter={"memo": ("y",)})
    own = rows_mapped(Export.POINTS, [{"memo": "x", "out_request_no": "N-1"}], filter={"memo": ("y",)})

    assert (messages, own) == ([Filtered(None)], [Filtered("N-1")])


def test_a_record_that_cannot_be_read_is_not_filtered(rules: Rules, good: Good) -> None:
    """A bad row stays invalid, because its content is unknown."""
    columns = (*good[Export.TASKS], "state")
    bad = BadRow(1, Fault("ragged", "x"), ("x",))
    row = Row(2, (*good[Export.TASKS].values(), "x"))

    mapped = bind_chunks(rules(Export.TASKS, filter={"state": ("ok",)}), columns)(Chunk.of_rows(columns, [bad, row]))

    assert [mapped.at(0), mapped.at(1)] == [bad, Filtered("A-17")]
    assert (mapped.request_keys.to_pylist(), mapped.filtered) == ([None, "A-17"], frozenset({1}))
