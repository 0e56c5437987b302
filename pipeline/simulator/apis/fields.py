"""Fields of a request's content: reading and checking them."""

import re
from collections.abc import Mapping
from datetime import datetime

import orjson

_MEMBER = re.compile(r"2088\d{12}", re.ASCII)
_AMOUNT = re.compile(r"(0|[1-9]\d*)(\.\d{1,2})?", re.ASCII)


def text(content: Mapping[str, object], name: str) -> str:
    """Return the field if it is a text, else an empty text."""
    value = content.get(name)
    return value if isinstance(value, str) else ""


def child(content: Mapping[str, object], name: str) -> Mapping[str, object] | None:
    """Return the field if it is an object, else None."""
    value = content.get(name)
    return value if isinstance(value, dict) else None


def is_member(value: str) -> bool:
    """Return whether this is the id of a user or a merchant (alipay-v3-cumulation.md, section 1)."""
    return _MEMBER.fullmatch(value) is not None


def is_id(value: str) -> bool:
    """Return whether this can be an id: printable, without white space at its ends (inferred)."""
    return value.isprintable() and value == value.strip()


def is_amount(value: object) -> bool:
    """Return whether this is yuan as a decimal text such as `3.57` (alipay-v3-cumulation.md, section 1.1)."""
    return isinstance(value, str) and _AMOUNT.fullmatch(value) is not None


def is_time(value: str) -> bool:
    """Return whether this is a time as `yyyy-MM-dd HH:mm:ss`."""
    try:
        # The platforms' times have no zone; only the form is checked here.
        return datetime.strptime(value, "%Y-%m-%d %H:%M:%S").strftime("%Y-%m-%d %H:%M:%S") == value  # noqa: DTZ007
    except ValueError:
        return False


def json_object(data: bytes | str) -> dict[str, object] | None:
    """Return the text as a JSON object; None if it is not one."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
