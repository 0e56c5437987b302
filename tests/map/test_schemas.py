"""The JSON Schemas that the program validates with."""

from typing import Any

import jsonschema_rs
import pytest

from pipeline.map.compiled_schema import CompiledSchema
from pipeline.map.fields import fields_of, required_fields
from pipeline.model import Export
from pipeline.resources import schema

NAMES = (
    *(f"exports/{export}.json" for export in Export),
    *(f"payloads/{name}.json" for name in ("cumulation", "state", "points", "brand_points")),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_one_of_2020_12(name: str) -> None:
    """Each file is a valid JSON Schema 2020-12 with a title and its source."""
    document = schema(name)

    jsonschema_rs.meta.validate(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["title"]
    assert "Source: " in document["description"]


def test_exports_have_the_fields_of_the_contract() -> None:
    """The fields of each export, and its required fields, are those of the contract."""
    user = ("user_id", "open_id")
    report = ("out_biz_no", "agreement_no", *user, "partner_id", "biz_time")
    assert {export: set(fields_of(export)) for export in Export} == {
        Export.ORDERS: {
            *(*report, "amount_name", "biz_action", "pay_out_biz_no", "trade_no", "trade_amount", "discount_name"),
            *("discount_type", "discount_amount", "discounts", "has_alipay_trade", "task_name"),
            *("cumulate_data_type", "ext_info"),
        },
        Export.TASKS: {*report, "task_name", "biz_action", "pay_out_biz_no", "ext_info", "times"},
        Export.POINTS: {
            *("brand_id", "card_id", "openid", "user_card_code", "point_balance", "out_request_no", "updated_at"),
        },
        Export.STATES: {
            *(*user, "out_biz_no", "out_principal_id", "biz_state_code", "category_code", "service_id", "biz_data"),
            "updated_at",
        },
    }
    assert {export: set(required_fields(export)) for export in Export} == {
        Export.ORDERS: {("out_biz_no",), ("agreement_no",), user, ("partner_id",), ("biz_time",), ("amount_name",)},
        Export.TASKS: {("out_biz_no",), ("agreement_no",), user, ("partner_id",), ("biz_time",), ("task_name",)},
        Export.POINTS: {("brand_id",), ("card_id",), ("openid",), ("user_card_code",), ("point_balance",)},
        Export.STATES: {
            *(user, ("out_biz_no",), ("out_principal_id",), ("biz_state_code",), ("category_code",)),
            *(("service_id",), ("biz_data",)),
        },
    }


def test_ids_of_users_are_private_in_every_export() -> None:
    """Ids of users are private in every export."""
    private = {name for export in Export for name, field in fields_of(export).items() if field.is_private}

    assert private == {"user_id", "open_id", "openid", "user_card_code", "card_id", "agreement_no"}


def test_orders_and_tasks_have_equal_rules_for_shared_fields() -> None:
    """A field of the cumulation API has the same rule in both exports."""
    orders, tasks = (schema(f"exports/{export}.json") for export in (Export.ORDERS, Export.TASKS))

    def rules(document: dict[str, Any], name: str) -> dict[str, Any]:
        described = document["properties"][name]
        shared = document["$defs"].get(described.get("$ref", "").removeprefix("#/$defs/"), {})
        return {key: value for key, value in {**shared, **described}.items() if key != "description"}

    common = orders["properties"].keys() & tasks["properties"].keys()
    assert {name: rules(orders, name) for name in common} == {name: rules(tasks, name) for name in common}


REPORT = {
    "agreement_no": "1",
    "biz_action": "ORDER_PAID",
    "biz_time": "2024-05-01 12:00:00",
    "out_biz_no": "A",
    "partner_id": "2088000000000002",
    "request_from": "ExternalMerchantSource",
    "user_id": "2088000000000003",
}
TRADE = {"trade_no": "T", "amount": "1.00"}


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        pytest.param({"cumulate_data_type": "TASK", "task_type_data": {"name": "t"}}, [], id="task"),
        pytest.param(
            {"cumulate_data_type": "TASK"},
            ["is missing: TASK carries a task and no amounts"],
            id="task-without-task",
        ),
        pytest.param(
            {"cumulate_data_type": "AMOUNT", "amount_type_data": {"name": "a"}},
            ["AMOUNT carries a trade, a discount or both, and no task"],
            id="amount-of-nothing",
        ),
        pytest.param(
            {"cumulate_data_type": "AMOUNT_TASK", "amount_type_data": {"name": "a", "trade_info": TRADE}},
            ["is missing: AMOUNT_TASK carries a trade and a discount"],
            id="bound-without-discount",
        ),
        pytest.param(
            {"cumulate_data_type": "TASK", "task_type_data": {"name": "t"}, "biz_action": "ORDER_REFUND"},
            ["is missing: a refund (ORDER_REFUND) names the payment it takes back, and a payment names none"],
            id="refund-of-nothing",
        ),
        pytest.param(
            {"cumulate_data_type": "TASK", "task_type_data": {"name": "t"}, "request_from": "me", "x": 1},
            ["breaks the rule const", "has an unknown key"],
            id="fixed-text-and-unknown-key",
        ),
    ],
)
def test_the_body_of_a_cumulation_is_checked(changes: dict[str, Any], rules: list[str]) -> None:
    """The final body is checked by the payload's schema."""
    breaches = CompiledSchema(schema("payloads/cumulation.json")).breaches(REPORT | changes)

    assert [breach.words for breach in breaches] == rules
