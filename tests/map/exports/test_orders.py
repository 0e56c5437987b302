"""Rows of an orders export."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.map import Invalid, MappingRules, bind
from pipeline.model import Api, Export, Fault, Payload, Row, digest

Sent = Callable[..., tuple[Payload, ...]]
Refused = Callable[..., Invalid]

BODY: dict[str, Any] = {
    "agreement_no": "20230000000000000001",
    "amount_type_data": {"name": "消费金额", "trade_info": {"amount": "12.50", "trade_no": "T-1"}},
    "biz_action": "ORDER_PAID",
    "biz_time": "2024-05-01 12:00:00",
    "cumulate_data_type": "AMOUNT",
    "out_biz_no": "A-17",
    "partner_id": "2088000000000000",
    "request_from": "ExternalMerchantSource",
    "user_id": "2088000000000001",
}
DISCOUNT = {"discount_name": "券", "discount_type": "memberPoint", "discount_amount": "1"}
SENT_DISCOUNT = DISCOUNT | {"discount_amount": "1.00"}
REFUND_RULE = "a refund (ORDER_REFUND) names the payment it takes back, and a payment names none"
DISCOUNT_RULE = "a discount needs discount_name, discount_type and discount_amount"


def amounts(**parts: Any) -> dict[str, Any]:
    return {"amount_type_data": {"name": "消费金额"} | parts}


TRADE = {"trade_info": {"amount": "12.50", "trade_no": "T-1"}}


def test_a_payment_becomes_one_payload(sent: Sent) -> None:
    """A row with a trade gives one AMOUNT payload under its own key, in the lane of agreement and user."""
    (payload,) = sent(Export.ORDERS, {})

    assert payload == Payload(
        api=Api.CUMULATION,
        request_key="A-17",
        identity="A-17",
        body=json.dumps(BODY, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode(),
        lane=digest("cumulation", "20230000000000000001", "2088000000000001"),
        agreement="20230000000000000001",
    )


def test_an_agreement_is_named_after_the_field_of_its_user(sent: Sent) -> None:
    """One user of an agreement may be known by either field, so each is looked at by itself."""
    (payload,) = sent(Export.ORDERS, {"user_id": None, "open_id": "abc"})

    assert payload.agreement == "open_id 20230000000000000001"


@pytest.mark.parametrize(
    ("changes", "in_body"),
    [
        pytest.param(
            {"user_id": None, "open_id": "abc"}, {"open_id": "abc", "user_id": None}, id="open-id-instead-of-user-id"
        ),
        pytest.param({"user_id": "  ", "open_id": "abc"}, {"open_id": "abc", "user_id": None}, id="blank-id-is-absent"),
        pytest.param({"out_biz_no": " A-18\t"}, {"out_biz_no": "A-18"}, id="white-space-around-is-dropped"),
        pytest.param(
            {"trade_no": "T 1"}, amounts(trade_info=TRADE["trade_info"] | {"trade_no": "T 1"}), id="inner-blank"
        ),
        pytest.param(
            {"biz_action": "ORDER_REFUND", "pay_out_biz_no": "A-16"},
            {"biz_action": "ORDER_REFUND", "pay_out_biz_no": "A-16"},
            id="refund",
        ),
        pytest.param(DISCOUNT, amounts(**TRADE, out_discount_infos=[SENT_DISCOUNT]), id="discount-columns"),
        pytest.param(
            DISCOUNT | {"trade_no": None, "trade_amount": None},
            amounts(out_discount_infos=[SENT_DISCOUNT]),
            id="discount-alone",
        ),
        pytest.param(
            {"discounts": json.dumps([DISCOUNT, DISCOUNT | {"discount_amount": 2.5}])},
            amounts(**TRADE, out_discount_infos=[SENT_DISCOUNT, DISCOUNT | {"discount_amount": "2.50"}]),
            id="discount-list",
        ),
        pytest.param({"discounts": "[]"}, {}, id="empty-discount-list-is-absent"),
        pytest.param(
            DISCOUNT | {"task_name": "签到"},
            amounts(**TRADE, out_discount_infos=[SENT_DISCOUNT])
            | {"cumulate_data_type": "AMOUNT_TASK", "task_type_data": {"name": "签到"}},
            id="task-name-makes-amount-task",
        ),
        pytest.param(
            DISCOUNT | {"cumulate_data_type": "AMOUNT_TASK"},
            amounts(**TRADE, out_discount_infos=[SENT_DISCOUNT]) | {"cumulate_data_type": "AMOUNT_TASK"},
            id="amount-task-without-task",
        ),
        pytest.param({"has_alipay_trade": "TRUE"}, {"has_alipay_trade": True}, id="true"),
        pytest.param({"has_alipay_trade": "N"}, {"has_alipay_trade": False}, id="no"),
        pytest.param({"has_alipay_trade": ""}, {}, id="boolean-left-out"),
        pytest.param({"ext_info": '{"a": 1.10}'}, {"ext_info": '{"a": 1.10}'}, id="json-kept-as-it-is"),
        pytest.param(
            {"trade_amount": "0"}, amounts(trade_info={"amount": "0.00", "trade_no": "T-1"}), id="nothing-paid"
        ),
        pytest.param({"out_biz_no": "K" * 5000}, {"out_biz_no": "K" * 5000}, id="no-length-is-documented"),
        pytest.param(
            {"amount_name": "金额😀"}, amounts(**TRADE) | {"amount_type_data": TRADE | {"name": "金额😀"}}, id="emoji"
        ),
    ],
)
def test_fields_go_into_the_body(sent: Sent, changes: dict[str, str], in_body: dict[str, Any]) -> None:
    """Each field goes to its place in the platform's field table; absent fields are left out."""
    (payload,) = sent(Export.ORDERS, changes)

    assert json.loads(payload.body) == {name: value for name, value in (BODY | in_body).items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        pytest.param({"agreement_no": None}, [("field_missing", "agreement_no is missing")], id="required"),
        pytest.param({"partner_id": " \t"}, [("field_missing", "partner_id is missing")], id="blank-is-absent"),
        pytest.param(
            {"user_id": None}, [("field_missing", "exactly one of user_id and open_id is needed")], id="no-user"
        ),
        pytest.param(
            {"open_id": "abc"}, [("field_invalid", "exactly one of user_id and open_id is needed")], id="two-users"
        ),
        pytest.param(
            {"trade_amount": "12,50"},
            [
                (
                    "field_invalid",
                    'trade_amount "12,50" is not an amount in yuan with at most two decimals',
                )
            ],
            id="comma",
        ),
        pytest.param(
            {"trade_amount": "12345678901234"},
            [("field_invalid", 'trade_amount "1***4" (14 characters) has more than 13 digits before the point')],
            id="too-much-money",
        ),
        pytest.param(
            {"trade_no": None},
            [("field_missing", "trade_no is missing: trade_no and trade_amount go together")],
            id="no-no",
        ),
        pytest.param(
            {"trade_amount": None},
            [("field_missing", "trade_amount is missing: trade_no and trade_amount go together")],
            id="no-amount",
        ),
        pytest.param(
            {"trade_no": None, "trade_amount": None},
            [("field_missing", "AMOUNT needs a trade, a discount or both (inferred: else nothing is accumulated)")],
            id="nothing-to-accumulate",
        ),
        pytest.param(
            {"biz_action": "REFUND"},
            [("field_invalid", 'biz_action "REFUND" is not one of ORDER_PAID, ORDER_REFUND')],
            id="unknown-action",
        ),
        pytest.param(
            {"biz_action": "ORDER_REFUND"},
            [("field_missing", f"pay_out_biz_no is missing: {REFUND_RULE}")],
            id="refund-of-nothing",
        ),
        pytest.param(
            {"pay_out_biz_no": "A-16"},
            [("field_invalid", f'pay_out_biz_no "A***6" (4 characters) must not be there: {REFUND_RULE}')],
            id="payment-that-names-a-payment",
        ),
        pytest.param(
            {"biz_action": "ORDER_REFUND", "pay_out_biz_no": "A-17"},
            [
                (
                    "field_invalid",
                    "pay_out_biz_no \"A***7\" (4 characters) is the row's own out_biz_no; a refund can't refund itself",
                )
            ],
            id="refund-of-itself",
        ),
        pytest.param(
            {"discount_amount": "1"},
            [
                ("field_missing", f"discount_name is missing: {DISCOUNT_RULE}"),
                ("field_missing", f"discount_type is missing: {DISCOUNT_RULE}"),
            ],
            id="half-a-discount",
        ),
        pytest.param(
            DISCOUNT | {"discount_type": "cash"},
            [
                (
                    "field_invalid",
                    'discount_type "cash" is not one of exclusiveBenefit, exclusiveDiscount, '
                    "appreciationBenefit, memberPoint",
                )
            ],
            id="unknown-discount-type",
        ),
        pytest.param(
            DISCOUNT | {"discounts": json.dumps([DISCOUNT])},
            [
                (
                    "field_invalid",
                    'discount_amount "1" must not be there: discounts come as columns or as a JSON list, not as both',
                )
            ],
            id="discounts-twice",
        ),
        pytest.param(
            {"discounts": '[{"discount_name": "", "discount_amount": "1", "x": null}]'},
            [
                ("field_missing", "discounts[0].discount_type is missing"),
                ("field_invalid", "discounts[0].discount_name is empty"),
                ("field_invalid", "discounts[0] has an unknown key"),
            ],
            id="discount-of-another-shape",
        ),
        pytest.param(
            {"discounts": '[{"discount_name": "a", "discount_type": "memberPoint", "discount_amount": null}]'},
            [("field_invalid", "discounts[0].discount_amount is not of type string")],
            id="discount-of-null",
        ),
        pytest.param(
            {"discounts": '[{"discount_amount": 1.234}]'},
            [
                (
                    "field_invalid",
                    'discounts "[***]" (28 characters) has a discount_amount that '
                    "is not an amount in yuan with at most two decimals",
                )
            ],
            id="discount-of-three-decimals",
        ),
        pytest.param(
            {"discounts": '{"discount_amount": 1}'},
            [("field_invalid", 'discounts "{***}" (22 characters) is not a JSON list of discounts')],
            id="discounts-are-no-list",
        ),
        pytest.param(
            {"task_name": "签到", "cumulate_data_type": "AMOUNT"},
            [
                (
                    "field_invalid",
                    'task_name "签***到" (2 characters) must not be there: task_name goes with AMOUNT_TASK only',
                )
            ],
            id="task-in-amount",
        ),
        pytest.param(
            {"cumulate_data_type": "AMOUNT_TASK"},
            [("field_missing", "AMOUNT_TASK needs a discount")],
            id="bound-no-discount",
        ),
        pytest.param(
            DISCOUNT | {"cumulate_data_type": "AMOUNT_TASK", "trade_no": None, "trade_amount": None},
            [
                ("field_missing", "trade_no is missing: AMOUNT_TASK needs a trade"),
                ("field_missing", "trade_amount is missing: AMOUNT_TASK needs a trade"),
            ],
            id="bound-no-trade",
        ),
        pytest.param(
            {"cumulate_data_type": "TASK"},
            [("field_invalid", 'cumulate_data_type "TASK" is not one of AMOUNT, AMOUNT_TASK')],
            id="tasks-have-an-export-of-their-own",
        ),
        pytest.param(
            {"has_alipay_trade": "maybe"},
            [
                (
                    "field_invalid",
                    'has_alipay_trade "maybe" is not one of true, yes, y, 1, false, no, n, 0',
                )
            ],
            id="neither-true-nor-false",
        ),
        pytest.param(
            {"ext_info": "[1]"},
            [("field_invalid", 'ext_info "[***]" (3 characters) is not a JSON object')],
            id="list-as-object",
        ),
        pytest.param({"ext_info": "{"}, [("field_invalid", 'ext_info "{" (1 character) is not JSON')], id="no-json"),
        pytest.param(
            {"amount_name": "a\x00b"},
            [("field_invalid", 'amount_name "a***b" (3 characters) holds a control character')],
            id="control-character",
        ),
        pytest.param(
            {"trade_no": "T" * 65537},
            [("field_too_long", 'trade_no "T***T" (65537 characters) is longer than the 65536 characters allowed')],
            id="beyond-our-own-bound",
        ),
        pytest.param(
            {"amount_name": "a\ud800"},
            [("not_decodable", 'amount_name "a***?" (2 characters) holds a character that utf-8 cannot encode')],
            id="lone-surrogate",
        ),
        pytest.param(
            {"agreement_no": "x\x07"},
            [("field_invalid", "agreement_no (2 characters) holds a control character")],
            id="private-values-show-their-length-only",
        ),
    ],
)
def test_a_row_that_cannot_be_sent_says_why(
    refused: Refused, changes: dict[str, str | None], faults: list[tuple[str, str]]
) -> None:
    """Each broken rule is one fault that names field, rule and masked value."""
    mapped = refused(Export.ORDERS, changes)

    assert ([(fault.code, fault.message) for fault in mapped.faults], mapped.request_key) == (faults, "A-17")


def test_all_faults_of_a_row_are_reported_together(refused: Refused) -> None:
    """A row with many faults reports all of them."""
    mapped = refused(
        Export.ORDERS, {"out_biz_no": None, "biz_time": "today", "trade_amount": "x", "biz_action": "PAID"}
    )

    assert mapped.request_key is None
    assert mapped.code == "field_invalid"
    assert mapped.message == (
        'biz_time "t***y" (5 characters) is not a time such as 2024-05-01 12:00:00; '
        'trade_amount "x" (1 character) is not an amount in yuan with at most two decimals; '
        "out_biz_no is missing; "
        'biz_action "PAID" is not one of ORDER_PAID, ORDER_REFUND'
    )


def test_a_faulty_key_is_not_reported_as_the_key(refused: Refused) -> None:
    """An invalid row has a request key only if the key itself is valid."""
    assert refused(Export.ORDERS, {"out_biz_no": "A\x01"}).request_key is None
    assert refused(Export.ORDERS, {"biz_time": "today"}).request_key == "A-17"


def test_fen_are_read_by_the_job_s_units(sent: Sent) -> None:
    """Units apply to columns and to discounts in a list; whole fen may have zero decimals."""
    listed = json.dumps([DISCOUNT | {"discount_amount": 75}])
    units = {"trade_amount": "fen", "discount_amount": "fen"}

    (payload,) = sent(Export.ORDERS, {"trade_amount": "1250.0", "discounts": listed}, units=units)

    expected = amounts(**TRADE, out_discount_infos=[DISCOUNT | {"discount_amount": "0.75"}])
    assert json.loads(payload.body) == BODY | expected


@pytest.mark.parametrize("text", ["0.30000000000000004", "1e-07", "1e+16", "-0.0", "inf"])
def test_a_float_that_is_not_exact_is_refused(refused: Refused, text: str) -> None:
    """A float that is not an amount of two decimals is not rounded."""
    mapped = refused(Export.ORDERS, {"trade_amount": text})

    assert [fault.code for fault in mapped.faults] == ["field_invalid"]


def test_constants_of_a_discount_count_only_beside_its_amount(sent: Sent) -> None:
    """A constant of a discount counts only in rows with a discount amount."""
    constants = {"discount_name": "券", "discount_type": "memberPoint"}

    (without,) = sent(Export.ORDERS, {"discount_amount": ""}, constants=constants)
    (beside,) = sent(Export.ORDERS, {"discount_amount": "1"}, constants=constants)

    assert json.loads(without.body) == BODY
    assert json.loads(beside.body) == BODY | amounts(**TRADE, out_discount_infos=[SENT_DISCOUNT])


def test_a_message_names_column_and_constant(refused: Refused) -> None:
    """A message names the export's column, or says that the text is a constant."""
    mapped = refused(
        Export.ORDERS, {"paid_fen": "x"}, columns={"trade_amount": "paid_fen"}, constants={"biz_action": "PAID"}
    )

    assert [fault.message for fault in mapped.faults] == [
        'trade_amount (column paid_fen) "x" (1 character) is not an amount in yuan with at most two decimals',
        'biz_action (a constant) "PAID" is not one of ORDER_PAID, ORDER_REFUND',
    ]


def test_a_row_of_another_width_is_refused(rules: Callable[..., MappingRules]) -> None:
    """A row with too few or too many cells is refused."""
    mapped = bind(rules(Export.ORDERS), ("out_biz_no", "user_id"))(Row(3, ("A-17",)))

    message = "the row has 1 cells, and the file has 2 columns"
    assert mapped == Invalid((Fault("row_ragged", message, rule="does not have one cell for each column of the file"),))


def test_a_fault_has_separate_parts(refused: Refused) -> None:
    """Field, column and rule of a fault hold none of the row's values; the value is separate."""
    mapped = refused(
        Export.ORDERS,
        {"paid_fen": "12.345", "out_biz_no": None, "open_id": "oOther", "discounts": '[{"discount_amount":"x"}]'},
        columns={"trade_amount": "paid_fen"},
        constants={"biz_action": "PAID"},
    )

    amount = "is not an amount in yuan with at most two decimals"
    assert [(fault.field, fault.column, fault.rule, fault.value) for fault in mapped.faults] == [
        ("trade_amount", "paid_fen", amount, "12.345"),
        ("discounts", "discounts", f"has a discount_amount that {amount}", "[***] (25 characters)"),
        ("out_biz_no", "out_biz_no", "is missing", None),
        ("biz_action", None, "is not one of ORDER_PAID, ORDER_REFUND", "PAID"),
        (None, None, "exactly one of user_id and open_id is needed", None),
    ]
