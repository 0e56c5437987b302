"""A TOML document as JSON can say it, so that a JSON Schema can judge it."""

import math
import re
from typing import Any

from pipeline.settings.table import place

_DEEPEST = 8
# The validator takes such a key for a number, or leaves it out of the path, so that its faults could not be placed.
_UNFIT = re.compile(r"|0[0-9]+|\+[0-9]+")


def plain(value: Any, file: str, faults: list[str], path: tuple[str, ...] = ()) -> Any:
    """
    Return a copy in which dates, NaN, infinity, numbers of more than 64 bits and what is nested without end are None.

    A key that is empty or a number with zeros before it is left out, its fault told. The export's own words may be
    such numbers: the schema does not judge them.
    """
    if isinstance(value, dict) and len(path) < _DEEPEST:
        unfit = [key for key in value if _UNFIT.fullmatch(key) and not (key and _holds_words(path))]
        faults += [f"{place(file, path, key)}: no name for a key; write it otherwise" for key in unfit]
        fit = {key: item for key, item in value.items() if key not in unfit}
        return {key: plain(item, file, faults, (*path, key)) for key, item in fit.items()}
    if isinstance(value, list) and len(path) < _DEEPEST:
        return [plain(item, file, faults, (*path, "")) for item in value]
    match value:
        case str():
            return value
        case int():
            return value if abs(value) < 1 << 63 else None
        case float():
            return value if math.isfinite(value) else None
        case _:
            return None


def _holds_words(path: tuple[str, ...]) -> bool:
    """Return whether the keys of a table are the export's own words: in [jobs.X.filter], or below [jobs.X.values]."""
    match path:
        case ("jobs", _, "filter") | ("jobs", _, "values", _, *_):
            return True
        case _:
            return False
