"""The files that a job's inputs mean."""

import datetime
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.language import t
from pipeline.read.files.name_hint import SHOWN_ENDINGS
from pipeline.read.files.source_file import SourceFile
from pipeline.read.find.date_patterns import with_date
from pipeline.read.find.folder_checks import Exists, Matches, check_no_lake, check_ready
from pipeline.read.find.local import check_path, exists_locally, find_local
from pipeline.read.find.remote import URI, find_remote, shown_uri


@dataclass(frozen=True, slots=True)
class FoundInputs:
    """The inputs of a run; `ignored` names files in their folders that look meant but are not read."""

    files: list[SourceFile]
    ignored: list[str] = field(default_factory=list)


def find(patterns: Sequence[str], *, base: Path, date: datetime.date, ready: str | None = None) -> FoundInputs:
    """
    Return the files that the patterns mean, sorted by name, without duplicates.

    A pattern is a file, a folder (its exports, at any depth), a glob or a URI. `{date}` becomes the date. Relative
    patterns start from `base`. Raises `SourceError` if a pattern means no file, or if a store can't be reached. It is
    also raised for a file that is empty, is in a lake table or lacks its `ready` file.
    """
    base = base.absolute()
    check_path(base, base)
    found: dict[str, SourceFile] = {}
    ignored: list[str] = []
    sign = None if ready is None else with_date(ready, date)
    for pattern in patterns:
        dated = with_date(pattern, date)
        matches, exists = _matches(dated, base)
        check_no_lake(matches, exists)
        if not matches.files:
            raise SourceError(_nothing(dated, base))
        if sign is not None:
            check_ready(matches, sign, exists)
        for file in matches.files:
            if file.fingerprint.size == 0:
                raise SourceError(t("{file} is empty and has no header; export it again", file=file.name))
            found.setdefault(_place(file), file)
        ignored += (name for name in matches.ignored if name.rpartition("/")[2] != sign)
    return FoundInputs(sorted(found.values(), key=lambda file: file.name), sorted(set(ignored)))


def find_inputs(patterns: Sequence[str], *, base: Path, date: datetime.date) -> list[SourceFile]:
    """Return only the files that the patterns mean; see `find`."""
    return find(patterns, base=base, date=date).files


def _matches(pattern: str, base: Path) -> tuple[Matches, Exists]:
    """Return the matches of a pattern, and a function that checks for other files in the same store."""
    return find_remote(pattern) if URI.match(pattern) else (find_local(pattern, base), exists_locally)


def _place(file: SourceFile) -> str:
    is_local = file.filesystem is None or file.filesystem.type_name == "local"
    return os.path.realpath(file.path) if is_local else file.name


def _nothing(pattern: str, base: Path) -> str:
    if URI.match(pattern):
        return t("no export matches {pattern}", pattern=shown_uri(pattern))
    if pattern and "\0" not in pattern and (base / pattern).is_dir():
        return t(
            "folder {pattern} holds no exports; they end in {endings}",
            pattern=pattern,
            endings=t(SHOWN_ENDINGS),
        )
    return t("no file matches {pattern!r} in {base}", pattern=pattern, base=base)
