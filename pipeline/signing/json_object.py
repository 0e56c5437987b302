"""JSON objects in answers."""

from typing import Any

import orjson


def parse_object(text: bytes | str) -> dict[str, Any] | None:
    """Return the JSON object in the text; None for anything else, since each answer of these APIs is an object."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
