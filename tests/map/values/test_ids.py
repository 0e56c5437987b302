"""Ids, keys and codes: rounded ones are refused."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest

from pipeline.map import Invalid
from pipeline.map.faults import Unreadable
from pipeline.map.fields import FieldKind, fields_of
from pipeline.map.values.cells import refuse_confusable
from pipeline.map.values.ids import read_id
from pipeline.model import Export, Payload

Sent = Callable[..., tuple[Payload, ...]]
Refused = Callable[..., Invalid]
Good = Mapping[Export, Mapping[str, str | None]]
ROUNDED = [
    "4.89012E+23",
    "4.89014e+23",
    "12E4",
    "1e5",
    "1.E+05",
    "4,89012E+23",
    "-1E5",
    "2E-7",
    "123.0",
    "123.00",
    "0.0",
]
IDS = {
    export: [name for name, field in fields_of(export).items() if field.kind is FieldKind.ID and field.default is None]
    for export in Export
}


@pytest.mark.parametrize("text", ROUNDED)
def test_an_id_that_a_spreadsheet_rounded_is_refused(text: str) -> None:
    """An id in scientific notation, or with zeros after a point, is refused with advice."""
    with pytest.raises(Unreadable, match="export the column as text") as refused:
        read_id(text)

    assert (refused.value.code, refused.value.rule) == ("id_rounded", "rounded")
    assert refuse_confusable(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "489012345678901234567890",
        "00012345",
        "E123",
        "12E",
        "1E4567",
        "12E4A",
        "A12E4",
        "1.5",
        "1.50",
        "v1.0",
        "1.0.0",
        "2e5f",
    ],
)
def test_an_id_is_sent_as_written(text: str) -> None:
    """Digits, leading zeros and letters of an id stay, even if it resembles a number."""
    assert read_id(text) == text


def test_every_id_key_and_code_has_the_kind_id() -> None:
    """In every export, fields that identify something have the kind ID; names and texts do not."""
    assert {
        Export.ORDERS: [
            *("out_biz_no", "agreement_no", "user_id", "open_id", "partner_id", "pay_out_biz_no", "trade_no"),
            "discount_type",
        ],
        Export.TASKS: ["out_biz_no", "agreement_no", "user_id", "open_id", "partner_id", "pay_out_biz_no"],
        Export.POINTS: ["brand_id", "card_id", "openid", "user_card_code", "out_request_no"],
        Export.STATES: [
            *("user_id", "open_id", "out_biz_no", "out_principal_id", "biz_state_code", "category_code"),
            "service_id",
        ],
    } == IDS


@pytest.mark.parametrize(("export", "name"), [(export, name) for export in Export for name in IDS[export]])
@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("4.89012E+23", "id_rounded", id="scientific"),
        pytest.param("123.0", "id_rounded", id="point-and-zero"),
        pytest.param("A\u200b1", "field_invalid", id="invisible"),
        pytest.param("A１", "field_invalid", id="full-width"),
    ],
)
def test_no_field_sends_a_bad_id(refused: Refused, export: Export, name: str, text: str, code: str) -> None:
    """A bad id in any field of any export makes the row invalid, with field and rule in the fault."""
    (fault,) = (fault for fault in refused(export, {name: text}).faults if fault.field == name)

    named = next(
        (point for point in ("U+200B", "U+FF11") if chr(int(point[2:], 16)) in text), "export the column as text"
    )
    assert fault.code == code
    assert named in (fault.rule or "")


@pytest.mark.parametrize(
    ("export", "name", "cell", "text"),
    [
        pytest.param(Export.ORDERS, "user_id", "'2088000000000001", "2088000000000001", id="user"),
        pytest.param(Export.TASKS, "partner_id", '="2088000000000001"', "2088000000000001", id="partner"),
        pytest.param(Export.ORDERS, "biz_action", "\ufeffORDER_PAID", "ORDER_PAID", id="fixed-word"),
        pytest.param(Export.POINTS, "user_card_code", "`00012345", "00012345", id="card-code"),
        pytest.param(Export.POINTS, "out_request_no", "'N-1\u200b", "N-1", id="key"),
        pytest.param(Export.STATES, "biz_state_code", "DONE\u200b", "DONE", id="state-code"),
        pytest.param(Export.STATES, "out_biz_no", "\u202aS1\u202c", "S1", id="direction-marks"),
    ],
)
def test_marks_around_an_id_are_removed(sent: Sent, export: Export, name: str, cell: str, text: str) -> None:
    """Marks of spreadsheets and web pages around an id are not sent."""
    (payload,) = sent(export, {name: cell})

    assert orjson.loads(payload.body)[name] == text


@pytest.mark.parametrize("text", ["12E4", "4.89012E+23", "123.0"])
def test_a_job_may_send_codes_that_look_rounded(sent: Sent, text: str) -> None:
    """With `sends_suspicious_ids` such codes are sent as written."""
    (payload,) = sent(Export.POINTS, {"user_card_code": text}, sends_suspicious_ids=True)

    assert orjson.loads(payload.body)["user_card_code"] == text


@pytest.mark.parametrize("sends_suspicious_ids", [False, True])
@pytest.mark.parametrize(
    ("export", "cells"),
    [
        pytest.param(Export.POINTS, {"user_card_code": "≈1.234567890123456E+15"}, id="card"),
        pytest.param(Export.TASKS, {"out_biz_no": "≈2.02354E+19"}, id="key"),
        pytest.param(Export.STATES, {"biz_data": None, "biz_data.order": "≈1E+15"}, id="part"),
    ],
)
def test_a_number_that_lost_digits_is_never_sent(
    refused: Refused, export: Export, cells: dict[str, Any], *, sends_suspicious_ids: bool
) -> None:
    """A numeric cell that lost digits is no code of any merchant, so no setting sends it."""
    (fault,) = refused(export, cells, sends_suspicious_ids=sends_suspicious_ids).faults

    assert (fault.code, fault.rule) == (
        "id_rounded",
        "is a number of a workbook or a float column with too many digits: export the column as text",
    )


@pytest.mark.parametrize("name", ["user_id", "partner_id"])
@pytest.mark.parametrize(
    "text",
    ["20880000000000010", "208800000000001", "2089000000000001", "A088000000000001", "2088 00000000001", "2.088E+15x"],
)
def test_a_member_is_2088_and_12_digits(refused: Refused, name: str, text: str) -> None:
    """Ids of users and merchants have this form; others are refused."""
    (fault,) = refused(Export.ORDERS, {name: text}).faults

    assert (fault.code, fault.field, fault.rule) == ("field_invalid", name, "is not 2088 and 12 more digits")


def test_a_user_of_a_state_has_the_same_form(refused: Refused) -> None:
    """A user of the gateway has an id of the same form."""
    (fault,) = refused(Export.STATES, {"user_id": "2088"}).faults

    assert (fault.code, fault.message) == ("field_invalid", "user_id (4 characters) is not 2088 and 12 more digits")


@pytest.mark.parametrize("cell", ["'13800138000", "13800138000", "\ufeff13800138000"])
def test_marks_around_a_part_of_biz_data_are_removed(sent: Sent, cell: str) -> None:
    """A part of biz_data may be an id, so marks around it are removed."""
    (payload,) = sent(Export.STATES, {"biz_data": None, "biz_data.phone": cell})

    assert orjson.loads(payload.body)["biz_data"] == '{"phone":"13800138000"}'


@pytest.mark.parametrize("text", ["７-１１ 便利店", "👨\u200d👩", "12.0", "x1E5"])
def test_a_part_of_biz_data_may_be_a_name(sent: Sent, text: str) -> None:
    """A part of biz_data may be a name, so characters that an id refuses are accepted."""
    (payload,) = sent(Export.STATES, {"biz_data": None, "biz_data.shop": text})

    assert orjson.loads(orjson.loads(payload.body)["biz_data"]) == {"shop": text}


def test_a_rounded_part_of_biz_data_is_refused(refused: Refused, sent: Sent) -> None:
    """A part in scientific notation is refused, unless the job sends suspicious ids."""
    changes: dict[str, Any] = {"biz_data": None, "biz_data.phone": "1.38E+10"}

    (fault,) = refused(Export.STATES, changes).faults
    (payload,) = sent(Export.STATES, changes, sends_suspicious_ids=True)

    assert (fault.code, fault.field) == ("id_rounded", "biz_data.phone")
    assert orjson.loads(payload.body)["biz_data"] == '{"phone":"1.38E+10"}'


def test_a_fault_has_field_column_and_rule(refused: Refused) -> None:
    """Faults of one kind share field, column and rule at any value."""
    mapped = refused(
        Export.POINTS,
        {"code": "4.89E+23", "user_card_code": None, "point_balance": "x", "brand_id": "4" * 17},
        columns={"user_card_code": "code"},
    )

    assert [(fault.code, fault.field, fault.column) for fault in mapped.faults] == [
        ("id_rounded", "user_card_code", "code"),
        ("field_invalid", "point_balance", "point_balance"),
        ("field_too_long", "brand_id", "brand_id"),
    ]
    assert [(fault.rule or "").split(",")[0] for fault in mapped.faults] == [
        "is in scientific notation",
        "is not a whole number of at most 19 digits",
        "is longer than the 16 characters allowed",
    ]
