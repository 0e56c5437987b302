"""The fields of each export, as schemas/exports/ describes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from pipeline.model import Api, Export
from pipeline.resources import schema

PART_OF_BIZ_DATA = "biz_data."

API_OF_EXPORT: Mapping[Export, Api] = {
    Export.ORDERS: Api.CUMULATION,
    Export.TASKS: Api.CUMULATION,
    Export.POINTS: Api.POINTS,
    Export.STATES: Api.STATE,
}


class Kind(StrEnum):
    """
    How the text of a cell is read: the schemas' `x-kind`.

    An id is also a key, a code or a fixed word; a part of biz_data may be anything.
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


_AS_WRITTEN = frozenset({Kind.TEXT, Kind.OBJECT, Kind.DISCOUNTS})


@dataclass(frozen=True, slots=True)
class Field:
    """
    One field of an export.

    `default` is the text it has where the row says nothing, and `default_where` the one it has where another field
    is there. A constant counts only where the field `companion` is there. `words` are the texts of a boolean. A field
    that `is_word` holds one word of a list. The value of a private field is never shown.
    """

    name: str
    kind: Kind = Kind.TEXT
    default: str | None = None
    default_where: tuple[tuple[str, str], ...] = ()
    companion: str | None = None
    words: Mapping[str, bool] | None = None
    is_private: bool = False
    is_word: bool = False


def is_bare(described: Field | None) -> bool:
    """Tell whether what is around a value is no part of it, beside white space: so for all but names and JSON."""
    return described is not None and described.kind not in _AS_WRITTEN


def export_schema(export: Export) -> dict[str, Any]:
    """Return the JSON Schema of an export's rows; the caller does not change it."""
    return schema(f"exports/{export}.json")


@cache
def fields_of(export: Export) -> Mapping[str, Field]:
    """Return the fields of an export by name, in the schema's order."""
    document = export_schema(export)
    return {name: _field(name, document, described) for name, described in document["properties"].items()}


def field_of(export: Export, name: str) -> Field | None:
    """Return a field by its name, a part of biz_data among them; None where the export has none of that name."""
    if export is Export.STATES and name.startswith(PART_OF_BIZ_DATA) and name != PART_OF_BIZ_DATA:
        return Field(name, Kind.PART)
    return fields_of(export).get(name)


@cache
def required_fields(export: Export) -> tuple[tuple[str, ...], ...]:
    """Return what every row needs, each as the fields of which one has to be there."""
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
        kind=Kind(facts.get("x-kind", Kind.TEXT)),
        default=None if default is None else str(default),
        default_where=tuple(facts.get("x-default-where", {}).items()),
        companion=facts.get("x-with"),
        words=words or None,
        is_private=facts.get("x-private", False),
        is_word="enum" in facts,
    )
