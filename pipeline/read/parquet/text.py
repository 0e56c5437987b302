"""Parquet's typed values as text that loses no digit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
from pyarrow import types

from pipeline.language import t
from pipeline.model import Fault
from pipeline.read.number_text import MOST_WHOLE, number_text
from pipeline.tables.text_columns import Column, column_of, joined, pc

_NUL = "\0"
# Arrow may write decimals with more places with an exponent.
_PLAIN_PLACES = range(7)
# Trailing zeros of decimal types with more places are removed: they come from the type, not from the value.
_PLACES_OF_MONEY = 2
# The whole numbers that shorter floats represent exactly.
_MOST_WHOLE = {pa.float32(): 1 << 24, pa.float16(): 1 << 11}
# The bits of a float that 2 exact places after the point take.
_PLACES_OF_FLOATS = 7


@dataclass(frozen=True, slots=True)
class TextColumn:
    """The values of one column as text, and the faults of values that have none, by place."""

    values: Column = field(repr=False)
    faults: dict[int, Fault] = field(default_factory=dict)


def column_texts(name: str, column: Column) -> TextColumn:
    """
    Return a column's values as text; `name` is for messages.

    Decimals have no exponent, and no trailing zeros if their type has more than two places. Floats are written by
    `number_text`. Times are ISO 8601, in UTC if they have a zone. Lists, structs and maps are JSON. An empty text is no
    value, as in CSV.
    """
    column = _unwrapped(column)
    kind = column.type
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return _strings(name, column)
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return _one_by_one(name, column, _decoded)
    if types.is_nested(kind):
        return _one_by_one(name, column, _json)
    if isinstance(column, pa.ExtensionArray):
        return _one_by_one(name, column, str)
    return TextColumn(_plain_values(column).cast(pa.string()))


def _unwrapped(column: Column) -> Column:
    """Return the values behind dictionaries and extension types, except UUIDs, whose storage is bytes."""
    if isinstance(column, pa.DictionaryArray):
        return _unwrapped(column.dictionary_decode())
    if isinstance(column, pa.ExtensionArray) and not isinstance(column.type, pa.UuidType):
        return _unwrapped(column.storage)
    return column


def _plain_values(column: Column) -> Column:
    """Return the values of a type whose values all have a text."""
    kind = column.type
    if types.is_floating(kind):
        most_whole = _MOST_WHOLE.get(kind, MOST_WHOLE)
        texts = (None if text == "nan" else text for text in _digits_of_floats(column).to_pylist())
        return column_of(text and number_text(text, most_whole) for text in texts)
    if types.is_decimal(kind):
        return _decimals(column)
    if types.is_timestamp(kind) or types.is_time(kind):
        return _moments(column)
    return column.cast(pa.string())


def _digits_of_floats(column: Column) -> Column:
    """
    Return the shortest text of each float; of a short float that is too large for 2 exact places, all of its digits.

    From 2**17 on the neighbours of a float32 are more than 0.01 apart, so 167772.17 may have been 167772.16.
    """
    texts = column.cast(pa.string())
    if column.type not in _MOST_WHOLE:
        return texts
    is_coarse = pc.greater_equal(pc.abs(column.cast(pa.float64())), _MOST_WHOLE[column.type] >> _PLACES_OF_FLOATS)
    return pc.if_else(is_coarse, column.cast(pa.float64()).cast(pa.string()), texts)


def _decimals(column: Column) -> Column:
    if column.type.scale in _PLAIN_PLACES:
        texts = column.cast(pa.string())
    else:
        texts = column_of([None if value is None else format(value, "f") for value in column.to_pylist()])
    if column.type.scale <= _PLACES_OF_MONEY:
        return texts
    return pc.utf8_rtrim(pc.utf8_rtrim(texts, characters="0"), characters=".")


def _strings(name: str, column: Column) -> TextColumn:
    try:
        texts = column.cast(pa.string())
        texts.validate(full=True)
    except pa.ArrowInvalid:  # not UTF-8, although the type says so
        return _one_by_one(name, column.cast(pa.large_binary()), _decoded)
    if pc.any(pc.match_substring(texts, _NUL)).as_py():
        return _one_by_one(name, column.cast(pa.large_binary()), _decoded)
    is_empty = pc.equal(pc.binary_length(texts), 0)
    return TextColumn(pc.if_else(is_empty, None, texts) if pc.any(is_empty).as_py() else texts)


def _one_by_one(name: str, column: Column, to_text: Callable[["pa.Scalar[Any]"], str]) -> TextColumn:
    """Convert each value by itself, so that a value without a text affects only its own row."""
    values: list[str | None] = []
    faults: dict[int, Fault] = {}
    for at, scalar in enumerate(column):
        try:
            values.append((to_text(scalar) or None) if scalar.is_valid else None)
        except (ValueError, TypeError, OverflowError, RecursionError):
            values.append(None)
            faults[at] = Fault("not_decodable", t("{name} holds a value that can't be made into text", name=name))
    return TextColumn(column_of(values), faults)


def _decoded(scalar: "pa.Scalar[Any]") -> str:
    text: str = scalar.as_py().decode()
    if _NUL in text:
        raise ValueError
    return text


def _moments(column: Column) -> Column:
    kind = column.type
    zoned = isinstance(kind, pa.TimestampType) and kind.tz is not None
    if zoned:
        # Read as the stored count, which is UTC, because Arrow may lack a database for the zone's name.
        column = column.cast(pa.int64()).cast(pa.timestamp(kind.unit))
    texts = _whole_seconds(column)
    if texts is None:
        values = (None if value is None else _moment(value) for value in column.cast(pa.string()).to_pylist())
        texts = column_of(values)
    return joined(pc.replace_substring(texts, " ", "T"), "+00:00") if zoned else texts


def _whole_seconds(column: Column) -> Column | None:
    """Return times as text by columns; None if one has a fraction of a second."""
    if not types.is_timestamp(column.type):
        return None
    try:
        return column.cast(pa.timestamp("s")).cast(pa.string())
    except pa.ArrowInvalid:
        return None


def _moment(value: str) -> str:
    """Return a time without an empty fraction; other fractions have at least 6 digits."""
    whole, _, fraction = value.partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction:0<6}" if fraction else whole


def _json(scalar: "pa.Scalar[Any]") -> str:
    return orjson.dumps(_json_value(scalar.as_py(), scalar.type), default=str).decode()


def _json_value(value: Any, kind: pa.DataType) -> Any:
    match value:
        case Decimal():
            return format(value, "f")
        case bytes():
            return value.decode()
        case list() if isinstance(kind, pa.MapType):
            return {str(key): _json_value(item, kind.item_type) for key, item in value}
        case list() if isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType):
            return [_json_value(item, kind.value_type) for item in value]
        case dict() if isinstance(kind, pa.StructType):
            return {key: _json_value(item, kind.field(key).type) for key, item in value.items()}
        case _:
            return value
