"""The JSON that an answer carries."""

from typing import Any

import orjson


def parse_object(text: bytes | str) -> dict[str, Any] | None:
    """Return the JSON object that the text is, or None: no answer of these APIs is anything else."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
