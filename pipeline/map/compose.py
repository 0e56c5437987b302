"""From the fields of a row to the JSON body of its payload."""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.model import Export, digest

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
"""The name under which the rules' salt is found among the fields of points: no field of an export has it."""

DECIDING = frozenset({"brand_id", "times"})
"""The fields whose values shape the rest: a made number begins with its brand, and a task is done n times."""


def order_body(fields: Fields) -> Body:
    """Return the body that adds, or takes back, an amount; with AMOUNT_TASK a task as well."""
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
    """Return the body that counts, or takes back, one task."""
    body = _report(fields)
    body["cumulate_data_type"] = "TASK"
    body["task_type_data"] = {"name": fields["task_name"]}
    return body


def points_body(fields: Fields) -> Body:
    """Return the body that sets a card's balance, under the row's own number or one made from the row."""
    body = {name: fields[name] for name in _BALANCE}
    body["out_request_no"] = fields.get("out_request_no") or _derived_number(fields)
    return body


def state_body(fields: Fields) -> Body:
    """Return the body that tells the state of a business object: all fields as they are, but for when it changed."""
    return {name: value for name, value in fields.items() if name != "updated_at"}


COMPOSE: Mapping[Export, Callable[[Fields], Body]] = {
    Export.ORDERS: order_body,
    Export.TASKS: task_body,
    Export.POINTS: points_body,
    Export.STATES: state_body,
}


def _report(fields: Fields) -> Body:
    """Return what every cumulation report holds."""
    body = {name: value for name, value in fields.items() if name in _REPORT}
    body["request_from"] = "ExternalMerchantSource"  # a fixed text of the platform
    return body


def number_parts(fields: Fields) -> tuple[str, ...]:
    """Return what a made request number is the digest of: all that a row of points may say, and a salt if any."""
    salt = (fields[SALT],) if fields.get(SALT) else ()
    return (*(fields[name] for name in _CARD), str(fields["point_balance"]), fields.get("updated_at", ""), *salt)


def _derived_number(fields: Fields) -> str:
    """Return a request number that the same row always gives, in the characters that WeChat Pay takes."""
    brand = "".join(c for c in fields["brand_id"] if c.isascii() and (c.isalnum() or c in "-_"))
    return f"{brand}-{digest(*number_parts(fields)).hex()}"
