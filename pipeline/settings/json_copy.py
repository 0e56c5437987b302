"""A TOML document as JSON values, for validation by a JSON Schema."""

import math
import re
from typing import Any

from pipeline.language import t
from pipeline.settings.table import place

# Levels of nesting that are kept; the schema has fewer.
_DEEPEST = 8
# The validator takes such a key for an index or drops it from the path, so that a fault could not be located.
_UNFIT = re.compile(r"|0[0-9]+|\+[0-9]+")


def json_copy(value: Any, file: str, faults: list[str], path: tuple[str, ...] = ()) -> Any:
    """
    Return a copy that JSON can hold: dates, NaN, infinity, integers over 64 bits and too deep values become None.

    A key that is empty, or a number with leading zeros or a plus sign, is left out and added to `faults`. Words of the
    export may be such numbers, because the schema does not check them.
    """
    if isinstance(value, dict) and len(path) < _DEEPEST:
        unfit = [key for key in value if _UNFIT.fullmatch(key) and not (key and _holds_words(path))]
        faults += [t("{file}: not a valid key; rename it", file=place(file, path, key)) for key in unfit]
        fit = {key: item for key, item in value.items() if key not in unfit}
        return {key: json_copy(item, file, faults, (*path, key)) for key, item in fit.items()}
    if isinstance(value, list) and len(path) < _DEEPEST:
        return [json_copy(item, file, faults, (*path, "")) for item in value]
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
    """Return whether the keys of a table are words of the export: in [jobs.X.filter], or below [jobs.X.values]."""
    match path:
        case ("jobs", _, "filter") | ("jobs", _, "values", _, *_):
            return True
        case _:
            return False
