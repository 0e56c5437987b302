"""The names and values of one JSON object, each value as text that says the same to the last digit."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

_BETWEEN = re.compile(r"[ \t\n\r]*[:,]?[ \t\n\r]*")


class NotAnObject(ValueError):
    """A line is no JSON object with each name once."""


class _Twice(dict[str, Any]):
    """An object that has a name twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Twice(found)


# Numbers stay the texts that they are.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=_object)


def names_in(line: str) -> Iterable[str]:
    """Return the names of an object; none where a line holds none."""
    try:
        found = orjson.loads(line)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        # NaN, which is no JSON and often written, half a character, or a bad line, of which reading says so.
        try:
            found = {name: None for name in values_in(line) if is_text(name)}
        except NotAnObject:
            return ()
    return found if isinstance(found, dict) else ()


def is_text(text: str) -> bool:
    """Tell whether a text holds no half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def values_in(line: str) -> Mapping[str, str | None]:
    """Return the values of an object: a number, a list and an object as written, a truth as `true` or `false`."""
    try:
        found = _DECODER.decode(line)
    except RecursionError:
        raise NotAnObject("it is nested too deep") from None
    except ValueError as error:
        raise NotAnObject(str(error)) from None
    if not isinstance(found, dict):
        raise NotAnObject("it is another JSON value")
    if isinstance(found, _Twice):
        raise NotAnObject("it has a name twice")
    if any(isinstance(value, dict | list) for value in found.values()):
        found |= {name: text for name, text in _as_written(line).items() if isinstance(found[name], dict | list)}
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in found.items()}


def _as_written(line: str) -> dict[str, str]:
    """Return the values of an object, which was found in order, as the line has them."""
    written = {}
    at = _after(line, line.index("{") + 1)
    while line[at] != "}":
        name, at = _DECODER.raw_decode(line, at)
        start = _after(line, at)
        _, end = _DECODER.raw_decode(line, start)
        written[name] = line[start:end]
        at = _after(line, end)
    return written


def _after(line: str, at: int) -> int:
    """Return the place after blanks and at most one sign that parts names and values."""
    found = _BETWEEN.match(line, at)
    return found.end() if found else at
