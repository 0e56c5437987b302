"""What a JSON Schema asks of one value by itself, and which values it looks at to judge others."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Rule = Mapping[str, Any]

_DOCUMENT = {"$schema", "$defs", "type", "required", "properties", "patternProperties", "additionalProperties", "allOf"}
_WAYS = {"type", "required", "properties", "patternProperties", "additionalProperties", "items", "minItems", "maxItems"}
_NOTES = {"title", "description", "default", "contentMediaType"}
_OF_PRESENCE = {"required", "dependentRequired"}
_UPPER = {"maxLength", "maximum"}
_LOWER = {"minLength", "minimum"}


class Unfamiliar(ValueError):
    """A schema says something that this module does not know the meaning of."""


def looked_at(document: Rule) -> frozenset[str]:
    """
    Return the names of the properties whose values, not only whose presence, decide about other properties.

    Raises Unfamiliar for a keyword that is not known.
    """
    unknown = {keyword for keyword in document if not _is_note(keyword)} - _DOCUMENT
    if unknown:
        raise Unfamiliar(", ".join(sorted(unknown)))
    return frozenset(name for part in document.get("allOf", ()) for name in _looked_at(part))


def asked_at(document: Rule, path: tuple[str | int, ...]) -> Rule:
    """
    Return what is asked of the value at a path, without notes; what conditions ask is not part of it.

    Raises Unfamiliar where the way there passes a keyword that is not known.
    """
    node: Rule = {key: document[key] for key in document if key in _WAYS}
    for step in path:
        unknown = node.keys() - _WAYS
        if unknown:
            raise Unfamiliar(", ".join(sorted(unknown)))
        node = _resolved(document, _inner(node, step))
    return node


def asks_no_more(rule: Rule, than: Rule) -> bool:
    """Tell whether each value that keeps one rule keeps the other."""
    return all(key in than and _is_kept(key, asked, than[key]) for key, asked in rule.items())


def _is_kept(keyword: str, asked: Any, held: Any) -> bool:
    if keyword in _UPPER:
        return bool(held <= asked)
    if keyword in _LOWER:
        return bool(held >= asked)
    return bool(held == asked)


def _looked_at(part: Rule | bool) -> Iterator[str]:
    for keyword, inner in {} if isinstance(part, bool) else part.items():
        if keyword == "properties":
            for name, schema in inner.items():
                yield from _looked_at_within(name, schema)
        elif keyword not in _OF_PRESENCE and not _is_note(keyword):
            for schema in _schemas(keyword, inner):
                yield from _looked_at(schema)


def _schemas(keyword: str, inner: Any) -> Iterable[Rule | bool]:
    """Return the schemas that a keyword puts together."""
    match keyword:
        case "allOf" | "anyOf" | "oneOf":
            schemas: Iterable[Rule | bool] = inner
        case "if" | "then" | "else" | "not":
            schemas = (inner,)
        case "dependentSchemas" | "patternProperties":
            schemas = inner.values()
        case _:
            raise Unfamiliar(keyword)
    return schemas


def _looked_at_within(name: str, schema: Rule | bool) -> Iterator[str]:
    try:
        yield from _looked_at(schema)
    except Unfamiliar:  # it asks something of the value itself
        yield name


def _inner(node: Rule, step: str | int) -> Rule:
    if isinstance(step, int):
        found = node.get("items")
    else:
        found = node.get("properties", {}).get(step)
        for pattern, schema in node.get("patternProperties", {}).items():
            if re.search(pattern, step):
                found = schema if found is None else None
    if not isinstance(found, dict):
        raise Unfamiliar(str(step))
    return found


def _resolved(document: Rule, node: Rule) -> Rule:
    """Return a node together with the definition that it refers to, without notes."""
    name = node.get("$ref", "").removeprefix("#/$defs/")
    shared = document["$defs"].get(name) if name else {}
    own = {key: asked for key, asked in node.items() if key != "$ref"}
    if shared is None or "$ref" in shared:
        raise Unfamiliar(name)
    both = {**shared, **own}
    if any(key in shared and shared[key] != asked for key, asked in own.items() if not _is_note(key)):
        raise Unfamiliar(name)
    return {key: asked for key, asked in both.items() if not _is_note(key)}


def _is_note(keyword: str) -> bool:
    return keyword in _NOTES or keyword.startswith("x-")
