"""From the text of a cell to the value of a field."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from pipeline.map.amounts import from_fen, from_float_of_fen, from_yuan
from pipeline.map.faults import Unreadable
from pipeline.map.fields import Field, Kind
from pipeline.map.times import beijing_time, utc_instant

Convert = Callable[[str], Any]
"""Reads a text, or raises Unreadable; None stands for a text that says nothing."""

_WHOLE = re.compile(r"[0-9]{1,19}")
_WHOLE_FLOAT = re.compile(r"([0-9]{1,19})\.0")


def conversion(field: Field, *, zone: ZoneInfo, unit: str, is_float: bool) -> Convert | None:
    """Return how the texts of a field are read; None where they stay as they are."""
    words = field.words or {}
    readers: Mapping[Kind, Convert | None] = {
        Kind.TEXT: _refuse_float if is_float else None,
        Kind.AMOUNT: _amount_reader(unit, is_float=is_float),
        Kind.TIME: lambda text: beijing_time(text, zone),
        Kind.INSTANT: lambda text: utc_instant(text, zone),
        Kind.INTEGER: _integer_of_float if is_float else _integer,
        Kind.BOOLEAN: lambda text: _boolean(text, words),
        Kind.OBJECT: _json_object,
        Kind.DISCOUNTS: lambda text: _discounts(text, _amount_reader(unit, is_float=False)),
    }
    return readers[field.kind]


def _amount_reader(unit: str, *, is_float: bool) -> Convert:
    if unit == "fen":
        return from_float_of_fen if is_float else from_fen
    return from_yuan


def _refuse_float(_: str) -> str:
    raise Unreadable("stands in a column of floats, which may have lost digits; export the column as text")


def _integer(text: str) -> int:
    if _WHOLE.fullmatch(text) is None:
        raise Unreadable("is not a whole number of at most 19 digits")
    return int(text)


def _integer_of_float(text: str) -> int:
    match = _WHOLE_FLOAT.fullmatch(text)
    return _integer(match[1] if match else text)


def _boolean(text: str, words: Mapping[str, bool]) -> bool:
    truth = words.get(text.lower())
    if truth is None:
        raise Unreadable(f"is not one of {', '.join(words)}")
    return truth


def _json_object(text: str) -> str:
    if not isinstance(_parsed(text), dict):
        raise Unreadable("is not a JSON object")
    return text


def _discounts(text: str, read_amount: Convert) -> list[dict[str, Any]] | None:
    """Read a JSON list of flat objects; what has to be in each is left to the schema. An empty list says nothing."""
    items = _parsed(text)
    if not isinstance(items, list) or not all(map(_is_flat_object, items)):
        raise Unreadable("is not a JSON list of discounts")
    try:
        # Read again with numbers as texts: an amount never goes through a float.
        items = json.loads(text, parse_float=str, parse_int=str)
        return [_with_amount_read(item, read_amount) for item in items] or None
    except RecursionError:  # a key that comes twice can hide a deep value from the look above
        raise Unreadable("is nested too deep") from None


def _with_amount_read(item: dict[str, Any], read_amount: Convert) -> dict[str, Any]:
    amount = item.get("discount_amount")
    if not isinstance(amount, str):
        return item
    try:
        return item | {"discount_amount": read_amount(amount)}
    except Unreadable as error:
        raise Unreadable(f"has a discount_amount that {error.rule}") from None


def _is_flat_object(item: object) -> bool:
    return isinstance(item, dict) and not any(isinstance(value, list | dict) for value in item.values())


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Unreadable("is not JSON") from None
