"""Local exports."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG

from pipeline.errors import SourceError
from pipeline.language import t
from pipeline.read.files.source_file import SourceFile, as_source_errors, local_fingerprint, printable_name
from pipeline.read.find.folder_checks import Matches
from pipeline.read.find.folders import glob_parts, hive_partitions, is_export, is_left_out, is_matched_only_by_wildcard


def find_local(pattern: str, base: Path) -> Matches:
    """Return the files of a path or glob, with the exports of folders at any depth."""
    files: list[SourceFile] = []
    ignored: list[str] = []
    if not pattern or "\0" in pattern:
        return Matches(files, str(base))
    with as_source_errors(pattern):
        for path in _matched(pattern, base):
            if not path.is_dir():
                files.append(_local_file(path, base))
                continue
            for below in _walk(path, base):
                parts = below.relative_to(path).parts
                if is_export(parts):
                    files.append(_local_file(below, base))
                elif is_left_out(parts):
                    ignored.append(shown_path(below, base))
        return Matches(files, str(_root(pattern, base)), ignored)


def exists_locally(path: str) -> bool:
    """Return whether a file or folder of this path exists. The last part of the path may be a glob."""
    folder, _, name = path.rpartition("/")
    return any(Path(folder).glob(name)) if "*" in name else os.path.exists(path)  # noqa: PTH110 - it never raises


def check_path(path: Path, base: Path) -> None:
    """Raise `SourceError` for a path that is not UTF-8, because the ledger keeps paths as text."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise SourceError(
            t("the path {path} is not UTF-8; rename the file or folder", path=shown_path(path, base))
        ) from None


def shown_path(path: Path, base: Path) -> str:
    """Return a path for messages: relative to `base` if it is below, and printable."""
    known = path.relative_to(base) if path.is_relative_to(base) else path
    return printable_name(os.fsencode(known).decode(errors="replace"))


def _matched(pattern: str, base: Path) -> list[Path]:
    # A file may be named `orders[1].csv`, so an existing path is not read as a glob.
    if (base / pattern).exists():
        return [base / pattern]
    root, parts = base, Path(pattern).parts
    if Path(pattern).is_absolute():
        root, parts = Path(parts[0]), parts[1:]
    # pathlib's glob does not follow links to folders below `**`, so circular links do no harm.
    matched = root.glob("/".join(glob_parts(parts)))
    return [path for path in matched if not is_matched_only_by_wildcard(path.relative_to(root).parts, parts)]


def _root(pattern: str, base: Path) -> Path:
    """Return the folder that a pattern names, or the nearest one above its file or glob."""
    place = (base / pattern).absolute()
    if place.exists():
        return place if place.is_dir() else place.parent
    return next(folder for folder in place.parents if not re.search(r"[*?\[]", str(folder)))


def _walk(folder: Path, base: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        with as_source_errors(shown_path(folder, base)):
            raise error

    for parent, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(parent, name) for name in names)


def _local_file(path: Path, base: Path) -> SourceFile:
    name = shown_path(path, base)
    check_path(path.absolute(), base)
    with as_source_errors(name):
        if not S_ISREG(path.stat().st_mode):
            raise SourceError(t("{name} is not a regular file; name a file or a folder", name=name))
        return SourceFile(name, str(path.absolute()), local_fingerprint(path), hive_partitions(name))
