"""Rows of a states export."""

import json
from collections.abc import Callable

import pytest

from pipeline.map import Invalid
from pipeline.model import Api, Export, Fault, ObjectState, Payload, digest

Sent = Callable[..., tuple[Payload, ...]]
Refused = Callable[..., Invalid]

BODY = {
    "biz_data": '{"title": "好"}',
    "biz_state_code": "SIGNED",
    "category_code": "FILM",
    "out_biz_no": "A-17",
    "out_principal_id": "film-9",
    "service_id": "2024000000000000000000000001",
    "user_id": "2088000000000001",
}
TWICE = "biz_data comes as one column or as columns biz_data.<name>, not as both"


def test_a_state_becomes_one_payload(sent: Sent) -> None:
    """A state belongs to the object of number and principal, and is in the lane of user and principal."""
    (payload,) = sent(Export.STATES, {})

    assert payload == Payload(
        api=Api.STATE,
        request_key="A-17",
        identity="A-17\x1ffilm-9",
        body=json.dumps(BODY, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode(),
        lane=digest("states", "2088000000000001", "film-9"),
        state=ObjectState("A-17\x1ffilm-9"),
    )


def test_when_a_state_changed_orders_it_and_is_not_sent(sent: Sent) -> None:
    """`updated_at` becomes a UTC text that sorts by time, and is not sent."""
    (payload,) = sent(Export.STATES, {"updated_at": "2024-05-01 12:00:00.25"})

    assert payload.state == ObjectState("A-17\x1ffilm-9", "2024-05-01T04:00:00.250000Z")
    assert json.loads(payload.body) == BODY


@pytest.mark.parametrize(
    ("changes", "biz_data"),
    [
        pytest.param({"biz_data": '{"n": 1.10, "a": {}}'}, '{"n": 1.10, "a": {}}', id="one-column-kept-as-it-is"),
        pytest.param(
            {"biz_data": None, "biz_data.title": "好", "biz_data.seat": "7", "biz_data.hall": " "},
            '{"seat":"7","title":"好"}',
            id="parts-put-together-as-texts",
        ),
        pytest.param({"biz_data": None, "biz_data.a.b": "1"}, '{"a.b":"1"}', id="a-point-in-a-name"),
        pytest.param({"biz_data": '{"a":"%s"}' % ("x" * 4088)}, '{"a":"%s"}' % ("x" * 4088), id="4096-characters"),
        pytest.param({"biz_data": '{"a":"%s"}' % ("好" * 4088)}, '{"a":"%s"}' % ("好" * 4088), id="not-4096-bytes"),
    ],
)
def test_biz_data_comes_from_one_column_or_many(sent: Sent, changes: dict[str, str], biz_data: str) -> None:
    """biz_data is sent as a JSON text, from one column or from its parts."""
    (payload,) = sent(Export.STATES, changes)

    assert json.loads(payload.body) == BODY | {"biz_data": biz_data}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param(
            {"biz_data.title": "x"},
            ("field_invalid", f'biz_data.title "x" (1 character) must not be there: {TWICE}'),
            id="column-and-parts",
        ),
        pytest.param({"biz_data": None, "biz_data.a": ""}, ("field_missing", "biz_data is missing"), id="empty-parts"),
        pytest.param(
            {"biz_data": '{"a":"%s"}' % ("x" * 4089)},
            ("field_too_long", 'biz_data "{***}" (4097 characters) is longer than the 4096 characters allowed'),
            id="biz-data-length",
        ),
        pytest.param(
            {"biz_data": None, "biz_data.a": "x" * 4089},
            ("field_too_long", 'biz_data "{***}" (4097 characters) is longer than the 4096 characters allowed'),
            id="parts-length",
        ),
        pytest.param(
            {"biz_data": '"text"'},
            ("field_invalid", 'biz_data "\\"***\\"" (6 characters) is not a JSON object'.replace("\\", "")),
            id="no-object",
        ),
        pytest.param(
            {"biz_data": '{"a":' * 2000 + "1" + "}" * 2000},
            ("field_invalid", 'biz_data "{***}" (12001 characters) is not JSON'),
            id="nested-too-deep",
        ),
        pytest.param(
            {"biz_data": None, "biz_data.title": "a\ud800"},
            ("not_decodable", 'biz_data.title "a***?" (2 characters) holds a character that utf-8 cannot encode'),
            id="lone-surrogate-in-a-part",
        ),
        *(
            pytest.param(
                {name: "x" * (length + 1)},
                (
                    "field_too_long",
                    f'{name} "x***x" ({length + 1} characters) is longer than the {length} characters allowed',
                ),
                id=f"{name}-length",
            )
            for name, length in {
                "out_principal_id": 128,
                "biz_state_code": 64,
                "category_code": 64,
                "service_id": 128,
            }.items()
        ),
        pytest.param(
            {"user_id": None, "open_id": "2" * 129},
            ("field_too_long", "open_id (129 characters) is longer than the 128 characters allowed"),
            id="open-id-length",
        ),
    ],
)
def test_a_state_that_cannot_be_sent_says_why(
    refused: Refused, changes: dict[str, str | None], fault: tuple[str, str]
) -> None:
    """The lengths that the gateway documents are checked before anything is sent."""
    mapped = refused(Export.STATES, changes)

    assert ([(found.code, found.message) for found in mapped.faults], mapped.request_key) == ([fault], "A-17")


def test_a_text_that_the_charset_cannot_encode_is_a_fault(sent: Sent, refused: Refused) -> None:
    """GBK encodes Chinese but not emoji, so such a row is invalid."""
    (chinese,) = sent(Export.STATES, {}, charset="gbk")
    emoji = refused(Export.STATES, {"category_code": "票😀"}, charset="gbk")

    assert json.loads(chinese.body) == BODY
    rule = "holds a character that gbk cannot encode"
    message = f'category_code "票***?" (2 characters) {rule}'
    fault = Fault("not_decodable", message, "category_code", "category_code", rule, "票***? (2 characters)")
    assert emoji == Invalid((fault,), request_key="A-17")
