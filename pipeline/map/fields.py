"""The fields of each export, read from schemas/exports/."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from pipeline.model import Api, Export
from pipeline.resources import schema

PART_OF_BIZ_DATA = "biz_data."

APIS_OF_EXPORT: Mapping[Export, tuple[Api, ...]] = {
    Export.ORDERS: (Api.CUMULATION,),
    Export.TASKS: (Api.CUMULATION,),
    Export.POINTS: (Api.POINTS, Api.BRAND_POINTS),
    Export.STATES: (Api.STATE,),
}


class FieldKind(StrEnum):
    """
    How the text of a cell is read; the schemas' `x-kind`.

    ID covers ids, keys, codes and enum words. PART is a part of biz_data, which may be any text.
    """

    TEXT = "text"
    ID = "id"
    PART = "part"
    AMOUNT = "amount"
    TIME = "time"
    INSTANT = "instant"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    OBJECT = "object"
    DISCOUNTS = "discounts"


_AS_WRITTEN = frozenset({FieldKind.TEXT, FieldKind.OBJECT, FieldKind.DISCOUNTS})


@dataclass(frozen=True, slots=True)
class Field:
    """
    One field of an export.

    - `default`: the text if the row has none. `default_where`: pairs of another field and a text; the text is the
      default if that field has a value.
    - `companion`: a constant or default of the field counts only if this other field has a value.
    - `words`: the texts of a boolean. `is_word`: the field is an enum.
    - `is_private`: the value is never shown.
    """

    name: str
    kind: FieldKind = FieldKind.TEXT
    default: str | None = None
    default_where: tuple[tuple[str, str], ...] = ()
    companion: str | None = None
    words: Mapping[str, bool] | None = None
    is_private: bool = False
    is_word: bool = False


def is_bare(described: Field | None) -> bool:
    """Return whether text prefixes and invisible characters around a value are removed: for all but names and JSON."""
    return described is not None and described.kind not in _AS_WRITTEN


def export_schema(export: Export) -> dict[str, Any]:
    """Return the JSON Schema of an export's rows; the caller must not change it."""
    return schema(f"exports/{export}.json")


@cache
def fields_of(export: Export) -> Mapping[str, Field]:
    """Return the fields of an export by name, in the schema's order."""
    document = export_schema(export)
    return {name: _field(name, document, described) for name, described in document["properties"].items()}


def field_of(export: Export, name: str) -> Field | None:
    """Return a field by its name, which may be a part of biz_data; None if the export has no such field."""
    if export is Export.STATES and name.startswith(PART_OF_BIZ_DATA) and name != PART_OF_BIZ_DATA:
        return Field(name, FieldKind.PART)
    return fields_of(export).get(name)


@cache
def required_fields(export: Export) -> tuple[tuple[str, ...], ...]:
    """Return the requirements of every row; each is a tuple of fields of which one must have a value."""
    document = export_schema(export)
    choices = (rule["oneOf"] for rule in document.get("allOf", ()) if "oneOf" in rule)
    either = (tuple(option["required"][0] for option in choice) for choice in choices)
    return (*((name,) for name in document["required"]), *either)


def _field(name: str, document: dict[str, Any], described: dict[str, Any]) -> Field:
    shared = document.get("$defs", {}).get(described.get("$ref", "").removeprefix("#/$defs/"), {})
    facts = {**shared, **described}
    default = facts.get("default")
    words = {text: truth == "true" for truth, texts in facts.get("x-words", {}).items() for text in texts}
    return Field(
        name,
        kind=FieldKind(facts.get("x-kind", FieldKind.TEXT)),
        default=None if default is None else str(default),
        default_where=tuple(facts.get("x-default-where", {}).items()),
        companion=facts.get("x-with"),
        words=words or None,
        is_private=facts.get("x-private", False),
        is_word="enum" in facts,
    )
