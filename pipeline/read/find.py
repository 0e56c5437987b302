"""Which files a job's inputs mean."""

import datetime
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from stat import S_ISREG

from pipeline.errors import SourceError
from pipeline.read.find_remote import find_remote, shown_uri
from pipeline.read.folders import hive_partitions, is_export, is_matched_by_chance
from pipeline.read.source_file import SourceFile, blaming, local_fingerprint, reported

# pathlib refuses `a**b`; in all other globs it means `a*b`.
_STARS = re.compile(r"\*+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def find_inputs(patterns: Sequence[str], *, base: Path, date: datetime.date) -> list[SourceFile]:
    """
    Return the files that the patterns mean, sorted by name, none twice.

    A pattern is a file, a folder (its CSV and Parquet files, at any depth), a glob or a URI; `{date}` becomes the
    date, and relative ones are relative to `base`. Raises `SourceError` where a pattern means no file, a file is
    empty, or a store can't be reached.
    """
    base = base.absolute()
    _check_utf8(base, base)
    found: dict[str, SourceFile] = {}
    for pattern in patterns:
        dated = pattern.replace("{date}", date.isoformat())
        files = list(find_remote(dated) if _URI.match(dated) else _find_local(dated, base))
        if not files:
            raise SourceError(_nothing(dated, base))
        for file in files:
            if file.fingerprint.size == 0:
                raise SourceError(f"{file.name} is empty, not even a header is in it; export it again")
            found.setdefault(_place(file), file)
    return sorted(found.values(), key=lambda file: file.name)


def _find_local(pattern: str, base: Path) -> Iterator[SourceFile]:
    if not pattern or "\0" in pattern:
        return
    with blaming(pattern):
        for path in _matched(pattern, base):
            if path.is_dir():
                yield from (_local_file(below, base) for below in _walk(path, base))
            else:
                yield _local_file(path, base)


def _matched(pattern: str, base: Path) -> list[Path]:
    # A file may be called `orders[1].csv`: what is there is taken by its name first.
    if (base / pattern).exists():
        return [base / pattern]
    root, parts = base, Path(pattern).parts
    if Path(pattern).is_absolute():
        root, parts = Path(parts[0]), parts[1:]
    # pathlib's glob does not follow links to folders below `**`, so that none can be walked in circles.
    matched = root.glob("/".join(part if part == "**" else _STARS.sub("*", part) for part in parts))
    return [path for path in matched if not is_matched_by_chance(path.relative_to(root).parts, parts)]


def _walk(folder: Path, base: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        with blaming(_shown(folder, base)):
            raise error

    for parent, _, names in os.walk(folder, onerror=refuse):
        for path in (Path(parent, name) for name in names):
            if is_export(path.relative_to(folder).parts):
                yield path


def _local_file(path: Path, base: Path) -> SourceFile:
    name = _shown(path, base)
    _check_utf8(path.absolute(), base)
    with blaming(name):
        if not S_ISREG(path.stat().st_mode):
            raise SourceError(f"{name} is no regular file; name a file or a folder")
        return SourceFile(name, str(path.absolute()), local_fingerprint(path), hive_partitions(name))


def _check_utf8(path: Path, base: Path) -> None:
    """Refuse a path that the ledger can't keep, as text, to find the file again."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise SourceError(f"the path {_shown(path, base)} is no UTF-8; rename the file or folder") from None


def _shown(path: Path, base: Path) -> str:
    """Return a path as the user would know it, and as any terminal and report can hold it."""
    known = path.relative_to(base) if path.is_relative_to(base) else path
    return reported(os.fsencode(known).decode(errors="replace"))


def _place(file: SourceFile) -> str:
    is_local = file.filesystem is None or file.filesystem.type_name == "local"
    return os.path.realpath(file.path) if is_local else file.name


def _nothing(pattern: str, base: Path) -> str:
    if _URI.match(pattern):
        return f"no export matches {shown_uri(pattern)}"
    if pattern and "\0" not in pattern and (base / pattern).is_dir():
        return f"folder {pattern} holds no exports; they end in .csv (.gz, .zst, .bz2) or .parquet"
    return f"no file matches {pattern!r} in {base}"
