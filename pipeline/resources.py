"""Data files of the package: inside it in a wheel, at the top level of a checkout."""

from functools import cache
from pathlib import Path
from typing import Any, cast

import orjson

_PACKAGE = Path(__file__).parent


def schema_path(name: str) -> Path:
    """Return the path of a JSON Schema such as `exports/orders.json`."""
    packaged = _PACKAGE / "schemas" / name
    return packaged if packaged.exists() else _PACKAGE.parent / "schemas" / name


@cache
def schema(name: str) -> dict[str, Any]:
    """Return a parsed JSON Schema (2020-12). Do not change it."""
    return cast("dict[str, Any]", orjson.loads(schema_path(name).read_bytes()))


@cache
def private_fields() -> frozenset[str]:
    """Return the fields, of all exports, whose values are never shown: those with `x-private` in the schemas."""
    schemas = (schema(f"exports/{path.name}") for path in schema_path("exports").glob("*.json"))
    return frozenset(name for each in schemas for name, facts in each["properties"].items() if facts.get("x-private"))
