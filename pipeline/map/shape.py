"""A JSON Schema at work: the quick yes or no, and what exactly is wrong."""

from typing import Any

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from pipeline.map.faults import INVALID, MISSING, TOO_LONG, Breach

_WORDS = {
    "additionalProperties": "has a key that does not belong there",
    "enum": "is not one of {options}",
    "maximum": "is more than {limit}",
    "minimum": "is less than {limit}",
    "minLength": "is empty",
    "type": "is no {types}",
}


class Shape:
    """A JSON Schema (2020-12), compiled once."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._validator = Draft202012Validator(document, pattern_options=RegexOptions())

    def breaches(self, value: dict[str, Any]) -> tuple[Breach, ...]:
        """Return every broken rule, and of a field that is missing for several reasons only the first."""
        if self._validator.is_valid(value):  # much faster than to look for errors
            return ()
        found = (_breach(error, self._rule(error.schema_path)) for error in self._validator.iter_errors(value))
        unlike: dict[object, Breach] = {}
        for breach in found:
            unlike.setdefault((MISSING, breach.path) if breach.code == MISSING and breach.path else breach, breach)
        return tuple(unlike.values())

    def _rule(self, path: list[str | int]) -> str:
        """Return the wording next to the keyword that failed: the innermost `x-rule` on the way to it."""
        node: Any = self._document
        rule = ""
        for step in path[:-1]:
            node = node[step]
            rule = node.get("x-rule", rule) if isinstance(node, dict) else rule
        return rule


def _breach(error: ValidationError, rule: str) -> Breach:
    path = tuple(error.instance_path)
    match error.kind:
        case Kind.Required(name):
            return Breach(MISSING, (*path, name), f"is missing: {rule}" if rule else "is missing")
        case Kind.MaxLength(limit):
            return Breach(TOO_LONG, path, f"is longer than the {limit} characters allowed")
        case Kind.OneOfNotValid() | Kind.AnyOf():
            return Breach(MISSING, path, rule)
        case Kind.FalseSchema():
            return Breach(INVALID, path, f"must not be there: {rule}")
        case kind:
            return Breach(INVALID, path, _wording(kind) or rule or f"breaks the rule {kind.name}")


def _wording(kind: Kind) -> str:
    """Word the rules that need no words in the schema, and never with what the row holds."""
    if kind.name not in _WORDS:
        return ""
    facts = {name: ", ".join(fact) if isinstance(fact, list) else fact for name, fact in kind.as_dict().items()}
    return _WORDS[kind.name].format_map(facts)
