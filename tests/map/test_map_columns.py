"""Which column feeds which field, and what is said where one is missing."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.errors import SourceError
from pipeline.map import MappingRules, check_columns
from pipeline.model import Export, Payload

Rules = Callable[..., MappingRules]

TASK_COLUMNS = ("out_biz_no", "agreement_no", "user_id", "partner_id", "biz_time", "task_name")


@pytest.mark.parametrize(
    ("export", "columns", "changes"),
    [
        pytest.param(Export.TASKS, TASK_COLUMNS, {}, id="own-names"),
        pytest.param(Export.TASKS, (*TASK_COLUMNS[:2], "open_id", *TASK_COLUMNS[3:]), {}, id="the-other-user-id"),
        pytest.param(Export.TASKS, (*TASK_COLUMNS, "city", "city"), {}, id="columns-of-no-concern"),
        pytest.param(Export.TASKS, TASK_COLUMNS[:-1], {"constants": {"task_name": "签到"}}, id="constant"),
        pytest.param(Export.TASKS, ("no", *TASK_COLUMNS[1:]), {"columns": {"out_biz_no": "no"}}, id="named-column"),
        pytest.param(
            Export.TASKS,
            ("OUT_BIZ_NO", " agreement_no\t", "\ufeffUser_Id", "partner_id\u200b", "\u3000biz_time", "Task_Name"),
            {},
            id="names-with-other-letters-and-blanks",
        ),
        pytest.param(
            Export.TASKS,
            (*TASK_COLUMNS[:-1], "单号 ", "Titel"),
            {"columns": {"out_biz_no": "单号", "task_name": " titel"}},
            id="named-columns-with-other-letters-and-blanks",
        ),
        pytest.param(
            Export.TASKS,
            (*TASK_COLUMNS, "TASK_NAME", "task_name "),
            {},
            id="an-exact-name-beside-others",
        ),
        pytest.param(
            Export.TASKS,
            (*TASK_COLUMNS[:-1], "task_name", "task_name", "title", "id", "id", "", ""),
            {"columns": {"task_name": "title"}},
            id="names-twice-that-no-field-uses",
        ),
        pytest.param(
            Export.TASKS,
            (*TASK_COLUMNS, "task_name"),
            {"columns": {}, "constants": {"task_name": "签到"}},
            id="name-twice-and-a-constant",
        ),
        pytest.param(
            Export.TASKS, (*TASK_COLUMNS, "状态 "), {"filter": {"状态": ("已完成",)}}, id="column-of-the-filter"
        ),
        pytest.param(
            Export.STATES,
            (
                *("user_id", "out_biz_no", "out_principal_id", "biz_state_code", "category_code", "service_id"),
                " Biz_Data.title",
            ),
            {},
            id="a-part-with-other-letters-feeds-biz-data",
        ),
        pytest.param(
            Export.STATES,
            (
                *("user_id", "out_biz_no", "out_principal_id", "biz_state_code", "category_code", "service_id"),
                "biz_data.title",
            ),
            {},
            id="a-part-feeds-biz-data",
        ),
    ],
)
def test_enough_columns_pass(rules: Rules, export: Export, columns: tuple[str, ...], changes: dict[str, Any]) -> None:
    """A file passes when a column or a constant feeds every field that each row needs."""
    check_columns(rules(export, **changes), columns, "rows.csv")


@pytest.mark.parametrize(
    ("columns", "changes", "message"),
    [
        pytest.param(
            ("out_biz_no", "agreement_no", "partner_id", "biz_tme", "task_name"),
            {},
            'rows.csv: no column or constant feeds biz_time; did you mean "biz_tme"?; '
            "no column or constant feeds user_id or open_id. "
            "The columns there are: out_biz_no, agreement_no, partner_id, biz_tme, task_name",
            id="missing-fields",
        ),
        pytest.param(
            TASK_COLUMNS,
            {"columns": {"out_biz_no": "Task_Nam "}},
            'rows.csv: there is no column "Task_Nam ", which out_biz_no is to come from; did you mean "task_name"?. '
            f"The columns there are: {', '.join(TASK_COLUMNS)}",
            id="named-column-is-absent",
        ),
        pytest.param(
            (*TASK_COLUMNS, "task_name"),
            {},
            'rows.csv: 2 columns are called "task_name", and task_name can come from one only; rename all but one. '
            f"The columns there are: {', '.join(TASK_COLUMNS)}, task_name",
            id="two-columns-of-one-name",
        ),
        pytest.param(
            (*TASK_COLUMNS[:-1], "Task_Name", "task_name "),
            {},
            'rows.csv: "Task_Name" and "task_name " each fit "task_name", and task_name can come from one only; '
            "write the right one into the job as the file has it. "
            f"The columns there are: {', '.join(TASK_COLUMNS[:-1])}, Task_Name, task_name",
            id="two-names-that-are-near",
        ),
        pytest.param(
            (*TASK_COLUMNS[:-1], "TITLE", "TITLE"),
            {"columns": {"task_name": "title"}},
            'rows.csv: 2 columns are called "TITLE", and task_name can come from one only; rename all but one. '
            f"The columns there are: {', '.join(TASK_COLUMNS[:-1])}, TITLE, TITLE",
            id="two-columns-of-a-name-that-is-near",
        ),
        pytest.param(
            (*TASK_COLUMNS, "times", "times"),
            {},
            'rows.csv: 2 columns are called "times", and times can come from one only; rename all but one. '
            f"The columns there are: {', '.join(TASK_COLUMNS)}, times, times",
            id="two-columns-of-a-field-that-need-not-be-there",
        ),
        pytest.param(
            (*TASK_COLUMNS, "state", "state"),
            {"filter": {"state": ("1",), "Stat": ("1",)}},
            'rows.csv: there is no column "Stat", which the filter looks at; did you mean "state"?; '
            '2 columns are called "state", and the filter can look at one only; rename all but one. '
            f"The columns there are: {', '.join(TASK_COLUMNS)}, state, state",
            id="columns-of-the-filter",
        ),
        pytest.param(
            TASK_COLUMNS[:-1],
            {"defaults": {"task_name": "签到"}},
            "rows.csv: no column or constant feeds task_name; a default stands in for an empty cell only. "
            f"The columns there are: {', '.join(TASK_COLUMNS[:-1])}",
            id="a-default-is-no-column",
        ),
        pytest.param(
            ("\ufeffout_biz_n", *TASK_COLUMNS[1:]),
            {},
            'rows.csv: no column or constant feeds out_biz_no; did you mean "out_biz_n"?. '
            f"The columns there are: out_biz_n, {', '.join(TASK_COLUMNS[1:])}",
            id="nearest-without-what-is-around-it",
        ),
        pytest.param(
            ("A-1", "2088000000000001", "x" * 50),
            {"constants": dict.fromkeys(TASK_COLUMNS[:-1], "c")},
            "rows.csv: no column or constant feeds task_name. "
            'The columns there are: A-1, "2***1" (16 characters), "x***x" (50 characters)',
            id="data-in-place-of-a-header",
        ),
    ],
)
def test_a_missing_column_is_told_with_the_nearest_name(
    rules: Rules, columns: tuple[str, ...], changes: dict[str, Any], message: str
) -> None:
    """The error names the file, what is missing, the nearest name, and what is there, without showing an id."""
    with pytest.raises(SourceError) as raised:
        check_columns(rules(Export.TASKS, **changes), columns, "rows.csv")

    assert str(raised.value) == message


def test_a_name_that_the_charset_cannot_carry_is_told(rules: Rules, good: dict[Export, dict[str, str]]) -> None:
    """The names of biz_data's parts are sent too, so they have to fit the request's charset."""
    columns = (*good[Export.STATES], "biz_data.😀")

    with pytest.raises(SourceError, match=r"the name biz_data\.😀 goes into biz_data, and gbk can't carry it"):
        check_columns(rules(Export.STATES, charset="gbk"), columns, "rows.csv")


def test_a_name_is_found_without_regard_to_case_and_blanks(sent: Callable[..., tuple[Payload, ...]]) -> None:
    """A column is read although its name is written otherwise, whether the job names it or the field does."""
    changes = {"task_name": None, "\ufeffTitle ": "分享", "BIZ_ACTION": "ORDER_REFUND", " Pay_Out_Biz_No": "A-1"}
    (payload,) = sent(Export.TASKS, changes, columns={"task_name": "title"})

    body = json.loads(payload.body)
    assert (body["task_type_data"], body["biz_action"], body["pay_out_biz_no"]) == (
        {"name": "分享"},
        "ORDER_REFUND",
        "A-1",
    )


def test_an_exact_name_wins(sent: Callable[..., tuple[Payload, ...]]) -> None:
    """Columns of nearly the same name are not looked at."""
    (payload,) = sent(Export.TASKS, {"TASK_NAME": "x", " task_name": "y", "task_name": "签到"})

    assert json.loads(payload.body)["task_type_data"] == {"name": "签到"}


def test_a_part_of_biz_data_is_called_as_its_column_is(sent: Callable[..., tuple[Payload, ...]]) -> None:
    """Only the prefix is found without regard to case: the rest is sent."""
    parts = {"biz_data": None, "Biz_Data.City ": "杭州", "biz_data.city": "西湖"}
    (payload,) = sent(Export.STATES, parts)

    assert json.loads(json.loads(payload.body)["biz_data"]) == {"City": "杭州", "city": "西湖"}


def test_the_named_column_wins_over_the_one_of_the_field_s_own_name(sent: Callable[..., tuple[Payload, ...]]) -> None:
    """`columns` decides where a file has both."""
    (payload,) = sent(Export.TASKS, {"title": "分享"}, columns={"task_name": "title"})

    assert json.loads(payload.body)["task_type_data"] == {"name": "分享"}


def test_a_constant_wins_over_the_column_of_its_own_name(sent: Callable[..., tuple[Payload, ...]]) -> None:
    """What the config says for every row holds for every row."""
    (payload,) = sent(Export.TASKS, {}, constants={"task_name": " 分享 "})

    assert json.loads(payload.body)["task_type_data"] == {"name": "分享"}


def test_one_column_may_feed_two_fields(sent: Callable[..., tuple[Payload, ...]]) -> None:
    """An order's number may be its trade number too."""
    (payload,) = sent(Export.ORDERS, {}, columns={"trade_no": "out_biz_no"})

    assert json.loads(payload.body)["amount_type_data"]["trade_info"]["trade_no"] == "A-17"
