"""The local files that a job's inputs may mean on any day."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.read.find.date_patterns import DATE
from pipeline.read.find.folders import glob_parts, is_export, matches
from pipeline.read.find.remote import URI


class ClaimedFiles:
    """The files that patterns mean, with any date. Relative patterns start from `base`."""

    def __init__(self, patterns: Iterable[str], base: Path) -> None:
        local = [pattern for pattern in patterns if pattern and "\0" not in pattern and not URI.match(pattern)]
        # A date form may contain slashes.
        self._patterns = [DATE.sub(lambda form: "*" + "/*" * (form[1] or "").count("/"), each) for each in local]
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
        parts, wanted = path.parts, glob_parts(pattern.parts)
        depths = range(1 if is_export(parts[-1:]) else len(parts), len(parts) + 1)
        return any(matches(parts[:depth], wanted) for depth in depths)

    def _found(self, pattern: Path) -> list[Path]:
        if pattern.exists():
            return [pattern]
        root, *parts = pattern.parts
        try:
            return list(Path(root).glob("/".join(glob_parts(parts))))
        except (ValueError, OSError):
            return []


def _names_of(path: Path) -> set[Path]:
    """Return a path as given, and with its links resolved."""
    return {Path(os.path.normpath(path.absolute())), Path(os.path.realpath(path))}


def _exports_below(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)
