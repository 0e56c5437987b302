"""Rows of a points export."""

import json
from collections.abc import Callable

import pytest

from pipeline.errors import SourceError
from pipeline.map import Invalid, MappingRules, check_columns
from pipeline.model import Api, Balance, Export, Fault, Payload, digest

Sent = Callable[..., tuple[Payload, ...]]
Refused = Callable[..., Invalid]

CARD = digest("points", "40001", "pbLatjk4xxxx", "000123")
BODY = {
    "brand_id": "40001",
    "card_id": "pbLatjk4xxxx",
    "openid": "oUpF8uMuAJO",
    "out_request_no": "R-1",
    "point_balance": 120,
    "user_card_code": "000123",
}


def test_a_balance_becomes_one_payload(sent: Sent) -> None:
    """A row with its own request number keeps it, is in its card's lane, and has the time of change."""
    (payload,) = sent(Export.POINTS, {"out_request_no": "R-1", "updated_at": "2024-05-01 12:00:00.25"})

    assert payload == Payload(
        api=Api.POINTS,
        request_key="R-1",
        identity="R-1",
        body=json.dumps(BODY, separators=(",", ":"), sort_keys=True).encode(),
        lane=CARD,
        balance=Balance(CARD, 120, "2024-05-01T04:00:00.250000Z"),
        openid="oUpF8uMuAJO",
    )


def test_a_row_without_a_number_gets_a_derived_one(sent: Sent) -> None:
    """The derived number starts with the brand, has only allowed characters, and is marked as derived."""
    (payload,) = sent(Export.POINTS, {"updated_at": "2024-05-01 12:00:00"})

    values = ("40001", "pbLatjk4xxxx", "oUpF8uMuAJO", "000123", "120", "2024-05-01T04:00:00.000000Z")
    key = f"40001-{digest(*values).hex()}"
    assert payload == Payload(
        api=Api.POINTS,
        request_key=key,
        identity=key,
        body=json.dumps(BODY | {"out_request_no": key}, separators=(",", ":"), sort_keys=True).encode(),
        lane=CARD,
        balance=Balance(CARD, 120, "2024-05-01T04:00:00.000000Z"),
        key_is_derived=True,
        openid="oUpF8uMuAJO",
    )


def test_a_salt_gives_another_number(sent: Sent) -> None:
    """In another generation of the ledger the derived number differs; a row's own number stays."""
    (made,) = sent(Export.POINTS, {}, salt="01M8KG")
    (plain,) = sent(Export.POINTS, {})
    (own,) = sent(Export.POINTS, {"out_request_no": "R-1"}, salt="01M8KG")

    assert (
        made.request_key
        == f"40001-{digest('40001', 'pbLatjk4xxxx', 'oUpF8uMuAJO', '000123', '120', '', '01M8KG').hex()}"
    )
    assert made.request_key != plain.request_key
    assert own == sent(Export.POINTS, {"out_request_no": "R-1"})[0]


def test_a_derived_number_has_only_allowed_characters(sent: Sent) -> None:
    """Other characters of a brand id are left out of the derived number."""
    (payload,) = sent(Export.POINTS, {"brand_id": "品牌.1"})

    assert payload.request_key.startswith("1-")
    assert payload.request_key.isascii()


@pytest.mark.parametrize(
    ("text", "points"),
    [
        pytest.param("0", 0, id="none"),
        pytest.param("007", 7, id="leading-zeros"),
        pytest.param(" 7 ", 7, id="white-space-around"),
        pytest.param("9007199254740991", 2**53 - 1, id="most"),
        pytest.param("12.0", 12, id="one-decimal"),
        pytest.param("12.00", 12, id="two-decimals"),
        pytest.param(f"12.{'0' * 18}", 12, id="decimals-of-any-scale"),
        pytest.param("1,200", 1200, id="thousands"),
        pytest.param("1,234,567.0", 1234567, id="thousands-with-a-decimal"),
        pytest.param("'6", 6, id="apostrophe"),
        pytest.param("`6", 6, id="backtick"),
        pytest.param('="6"', 6, id="formula"),
        pytest.param("\u200b6\ufeff", 6, id="invisible-around"),
    ],
)
def test_points_are_whole_numbers(sent: Sent, text: str, points: int) -> None:
    """A balance is sent as a JSON integer, also if the export writes it with decimals or separators."""
    (payload,) = sent(Export.POINTS, {"point_balance": text})

    assert json.loads(payload.body)["point_balance"] == points


@pytest.mark.parametrize(
    "text",
    [
        *("-1", "+5", "1e3", "12.5", "12.01", "1200.", ".0", "１２", "9007199254740992", "9" * 30, "0x10", "¥5"),
        *("12,00", "1,20", "1,2000", ",200", "1,200,", "0,200", "1,200,00", "1，200", "1.200.0", "''5", "1\u200b2"),
    ],
)
def test_a_text_that_is_no_number_of_points_is_refused(refused: Refused, text: str) -> None:
    """Signs, fractions, exponents, misplaced separators and numbers that JSON readers round are refused."""
    mapped = refused(Export.POINTS, {"point_balance": text})

    assert [fault.code for fault in mapped.faults] == ["field_invalid"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param(
            {"brand_id": "4" * 17},
            ("field_too_long", 'brand_id "4***4" (17 characters) is longer than the 16 characters allowed'),
            id="brand-id-length",
        ),
        pytest.param(
            {"card_id": "p" * 33},
            ("field_too_long", "card_id (33 characters) is longer than the 32 characters allowed"),
            id="card-id-length",
        ),
        pytest.param(
            {"openid": "o" * 129},
            ("field_too_long", "openid (129 characters) is longer than the 128 characters allowed"),
            id="openid-length",
        ),
        pytest.param(
            {"user_card_code": "0" * 33},
            ("field_too_long", "user_card_code (33 characters) is longer than the 32 characters allowed"),
            id="code-length",
        ),
        pytest.param(
            {"out_request_no": "R" * 129},
            ("field_too_long", 'out_request_no "R***R" (129 characters) is longer than the 128 characters allowed'),
            id="number-length",
        ),
        pytest.param(
            {"out_request_no": "R.1"},
            (
                "field_invalid",
                'out_request_no "R***1" (3 characters) holds something other than half-width letters, digits, - and _',
            ),
            id="number-characters",
        ),
        pytest.param(
            {"user_card_code": "12 3"},
            (
                "field_invalid",
                "user_card_code (4 characters) holds something other than digits, letters and half-width punctuation",
            ),
            id="code-characters",
        ),
        pytest.param(
            {"openid": "o😀"},
            (
                "field_invalid",
                "openid (2 characters) holds a control character or one of four UTF-8 bytes, such as an emoji",
            ),
            id="emoji",
        ),
        pytest.param(
            {"updated_at": "2024-05-01"},
            ("field_invalid", 'updated_at "2024-05-01" is not a time such as 2024-05-01 12:00:00'),
            id="day-without-time",
        ),
        pytest.param({"user_card_code": ""}, ("field_missing", "user_card_code is missing"), id="code-missing"),
    ],
)
def test_a_balance_that_cannot_be_sent_says_why(
    refused: Refused, changes: dict[str, str], fault: tuple[str, str]
) -> None:
    """The lengths and characters that WeChat Pay documents are checked before anything is sent."""
    mapped = refused(Export.POINTS, changes)

    assert ([(found.code, found.message) for found in mapped.faults], mapped.request_key) == ([fault], None)


def test_lengths_are_kept_to_the_character(sent: Sent) -> None:
    """Texts of the platform's maximum length are sent; length counts characters, not bytes."""
    changes = {
        "brand_id": "牌" * 16,
        "card_id": "p" * 32,
        "openid": "o" * 128,
        "user_card_code": "~" * 32,
        "out_request_no": "_" * 128,
    }

    (payload,) = sent(Export.POINTS, changes)

    assert json.loads(payload.body) == changes | {"point_balance": 120}


def test_a_brand_sends_a_balance_without_its_brand(sent: Sent) -> None:
    """With a brand's own account the row need not name the brand: lane and derived number have it, the body has not."""
    own = {"api": Api.BRAND_POINTS, "brand_id": "40001"}
    (named,) = sent(Export.POINTS, {}, **own)
    (unnamed,) = sent(Export.POINTS, {"brand_id": None}, **own)

    values = ("40001", "pbLatjk4xxxx", "oUpF8uMuAJO", "000123", "120", "")
    key = f"40001-{digest(*values).hex()}"
    body = {name: value for name, value in BODY.items() if name != "brand_id"} | {"out_request_no": key}
    assert named == unnamed
    assert named == Payload(
        api=Api.BRAND_POINTS,
        request_key=key,
        identity=key,
        body=json.dumps(body, separators=(",", ":"), sort_keys=True).encode(),
        lane=CARD,
        balance=Balance(CARD, 120),
        key_is_derived=True,
        openid="oUpF8uMuAJO",
    )


def test_a_row_of_another_brand_is_invalid(refused: Refused) -> None:
    """A brand's own account sends no row of another brand; the fault names field and rule, and masks the value."""
    invalid = refused(Export.POINTS, {"brand_id": "40002", "out_request_no": "R-1"}, api=Api.BRAND_POINTS, brand_id="1")

    rule = "is not the brand_id of the account; send this row by a job with that brand's account"
    assert invalid == Invalid(
        (
            Fault(
                "field_invalid",
                f'brand_id "4***2" (5 characters) {rule}',
                field="brand_id",
                column="brand_id",
                rule=rule,
                value="4***2 (5 characters)",
            ),
        ),
        "R-1",
    )


def test_a_wrong_brand_has_one_fault(refused: Refused) -> None:
    """A brand that breaks the field's own rule is not reported as another brand too."""
    invalid = refused(Export.POINTS, {"brand_id": "4" * 17}, api=Api.BRAND_POINTS, brand_id="40001")

    assert [fault.code for fault in invalid.faults] == ["field_too_long"]


def test_a_brand_file_needs_no_column_of_the_brand(rules: Callable[..., MappingRules]) -> None:
    """With a brand's own account, an export without the column brand_id is complete; with a merchant's it is not."""
    columns = ("card_id", "openid", "user_card_code", "point_balance")

    check_columns(rules(Export.POINTS, api=Api.BRAND_POINTS, brand_id="40001"), columns, "a.csv")
    with pytest.raises(SourceError, match="no column or constant feeds brand_id"):
        check_columns(rules(Export.POINTS), columns, "a.csv")
