"""What counts within a folder of exports."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from urllib.parse import unquote

from pipeline.read.files.promise import EXPORT_ENDINGS

# What Hive writes for a partition whose column has no value.
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def is_export(parts: Sequence[str]) -> bool:
    """Tell whether a file, by its path below a folder, is an export: no `_SUCCESS`, nothing hidden or in the making."""
    return not any(map(is_aside, parts)) and _ends_as_export(parts)


def is_left_out(parts: Sequence[str]) -> bool:
    """Tell whether a file that is not read may be meant as an export: one set aside, or with another ending."""
    return any(map(is_aside, parts)) == _ends_as_export(parts)


def _ends_as_export(parts: Sequence[str]) -> bool:
    return parts[-1].lower().endswith(EXPORT_ENDINGS)


def is_aside(part: str) -> bool:
    """Tell whether a name is one that engines and editors give to what is not data."""
    return part.startswith(("_", ".", "~$"))


def is_matched_by_chance(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Tell whether a glob took in something set aside that it does not ask for."""
    return any(is_aside(part) and not any(_asks_for(pattern, part) for pattern in patterns) for part in parts)


def _asks_for(pattern: str, part: str) -> bool:
    return pattern == part or (pattern[:1] == part[0] and fnmatchcase(part, pattern))


def matches(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Tell whether a path matches a glob, both in parts; `**` stands for any number of folders."""
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return matches(parts, patterns[1:]) or (bool(parts) and matches(parts[1:], patterns))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and matches(parts[1:], patterns[1:])


def hive_partitions(name: str) -> dict[str, str | None]:
    """Return the values in a path's `column=value` folders, in their order."""
    partitions: dict[str, str | None] = {}
    for part in PurePosixPath(name).parts[:-1]:
        column, equals, value = part.partition("=")
        if equals and column:
            partitions[unquote(column)] = None if value == _NO_VALUE else unquote(value)
    return partitions
