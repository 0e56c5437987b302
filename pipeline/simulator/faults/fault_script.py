"""Faults from a TOML file."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.simulator.faults.fault import FaultKind, InjectedFault, When, errors_of, nearest
from pipeline.simulator.ruling import Api

_ENUMS: dict[str, type[StrEnum]] = {"kind": FaultKind, "api": Api, "when": When}
_WHOLE = frozenset({"first", "every", "times", "status", "number"})
_NUMBERS = frozenset({"probability", "after_seconds", "until_seconds", "seconds"})
_FLAGS = frozenset({"each_key", "fetchable"})
_NAMES = [field.name for field in fields(InjectedFault)]
# Upper bound of counts and seconds; it also excludes infinity and NaN.
_MOST = 1e12


def load_faults(path: Path) -> tuple[InjectedFault, ...]:
    """Read a fault script. Raises SettingsError with every error in the script."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([t("can't read the fault script {path}: {error}", path=path, error=error)]) from error
    return parse_faults(text, str(path))


def parse_faults(text: str, source: str) -> tuple[InjectedFault, ...]:
    """Read a fault script: `[[fault]]` tables with the fields of `InjectedFault`. `source` names it in errors."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([t("{source}: not TOML: {error}", source=source, error=error)]) from error
    except (ValueError, RecursionError) as error:
        # tomllib does not say where.
        raise SettingsError(
            [t("{source}: not TOML: a number is too large or tables are nested too deeply", source=source)]
        ) from error
    wrong = [
        t("{source}: `{name}` is not known{hint}", source=source, name=name, hint=nearest(name, ["fault"]))
        for name in document
        if name != "fault"
    ]
    tables = document.get("fault", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise SettingsError(
            [*wrong, t("{source}: `fault` must be an array of tables, each headed `[[fault]]`", source=source)]
        )
    faults = [_fault(table, f"{source}: [[fault]] {place}: ", wrong) for place, table in enumerate(tables, 1)]
    if wrong:
        raise SettingsError(wrong)
    return tuple(fault for fault in faults if fault is not None)


def _fault(table: Mapping[str, Any], place: str, wrong: list[str]) -> InjectedFault | None:
    found = [*_unknown_names(table), *_wrong_types(table)]
    if not found:
        values: dict[str, Any] = {
            name: _ENUMS[name](value) if name in _ENUMS else value for name, value in table.items()
        }
        fault = InjectedFault(**values)
        found = errors_of(fault)
        if not found:
            return fault
    wrong.extend(place + sentence for sentence in found)
    return None


def _unknown_names(table: Mapping[str, Any]) -> list[str]:
    unknown = [
        t("`{name}` is not known{hint}", name=name, hint=nearest(name, _NAMES)) for name in table if name not in _NAMES
    ]
    return unknown if "kind" in table else [*unknown, t("`kind` is missing: it says what goes wrong")]


def _wrong_types(table: Mapping[str, Any]) -> list[str]:
    wrong = []
    for name, value in table.items():
        if name in _ENUMS:
            right = [member.value for member in _ENUMS[name]]
            if value not in right:
                near = nearest(value if isinstance(value, str) else "", right)
                wrong.append(
                    t("`{name}` is {shown}, which is not known{near}", name=name, shown=_shown(value), near=near)
                )
        elif name in _NAMES:
            label, fits = _type_of(name)
            if not fits(value):
                wrong.append(t("`{name}` is {shown}, but must be {label}", name=name, shown=_shown(value), label=label))
    return wrong


def _type_of(name: str) -> tuple[str, Callable[[object], bool]]:
    if name in _WHOLE:
        return t("a whole number"), lambda value: type(value) is int and _is_number(value)
    if name in _NUMBERS:
        return t("a number"), _is_number
    if name in _FLAGS:
        return t("true or false"), lambda value: type(value) is bool
    if name == "retry_after":
        return t("a number of seconds or an HTTP date"), lambda value: type(value) is str or _is_number(value)
    return t("a text"), lambda value: type(value) is str


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and -_MOST <= cast("float", value) <= _MOST


def _shown(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # an integer of thousands of digits
        return t("too large")
