"""From the fields of a row to the JSON body of its payload."""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.model import Api, Export, digest

Fields = Mapping[str, Any]
Body = dict[str, Any]

_REPORT = frozenset(
    {"out_biz_no", "agreement_no", "user_id", "open_id", "partner_id", "biz_time", "biz_action", "pay_out_biz_no"}
    | {"cumulate_data_type", "has_alipay_trade", "ext_info"}
)
_DISCOUNT = ("discount_name", "discount_type", "discount_amount")
_CARD = ("brand_id", "card_id", "openid", "user_card_code")
_BALANCE = (*_CARD, "point_balance")

SALT = "#salt"
"""The name of the rules' salt among the fields of a points row. No field of an export has this name."""

DECIDING = frozenset({"brand_id", "times"})
"""Fields whose values change the rest: a derived number begins with the brand id, and `times` multiplies payloads."""


def order_body(fields: Fields) -> Body:
    """Return the body that adds or refunds an amount; with AMOUNT_TASK a task as well."""
    body = _report(fields)
    body["amount_type_data"] = amounts = {"name": fields["amount_name"]}
    if "trade_amount" in fields:
        amounts["trade_info"] = {"trade_no": fields["trade_no"], "amount": fields["trade_amount"]}
    if "discount_amount" in fields:
        amounts["out_discount_infos"] = [{name: fields[name] for name in _DISCOUNT}]
    elif "discounts" in fields:
        amounts["out_discount_infos"] = fields["discounts"]
    if "task_name" in fields:
        body["task_type_data"] = {"name": fields["task_name"]}
    return body


def task_body(fields: Fields) -> Body:
    """Return the body that counts or refunds one task."""
    body = _report(fields)
    body["cumulate_data_type"] = "TASK"
    body["task_type_data"] = {"name": fields["task_name"]}
    return body


def points_body(fields: Fields) -> Body:
    """Return the body that sets a card's balance, under the row's own request number or a derived one."""
    body = {name: fields[name] for name in _BALANCE}
    body["out_request_no"] = fields.get("out_request_no") or _derived_number(fields)
    return body


def brand_points_body(fields: Fields) -> Body:
    """Return the body of a brand's own call: as `points_body`, without the brand, which the header names."""
    return {name: value for name, value in points_body(fields).items() if name != "brand_id"}


def state_body(fields: Fields) -> Body:
    """Return the body that sets the state of a business object: all fields except `updated_at`."""
    return {name: value for name, value in fields.items() if name != "updated_at"}


COMPOSE: Mapping[tuple[Export, Api], Callable[[Fields], Body]] = {
    (Export.ORDERS, Api.CUMULATION): order_body,
    (Export.TASKS, Api.CUMULATION): task_body,
    (Export.POINTS, Api.POINTS): points_body,
    (Export.POINTS, Api.BRAND_POINTS): brand_points_body,
    (Export.STATES, Api.STATE): state_body,
}


def _report(fields: Fields) -> Body:
    """Return the part that all cumulation bodies share."""
    body = {name: value for name, value in fields.items() if name in _REPORT}
    body["request_from"] = "ExternalMerchantSource"  # a fixed text of the platform
    return body


def number_parts(fields: Fields) -> tuple[str, ...]:
    """Return the texts that a derived request number is hashed from: the row's values, and the salt if any."""
    salt = (fields[SALT],) if fields.get(SALT) else ()
    return (*(fields[name] for name in _CARD), str(fields["point_balance"]), fields.get("updated_at", ""), *salt)


def _derived_number(fields: Fields) -> str:
    """Return the request number derived from a row, always the same, in characters that WeChat Pay allows."""
    brand = "".join(c for c in fields["brand_id"] if c.isascii() and (c.isalnum() or c in "-_"))
    return f"{brand}-{digest(*number_parts(fields)).hex()}"
