"""From the text of a cell to the value of a field."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from pipeline.language import t
from pipeline.map.faults import Unreadable
from pipeline.map.fields import Field, FieldKind
from pipeline.map.rules import MappingRules
from pipeline.map.values.amounts import from_fen, from_yuan, whole_number
from pipeline.map.values.ids import read_id, read_suspicious_id, refuse_lost, refuse_scientific
from pipeline.map.values.times import TimeReader

Convert = Callable[[str], Any]
"""Converts a text, or raises Unreadable; None means no value."""


def conversion(field: Field, rules: MappingRules) -> Convert | None:
    """Return the function that converts the texts of a field; None if they stay text."""
    words = field.words or {}
    # The amounts in a list of discounts have the unit of the column for a single discount.
    unit = rules.units.get("discount_amount" if field.kind is FieldKind.DISCOUNTS else field.name, "yuan")
    read_amount = from_fen if unit == "fen" else from_yuan
    times = TimeReader(rules.timezone, rules.formats.get(field.name, ()), rules.now)
    readers: Mapping[FieldKind, Convert | None] = {
        FieldKind.TEXT: None,
        FieldKind.ID: read_suspicious_id if rules.sends_suspicious_ids else read_id,
        FieldKind.PART: refuse_lost if rules.sends_suspicious_ids else refuse_scientific,
        FieldKind.AMOUNT: read_amount,
        FieldKind.TIME: times.beijing_time,
        FieldKind.INSTANT: times.utc_instant,
        FieldKind.INTEGER: whole_number,
        FieldKind.BOOLEAN: lambda text: _boolean(text, words),
        FieldKind.OBJECT: _json_object,
        FieldKind.DISCOUNTS: lambda text: _discounts(text, read_amount),
    }
    return readers[field.kind]


def _boolean(text: str, words: Mapping[str, bool]) -> bool:
    truth = words.get(text.lower())
    if truth is None:
        raise Unreadable(t("is not one of {words}", words=", ".join(words)), "enum")
    return truth


def _json_object(text: str) -> str:
    if not isinstance(_parsed(text), dict):
        raise Unreadable(t("is not a JSON object"), "json")
    return text


def _discounts(text: str, read_amount: Convert) -> list[dict[str, Any]] | None:
    """Read a JSON list of flat objects. The schema checks their keys. An empty list is no value."""
    items = _parsed(text)
    if not isinstance(items, list) or not all(map(_is_flat_object, items)):
        raise Unreadable(t("is not a JSON list of discounts"), "json")
    try:
        # Parsed again with numbers as text, so that no amount becomes a float.
        items = json.loads(text, parse_float=str, parse_int=str)
        return [_with_amount_read(item, read_amount) for item in items] or None
    except RecursionError:  # a repeated key can hide a deep value from the check above
        raise Unreadable(t("is nested too deep"), "json") from None


def _with_amount_read(item: dict[str, Any], read_amount: Convert) -> dict[str, Any]:
    amount = item.get("discount_amount")
    if not isinstance(amount, str):
        return item
    try:
        return item | {"discount_amount": read_amount(amount)}
    except Unreadable as error:
        raise Unreadable(t("has a discount_amount that {words}", words=error.words), error.rule) from None


def _is_flat_object(item: object) -> bool:
    return isinstance(item, dict) and not any(isinstance(value, list | dict) for value in item.values())


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Unreadable(t("is not JSON"), "json") from None
