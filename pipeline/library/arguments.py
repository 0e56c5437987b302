"""
Arguments of the library's functions, checked before config and ledger are opened.

A wrong type raises TypeError and a wrong value ValueError, each with the name of the argument. What only config and
ledger can say raises the command's errors: SettingsError, SourceError, LedgerError.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pipeline.assemble.parts.run_options import RunOptions
from pipeline.assemble.runner import OPEN_STATUSES
from pipeline.language import t
from pipeline.library.tables import ArrowData, table_of
from pipeline.model import RowLimit, Status
from pipeline.report import OutcomeFormat

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Inputs: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | pd.DataFrame | ArrowData"
"""A path, glob, folder or URI, a list of these, or a table."""

_MOST_PROCESSES = 64
_LONGEST_COUNT = 10**12
_WORDS = (list, tuple, set, frozenset)
_RERUNNABLE = tuple(status for status in Status if status in OPEN_STATUSES | {Status.REJECTED})

# The types of each argument.
_TYPES: Mapping[str, tuple[type, ...]] = {
    "job": (str,),
    "run": (str,),
    "config": (str, os.PathLike),
    "date": (date,),
    "until": (datetime,),
    "limit": (Integral,),
    "max_failures": (Integral, str),
    "max_invalid": (Integral, str),
    "processes": (Integral,),
    "report": (str, os.PathLike),
    "metrics_file": (str, os.PathLike),
    "plan": (str, os.PathLike),
    "save": (str, os.PathLike),
    "format": (str,),
    "resync": (bool,),
    "show_ids": (bool,),
    "diff": (bool,),
    "new_keys": (bool,),
    "only": _WORDS,
    "code": _WORDS,
    "as_arrow": (bool,),
    "progress": (Callable,),  # type: ignore[dict-item] # a class for isinstance, though no type
    "environ": (Mapping,),
}
# None means for all others that the option is not given.
_NEVER_NONE = ("job", "run", "format", "resync", "show_ids", "diff", "new_keys", "as_arrow")


def check(**arguments: object) -> None:
    """Raise TypeError or ValueError for the first wrong argument, by its name."""
    for name, value in arguments.items():
        if value is None and name not in _NEVER_NONE:
            continue
        if not _has_type(name, value):
            raise TypeError(
                t(
                    "{argument} must be {expected}, not {kind}",
                    argument=name,
                    expected=_expected(name),
                    kind=_kind(value),
                )
            )
        if (rule := _RULES.get(name)) is not None:
            rule(name, value)


def run_options(
    *,
    date: date | None = None,
    until: datetime | None,
    limit: int | None,
    max_failures: int | str | None = None,
    max_invalid: int | str | None,
    report: str | os.PathLike[str] | None = None,
    format: str = OutcomeFormat.CSV,  # noqa: A002 - the option's name
    resync: bool = False,
    metrics_file: str | os.PathLike[str] | None = None,
    processes: int | None = None,
) -> RunOptions:
    """Return the options of a run, from arguments that were checked."""
    return RunOptions(
        day=date,
        until=until,
        limit=None if limit is None else int(limit),
        max_failures=None if max_failures is None else RowLimit.parse(str(max_failures)),
        max_invalid=None if max_invalid is None else RowLimit.parse(str(max_invalid)),
        report=None if report is None else Path(report).absolute(),
        outcome_format=OutcomeFormat(format),
        resync=resync,
        metrics_file=None if metrics_file is None else Path(metrics_file).absolute(),
        processes=None if processes is None else int(processes),
    )


def refuse_with_plan(**others: object) -> None:
    """Raise ValueError for the first of these arguments that was given: a saved plan has its own."""
    for name, value in others.items():
        if value is not None and value is not False:
            raise ValueError(t("plan can't be used with {argument}; leave one out", argument=name))


def checked_inputs(inputs: "Inputs | None") -> "tuple[Sequence[str], pa.Table | None]":
    """Return the inputs as paths, globs or URIs, or as a table; no paths are the job's own inputs."""
    if inputs is None:
        return (), None
    if isinstance(inputs, str | os.PathLike):
        return [_path(inputs)], None
    if not isinstance(inputs, list | tuple):
        return (), table_of(inputs)
    if not inputs:
        raise ValueError(t("inputs is empty; leave it out to read the job's own inputs"))
    return [_path(each) for each in inputs], None


def _path(value: object) -> str:
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(path, str):
        raise TypeError(
            t(
                "{argument} must be {expected}, not {kind}",
                argument="inputs",
                expected="list[str | Path]",
                kind=f"list[{_kind(value)}]",
            )
        )
    if not path:
        raise ValueError(t("inputs has an empty path"))
    return path


def _has_type(name: str, value: object) -> bool:
    # bool is an int, and datetime a date, but hardly ever on purpose.
    if isinstance(value, bool) and bool not in _TYPES[name]:
        return False
    if name == "date" and isinstance(value, datetime):
        return False
    return isinstance(value, _TYPES[name])


def _expected(name: str) -> str:
    names = ("int" if kind is Integral else kind.__name__ for kind in _TYPES[name])
    return " | ".join(names)


def _kind(value: object) -> str:
    return type(value).__name__


def _count(name: str, value: int) -> None:
    if not 0 <= value < _LONGEST_COUNT:
        raise ValueError(t("{argument}={value} is not a whole number of 0 or more", argument=name, value=value))


def _processes(name: str, value: int) -> None:
    if not 1 <= value <= _MOST_PROCESSES:
        raise ValueError(
            t(
                "{argument}={value} is not a whole number from 1 to {most}",
                argument=name,
                value=value,
                most=_MOST_PROCESSES,
            )
        )


def _row_limit(name: str, value: int | str) -> None:
    try:
        RowLimit.parse(str(value))
    except ValueError as exc:
        raise ValueError(f"{name}={value!r} {exc}") from None


def _until(name: str, value: datetime) -> None:
    if value.tzinfo is None:
        raise ValueError(
            t("{argument} has no time zone; give it one, such as ZoneInfo('Asia/Shanghai')", argument=name)
        )


def _format(name: str, value: str) -> None:
    if value not in tuple(OutcomeFormat):
        _refuse_word(name, value, tuple(OutcomeFormat))


def _only(name: str, value: Sequence[object]) -> None:
    _texts(name, value)
    wrong = next((word for word in value if word not in _RERUNNABLE), None)
    if wrong is not None or not value:
        _refuse_word(name, wrong or "", _RERUNNABLE)


def _texts(name: str, value: Sequence[object]) -> None:
    for each in value:
        if not isinstance(each, str):
            raise TypeError(
                t(
                    "{argument} must be {expected}, not {kind}",
                    argument=name,
                    expected="list[str]",
                    kind=f"list[{_kind(each)}]",
                )
            )


def _refuse_word(name: str, value: object, known: Sequence[str]) -> None:
    raise ValueError(
        t("{argument}={value} is none of {known}", argument=name, value=repr(str(value)), known=", ".join(known))
    )


_RULES: Mapping[str, Callable[[str, Any], None]] = {
    "limit": _count,
    "max_failures": _row_limit,
    "max_invalid": _row_limit,
    "processes": _processes,
    "until": _until,
    "format": _format,
    "only": _only,
    "code": _texts,
}
