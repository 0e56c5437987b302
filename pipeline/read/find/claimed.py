"""The local files that a job's inputs may mean on any day."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.read.find.folders import is_export, matches

_DATE = re.compile(r"\{date(?::([^{}]*))?\}")
_STARS = re.compile(r"\*\*?")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class ClaimedFiles:
    """The files that patterns mean, with any date. Relative patterns start from `base`."""

    def __init__(self, patterns: Iterable[str], base: Path) -> None:
        local = [pattern for pattern in patterns if pattern and "\0" not in pattern and not _URI.match(pattern)]
        # A date form may contain slashes.
        self._patterns = [_DATE.sub(lambda form: "*" + "/*" * (form[1] or "").count("/"), each) for each in local]
        self._base = base.absolute()

    def claims(self, path: Path) -> bool:
        """Return whether this path is an input, or would be one if it existed."""
        return any(self._means(self._base / pattern, one) for pattern in self._patterns for one in _names_of(path))

    def existing(self) -> Iterator[Path]:
        """Yield the files that exist."""
        for pattern in self._patterns:
            for path in self._found(self._base / pattern):
                yield from _exports_below(path) if path.is_dir() else (path,)

    def _means(self, pattern: Path, path: Path) -> bool:
        """Return whether a pattern means a path, or a folder that holds it."""
        wanted = [part if part == "**" else _STARS.sub("*", part) for part in pattern.parts]
        if matches(path.parts, wanted):
            return True
        above = range(1, len(path.parts))
        return is_export(path.parts[-1:]) and any(matches(path.parts[:count], wanted) for count in above)

    def _found(self, pattern: Path) -> list[Path]:
        if pattern.exists():
            return [pattern]
        root, *parts = pattern.parts
        try:
            return list(Path(root).glob("/".join(part if part == "**" else _STARS.sub("*", part) for part in parts)))
        except (ValueError, OSError):
            return []


def _names_of(path: Path) -> set[Path]:
    """Return a path as given, and with its links resolved."""
    return {Path(os.path.normpath(path.absolute())), Path(os.path.realpath(path))}


def _exports_below(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)
