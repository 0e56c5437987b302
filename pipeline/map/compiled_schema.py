"""A compiled JSON Schema that returns broken rules in our own words."""

import re
from typing import Any

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError
from jsonschema_rs import ValidationErrorKind as ErrorKind

from pipeline.language import later, t
from pipeline.map.faults import INVALID, MISSING, TOO_LONG, Breach

_CAPITAL = re.compile(r"([A-Z])")
_WORDS = {
    "additionalProperties": later("has an unknown key"),
    "enum": later("is not one of {options}"),
    "maximum": later("is more than {limit}"),
    "minimum": later("is less than {limit}"),
    "minLength": later("is empty"),
    "type": later("is not of type {types}"),
}


class CompiledSchema:
    """A JSON Schema (2020-12), compiled once."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._validator = Draft202012Validator(document, pattern_options=RegexOptions())

    def breaches(self, value: dict[str, Any]) -> tuple[Breach, ...]:
        """Return every broken rule; a field that is missing for several reasons is returned once."""
        if self._validator.is_valid(value):  # much faster than iterating over errors
            return ()
        errors = self._validator.iter_errors(value)
        found = (
            _breach(error, t(self._note("x-rule", error.schema_path)), self._note("x-name", error.schema_path))
            for error in errors
        )
        unlike: dict[object, Breach] = {}
        for breach in found:
            unlike.setdefault((MISSING, breach.path) if breach.code == MISSING and breach.path else breach, breach)
        return tuple(unlike.values())

    def _note(self, keyword: str, path: list[str | int]) -> str:
        """Return the value of a note keyword, such as `x-rule`, nearest to the keyword that failed."""
        node: Any = self._document
        note = ""
        for step in path[:-1]:
            node = node[step]
            note = node.get(keyword, note) if isinstance(node, dict) else note
        return note


def _breach(error: ValidationError, rule: str, name: str) -> Breach:
    path = tuple(error.instance_path)
    keyword = error.kind.name
    name = name if name and keyword not in _WORDS else _CAPITAL.sub(r"_\1", keyword).lower()
    match error.kind:
        case ErrorKind.Required(field):
            return Breach(
                MISSING, (*path, field), t("is missing: {rule}", rule=rule) if rule else t("is missing"), name
            )
        case ErrorKind.MaxLength(limit):
            return Breach(TOO_LONG, path, t("is longer than the {limit} characters allowed", limit=limit), "max_length")
        case ErrorKind.OneOfNotValid() | ErrorKind.AnyOf():
            return Breach(MISSING, path, rule, name)
        case ErrorKind.FalseSchema():
            return Breach(INVALID, path, t("must not be there: {rule}", rule=rule), name)
        case kind:
            return Breach(INVALID, path, _wording(kind) or rule or t("breaks the rule {kind}", kind=kind.name), name)


def _wording(kind: ErrorKind) -> str:
    """Return the words of a common rule, without the row's value; an empty text for other rules."""
    if kind.name not in _WORDS:
        return ""
    facts = {name: ", ".join(fact) if isinstance(fact, list) else fact for name, fact in kind.as_dict().items()}
    return t(_WORDS[kind.name], **facts)
