"""Rules for the names within a folder of exports."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from urllib.parse import unquote

from pipeline.read.files.name_hint import EXPORT_ENDINGS

_STARS = re.compile(r"\*+")
# Hive's name of a partition without a value.
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def is_export(parts: Sequence[str]) -> bool:
    """Return whether a file, by its path below a folder, is an export and not hidden or temporary."""
    return not any(map(is_hidden, parts)) and _ends_as_export(parts)


def is_left_out(parts: Sequence[str]) -> bool:
    """Return whether a file that is not read may be meant as one: a hidden export, or one with another ending."""
    return any(map(is_hidden, parts)) == _ends_as_export(parts)


def _ends_as_export(parts: Sequence[str]) -> bool:
    return parts[-1].lower().endswith(EXPORT_ENDINGS)


def is_hidden(part: str) -> bool:
    """Return whether a name begins like those of hidden and temporary files of engines and editors."""
    return part.startswith(("_", ".", "~$"))


def is_matched_only_by_wildcard(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Return whether a part of a path is hidden, and no part of the glob names it or begins alike."""
    return any(is_hidden(part) and not any(_asks_for(pattern, part) for pattern in patterns) for part in parts)


def _asks_for(pattern: str, part: str) -> bool:
    return pattern == part or (pattern[:1] == part[0] and fnmatchcase(part, pattern))


def glob_parts(parts: Sequence[str]) -> list[str]:
    """Return the parts of a glob as pathlib accepts them: it refuses `a**b`, which means `a*b`."""
    return [part if part == "**" else _STARS.sub("*", part) for part in parts]


def matches(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Return whether a path matches a glob, both in parts; `**` matches any number of folders."""
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
