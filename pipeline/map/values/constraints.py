"""The rule of a JSON Schema for one value, and the fields whose values decide about other fields."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_DOCUMENT = {"$schema", "$defs", "type", "required", "properties", "patternProperties", "additionalProperties", "allOf"}
_WAYS = {"type", "required", "properties", "patternProperties", "additionalProperties", "items", "minItems", "maxItems"}
_NOTES = {"title", "description", "default", "contentMediaType"}
_OF_PRESENCE = {"required", "dependentRequired"}
_UPPER = {"maxLength", "maximum"}
_LOWER = {"minLength", "minimum"}


class UnknownKeyword(ValueError):
    """A schema uses a keyword that this module does not know."""


def deciding_fields(document: Schema) -> frozenset[str]:
    """
    Return the names of the properties whose values decide about other properties; presence alone does not count.

    Raises UnknownKeyword.
    """
    unknown = {keyword for keyword in document if not _is_note(keyword)} - _DOCUMENT
    if unknown:
        raise UnknownKeyword(", ".join(sorted(unknown)))
    return frozenset(name for part in document.get("allOf", ()) for name in _deciding_fields(part))


def rule_at(document: Schema, path: tuple[str | int, ...]) -> Schema:
    """
    Return the rule of the value at a path, without notes and without conditional rules.

    Raises UnknownKeyword for an unknown keyword on the path.
    """
    node: Schema = {key: document[key] for key in document if key in _WAYS}
    for step in path:
        unknown = node.keys() - _WAYS
        if unknown:
            raise UnknownKeyword(", ".join(sorted(unknown)))
        node = _resolved(document, _inner(node, step))
    return node


def is_implied(rule: Schema, than: Schema) -> bool:
    """Return whether each value that keeps the rule `than` keeps `rule` too."""
    return all(key in than and _is_kept(key, limit, than[key]) for key, limit in rule.items())


def _is_kept(keyword: str, limit: Any, given: Any) -> bool:
    if keyword in _UPPER:
        return bool(given <= limit)
    if keyword in _LOWER:
        return bool(given >= limit)
    return bool(given == limit)


def _deciding_fields(part: Schema | bool) -> Iterator[str]:
    for keyword, inner in {} if isinstance(part, bool) else part.items():
        if keyword == "properties":
            for name, schema in inner.items():
                yield from _deciding_within(name, schema)
        elif keyword not in _OF_PRESENCE and not _is_note(keyword):
            for schema in _schemas(keyword, inner):
                yield from _deciding_fields(schema)


def _schemas(keyword: str, inner: Any) -> Iterable[Schema | bool]:
    """Return the schemas within a keyword."""
    match keyword:
        case "allOf" | "anyOf" | "oneOf":
            schemas: Iterable[Schema | bool] = inner
        case "if" | "then" | "else" | "not":
            schemas = (inner,)
        case "dependentSchemas" | "patternProperties":
            schemas = inner.values()
        case _:
            raise UnknownKeyword(keyword)
    return schemas


def _deciding_within(name: str, schema: Schema | bool) -> Iterator[str]:
    try:
        yield from _deciding_fields(schema)
    except UnknownKeyword:  # the keyword is about the value itself
        yield name


def _inner(node: Schema, step: str | int) -> Schema:
    if isinstance(step, int):
        found = node.get("items")
    else:
        found = node.get("properties", {}).get(step)
        for pattern, schema in node.get("patternProperties", {}).items():
            if re.search(pattern, step):
                found = schema if found is None else None
    if not isinstance(found, dict):
        raise UnknownKeyword(str(step))
    return found


def _resolved(document: Schema, node: Schema) -> Schema:
    """Return a node merged with the definition that it refers to, without notes."""
    name = node.get("$ref", "").removeprefix("#/$defs/")
    shared = document["$defs"].get(name) if name else {}
    own = {key: limit for key, limit in node.items() if key != "$ref"}
    if shared is None or "$ref" in shared:
        raise UnknownKeyword(name)
    both = {**shared, **own}
    if any(key in shared and shared[key] != limit for key, limit in own.items() if not _is_note(key)):
        raise UnknownKeyword(name)
    return {key: limit for key, limit in both.items() if not _is_note(key)}


def _is_note(keyword: str) -> bool:
    return keyword in _NOTES or keyword.startswith("x-")
