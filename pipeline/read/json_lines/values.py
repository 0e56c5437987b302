"""The names and values of one JSON object, with each value as text that loses no digit."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from typing import Any

import orjson

from pipeline.language import t
from pipeline.redact import shown_heading

_BETWEEN = re.compile(r"[ \t\n\r]*[:,]?[ \t\n\r]*")


class NotAnObject(ValueError):
    """A line is not a JSON object, or it repeats a name that the job uses."""


class _Repeating(dict[str, Any]):
    """An object with repeated names; it holds the last value of each."""

    repeated: Set[str] = frozenset()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeating = _Repeating(found)
    repeating.repeated = {name for name, times in Counter(name for name, _ in pairs).items() if times > 1}
    return repeating


# Numbers stay text.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=_object)


def names_in(line: str) -> Iterable[str]:
    """Return the names of an object; none if the line is not an object."""
    try:
        found = orjson.loads(line)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        # NaN, which is common but not JSON, a lone surrogate, or a bad line, which is reported when it is read.
        try:
            found = {name: None for name in values_in(line) if is_text(name)}
        except NotAnObject:
            return ()
    return found if isinstance(found, dict) else ()


def is_text(text: str) -> bool:
    """Return whether a text has no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def values_in(line: str, used: Set[str] = frozenset()) -> Mapping[str, str | None]:
    """
    Return the values of an object: numbers, lists and objects as written, booleans as `true` or `false`.

    Raises NotAnObject, also for an object in which a `used` name is repeated.
    """
    try:
        found = _DECODER.decode(line)
    except RecursionError:
        raise NotAnObject(t("it is nested too deep")) from None
    except ValueError as error:
        raise NotAnObject(str(error)) from None
    if not isinstance(found, dict):
        raise NotAnObject(t("it is another JSON value"))
    if isinstance(found, _Repeating) and (names := sorted(found.repeated & used)):
        raise NotAnObject(t("it has the name {name} twice", name=shown_heading(names[0])))
    if any(isinstance(value, dict | list) for value in found.values()):
        found |= {name: text for name, text in _as_written(line).items() if isinstance(found[name], dict | list)}
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in found.items()}


def _as_written(line: str) -> dict[str, str]:
    """Return the values of a valid object as they are written in the line."""
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
    """Return the place after white space and at most one colon or comma."""
    found = _BETWEEN.match(line, at)
    return found.end() if found else at
