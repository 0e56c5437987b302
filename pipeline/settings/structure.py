"""The check of a config against schemas/config.json, with faults in our own words."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind

from pipeline.language import later, t
from pipeline.resources import schema
from pipeline.settings.json_copy import json_copy
from pipeline.settings.table import place
from pipeline.settings.wording import did_you_mean, listed, nearest, quoted

_SCHEMA = "config.json"
_SECRETS = ("private_key", "encrypt_key", "app_auth_token", "apiv3_key", "url", "secret", "password")
_TYPES = {
    bool: later("true or false"),
    int: later("a whole number"),
    float: later("a number"),
    str: later("text"),
    list: later("a list"),
    dict: later("a table"),
}
_OTHER_TYPE = later("a date or time")

TablePath = tuple[str, ...]


def check_structure(document: Mapping[str, Any], file: str) -> tuple[dict[str, Any], list[str]]:
    """
    Return a copy of the document without faulty values, and the faults.

    A key with a faulty value holds None. So does a known key that a misspelt key probably stands for.
    """
    faults: list[str] = []
    checked: dict[str, Any] = json_copy(document, file, faults)
    errors = list(_validator().iter_errors(checked))
    # Unknown keys come first, so that a misspelt key is not reported as missing too.
    for error in errors:
        if isinstance(error.kind, ValidationErrorKind.AdditionalProperties):
            faults += _unknown_keys(error, error.kind.unexpected, checked, file)
    for error in errors:
        if not isinstance(error.kind, ValidationErrorKind.AdditionalProperties):
            faults += _other_faults(error, checked, document, file)
    return checked, list(dict.fromkeys(faults))


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(schema(_SCHEMA))


def _unknown_keys(error: ValidationError, keys: Iterable[str], checked: dict[str, Any], file: str) -> list[str]:
    path = _names(error)
    table = _find(checked, path)
    known = _rule(error)["properties"]
    faults = []
    for key in keys:
        value = table.pop(key)
        faults.append(f"{place(file, path, key)}: {_advice(key, path, known, value)}")
        meant = f"{key}_file" if key in _SECRETS and f"{key}_file" in known else nearest(key, known)
        if meant is not None:
            table.setdefault(meant, None)
    return faults


def _advice(key: str, path: TablePath, known: Mapping[str, Any], value: object) -> str:
    if key in _SECRETS and f"{key}_file" in known:
        return t(
            "a secret must not be in the config; put it into a file and name the file in {key}_file, or into "
            "an environment variable and name the variable in {key}_env",
            key=key,
        )
    home = _home(key, path)
    if home is not None:
        return t("unknown key here; it belongs in {home}", home=home)
    hint = did_you_mean(key, known)
    return t("unknown table{hint}", hint=hint) if isinstance(value, dict) else t("unknown key{hint}", hint=hint)


def _home(key: str, path: TablePath) -> str | None:
    """Return the table where the key is known. TOML puts a key into the table opened last, which is a common slip."""
    definitions = schema(_SCHEMA)["$defs"]
    match path:
        case ("jobs", job, "csv") if key in definitions["job"]["properties"]:
            return f"[jobs.{quoted(job)}], above [jobs.{quoted(job)}.csv]"
        case ("jobs", job) if key in definitions["csv"]["properties"]:
            return f"[jobs.{quoted(job)}.csv]"
        case _:
            return None


def _other_faults(error: ValidationError, checked: dict[str, Any], document: Mapping[str, Any], file: str) -> list[str]:
    path = _names(error)
    match error.kind:
        case ValidationErrorKind.Required(property=key):
            return [] if key in _find(checked, path) else [t("{file}: missing", file=place(file, path, key))]
        case ValidationErrorKind.PropertyNames(error=inner):
            rule = t(_rule(error)["description"])
            return [t("{file}: the name must be {rule}", file=place(file, path, str(inner.instance)), rule=rule)]
    *table, key = _up_to_list(path, document)
    _find(checked, table)[key] = None
    return [t("{file}: must be {error}", file=place(file, tuple(table), key), error=_wanted(error, document, path))]


def _wanted(error: ValidationError, document: Mapping[str, Any], path: TablePath) -> str:
    given = _find(document, path)
    match error.kind:
        case ValidationErrorKind.Enum(options=options):
            names = [str(option) for option in options]
            return listed(names, t("or")) + (did_you_mean(given, names) if isinstance(given, str) else "")
        case ValidationErrorKind.Type():
            return t("{rule}; it is {given}", rule=t(_rule(error)["description"]), given=kind_of(given))
        case _:
            return t(_rule(error)["description"])


def kind_of(given: object) -> str:
    """Return the type of a value in the words of a fault."""
    if isinstance(given, float) and not math.isfinite(given):
        return t("not finite")
    return t(_TYPES.get(type(given), _OTHER_TYPE))


def _rule(error: ValidationError) -> dict[str, Any]:
    """Return the part of the schema that was broken. Its description completes `must be`."""
    part: Any = schema(_SCHEMA)
    for step in error.schema_path[:-1]:
        part = part[step]
    return part  # type: ignore[no-any-return]  # a schema's parts are objects


def _names(error: ValidationError) -> TablePath:
    # The validator returns a key of digits as a number.
    return tuple(str(step) for step in error.instance_path)


def _up_to_list(path: TablePath, document: Any) -> TablePath:
    """Return the path up to the first list: a fault within a list is reported at the list's key."""
    for length, step in enumerate(path):
        if isinstance(document, list):
            return path[:length]
        document = document[step]
    return path


def _find(value: Any, path: Sequence[str]) -> Any:
    for step in path:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value
