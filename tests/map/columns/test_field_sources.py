"""The column that feeds each field, and the fault of a missing one."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.errors import SourceError
from pipeline.map import MappingRules, check_columns
from pipeline.model import Export, Payload

Rules = Callable[..., MappingRules]

ADVICE = ". Give each field its column in [jobs.NAME.columns], or a value in [jobs.NAME.constants]"
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
    """A file passes if a column or a constant feeds every required field."""
    check_columns(rules(export, **changes), columns, "rows.csv")


@pytest.mark.parametrize(
    ("columns", "changes", "message"),
    [
        pytest.param(
            ("out_biz_no", "agreement_no", "partner_id", "biz_tme", "task_name"),
            {},
            'rows.csv: no column or constant feeds biz_time; did you mean "biz_tme"?; '
            "no column or constant feeds user_id or open_id. "
            "The file has these columns: out_biz_no, agreement_no, partner_id, biz_tme, task_name" + ADVICE,
            id="missing-fields",
        ),
        pytest.param(
            TASK_COLUMNS,
            {"columns": {"out_biz_no": "Task_Nam "}},
            'rows.csv: there is no column "Task_Nam " for out_biz_no; did you mean "task_name"?. '
            f"The file has these columns: {', '.join(TASK_COLUMNS)}",
            id="named-column-is-absent",
        ),
        pytest.param(
            (*TASK_COLUMNS, "task_name"),
            {},
            'rows.csv: 2 columns are named "task_name", but task_name needs one; rename all but one. '
            f"The file has these columns: {', '.join(TASK_COLUMNS)}, task_name",
            id="two-columns-of-one-name",
        ),
        pytest.param(
            (*TASK_COLUMNS[:-1], "Task_Name", "task_name "),
            {},
            'rows.csv: "Task_Name" and "task_name " each match "task_name", but task_name needs one; '
            "write the exact name of one into the job. "
            f"The file has these columns: {', '.join(TASK_COLUMNS[:-1])}, Task_Name, task_name",
            id="two-names-that-are-near",
        ),
        pytest.param(
            (*TASK_COLUMNS[:-1], "TITLE", "TITLE"),
            {"columns": {"task_name": "title"}},
            'rows.csv: 2 columns are named "TITLE", but task_name needs one; rename all but one. '
            f"The file has these columns: {', '.join(TASK_COLUMNS[:-1])}, TITLE, TITLE",
            id="two-columns-of-a-name-that-is-near",
        ),
        pytest.param(
            (*TASK_COLUMNS, "times", "times"),
            {},
            'rows.csv: 2 columns are named "times", but times needs one; rename all but one. '
            f"The file has these columns: {', '.join(TASK_COLUMNS)}, times, times",
            id="two-columns-of-a-field-that-need-not-be-there",
        ),
        pytest.param(
            (*TASK_COLUMNS, "state", "state"),
            {"filter": {"state": ("1",), "Stat": ("1",)}},
            'rows.csv: there is no column "Stat" for the filter; did you mean "state"?; '
            '2 columns are named "state", but the filter needs one; rename all but one. '
            f"The file has these columns: {', '.join(TASK_COLUMNS)}, state, state",
            id="columns-of-the-filter",
        ),
        pytest.param(
            TASK_COLUMNS[:-1],
            {"defaults": {"task_name": "签到"}},
            "rows.csv: no column or constant feeds task_name; a default only fills empty cells. "
            f"The file has these columns: {', '.join(TASK_COLUMNS[:-1])}" + ADVICE,
            id="a-default-is-no-column",
        ),
        pytest.param(
            ("\ufeffout_biz_n", *TASK_COLUMNS[1:]),
            {},
            'rows.csv: no column or constant feeds out_biz_no; did you mean "out_biz_n"?. '
            f"The file has these columns: out_biz_n, {', '.join(TASK_COLUMNS[1:])}" + ADVICE,
            id="nearest-without-what-is-around-it",
        ),
        pytest.param(
            ("A-1", "2088000000000001", "x" * 50),
            {"constants": dict.fromkeys(TASK_COLUMNS[:-1], "c")},
            "rows.csv: no column or constant feeds task_name. "
            'The file has these columns: A-1, "2***1" (16 characters), "x***x" (50 characters)' + ADVICE,
            id="data-in-place-of-a-header",
        ),
    ],
)
def test_a_missing_column_is_reported_with_the_nearest_name(
    rules: Rules, columns: tuple[str, ...], changes: dict[str, Any], message: str
) -> None:
    """The error names the file, the missing columns, the nearest names and the file's columns, and masks ids."""
    with pytest.raises(SourceError) as raised:
        check_columns(rules(Export.TASKS, **changes), columns, "rows.csv")

    assert str(raised.value) == message


def test_a_name_that_the_charset_cannot_encode_is_reported(rules: Rules, good: dict[Export, dict[str, str]]) -> None:
    """Names of biz_data's parts are sent, so the request's charset must encode them."""
    columns = (*good[Export.STATES], "biz_data.😀")

    with pytest.raises(SourceError, match=r"the name biz_data\.😀 goes into biz_data, but gbk can't encode it"):
        check_columns(rules(Export.STATES, charset="gbk"), columns, "rows.csv")


def test_a_name_is_found_without_regard_to_case_and_blanks(sent: Callable[..., tuple[Payload, ...]]) -> None:
    """A column is found if its name differs in case or blanks from the job's name or the field's."""
    changes = {"task_name": None, "\ufeffTitle ": "分享", "BIZ_ACTION": "ORDER_REFUND", " Pay_Out_Biz_No": "A-1"}
    (payload,) = sent(Export.TASKS, changes, columns={"task_name": "title"})

    body = json.loads(payload.body)
    assert (body["task_type_data"], body["biz_action"], body["pay_out_biz_no"]) == (
        {"name": "分享"},
        "ORDER_REFUND",
        "A-1",
    )


def test_an_exact_name_comes_first(sent: Callable[..., tuple[Payload, ...]]) -> None:
    """With an exact match, similar names are ignored."""
    (payload,) = sent(Export.TASKS, {"TASK_NAME": "x", " task_name": "y", "task_name": "签到"})

    assert json.loads(payload.body)["task_type_data"] == {"name": "签到"}


def test_a_part_of_biz_data_is_named_like_its_column(sent: Callable[..., tuple[Payload, ...]]) -> None:
    """Only the prefix is matched without regard to case, because the rest is sent."""
    parts = {"biz_data": None, "Biz_Data.City ": "杭州", "biz_data.city": "西湖"}
    (payload,) = sent(Export.STATES, parts)

    assert json.loads(json.loads(payload.body)["biz_data"]) == {"City": "杭州", "city": "西湖"}


def test_a_named_column_comes_before_one_with_the_field_s_name(sent: Callable[..., tuple[Payload, ...]]) -> None:
    """`columns` decides if a file has both."""
    (payload,) = sent(Export.TASKS, {"title": "分享"}, columns={"task_name": "title"})

    assert json.loads(payload.body)["task_type_data"] == {"name": "分享"}


def test_a_constant_comes_before_a_column_with_the_field_s_name(sent: Callable[..., tuple[Payload, ...]]) -> None:
    """A constant is used in every row."""
    (payload,) = sent(Export.TASKS, {}, constants={"task_name": " 分享 "})

    assert json.loads(payload.body)["task_type_data"] == {"name": "分享"}


def test_one_column_may_feed_two_fields(sent: Callable[..., tuple[Payload, ...]]) -> None:
    """One column may be the order number and the trade number."""
    (payload,) = sent(Export.ORDERS, {}, columns={"trade_no": "out_biz_no"})

    assert json.loads(payload.body)["amount_type_data"]["trade_info"]["trade_no"] == "A-17"
