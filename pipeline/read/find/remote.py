"""Exports in a store that pyarrow opens by URI."""

import re
from fnmatch import fnmatchcase
from functools import partial
from pathlib import PurePosixPath

from pyarrow import fs

from pipeline.errors import SourceError
from pipeline.language import t
from pipeline.read.files.interruptible import interruptible
from pipeline.read.files.source_file import SourceFile, as_store_errors, printable_name, remote_fingerprint
from pipeline.read.find.folder_checks import Exists, Matches
from pipeline.read.find.folders import hive_partitions, is_export, is_left_out, is_matched_only_by_wildcard, matches

URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
"""The start of an input that is a URI."""
_CREDENTIALS = re.compile(r"(?<=://)[^/]*@")


def shown_uri(uri: str) -> str:
    """Return a URI without user, password and query, which may be secret."""
    return _CREDENTIALS.sub("", uri.partition("?")[0])


def find_remote(uri: str) -> tuple[Matches, Exists]:
    """
    Return the files of a URI: a file, the exports of a folder, or the matches of a glob (`*`, `**`, `[...]`).

    The second value is a function that checks whether a file exists in the same store.
    """
    stem, patterns = _split_glob(uri)
    filesystem, root = _connect(stem, uri)
    with as_store_errors(shown_uri(uri)):
        entry, *below = interruptible(lambda: _listed(filesystem, root))
    shown = shown_uri(stem).rstrip("/")
    exists = partial(_exists, filesystem, shown_uri(uri))
    if entry.type == fs.FileType.File and not patterns:
        folder = str(PurePosixPath(root).parent)
        return Matches([_remote_file(shown, entry, filesystem)], folder), exists
    files, ignored = [], []
    for info in below:
        parts = PurePosixPath(info.path).relative_to(root).parts
        name = "/".join((shown, *parts))
        if _is_meant(parts, patterns):
            files.append(_remote_file(name, info, filesystem))
        elif not patterns and is_left_out(parts):
            ignored.append(printable_name(name))
    return Matches(files, root.rstrip("/"), ignored), exists


def _listed(filesystem: fs.FileSystem, root: str) -> list[fs.FileInfo]:
    """Return the facts of a path and, if it is a folder, of all files below it."""
    entry = filesystem.get_file_info(root)
    if entry.type != fs.FileType.Directory:
        return [entry]
    below = filesystem.get_file_info(fs.FileSelector(root, recursive=True))
    return [entry, *(info for info in below if info.type == fs.FileType.File)]


def _exists(filesystem: fs.FileSystem, shown: str, path: str) -> bool:
    folder, _, name = path.rpartition("/")

    def look() -> bool:
        if "*" not in name:
            return bool(filesystem.get_file_info(path).type != fs.FileType.NotFound)
        selector = fs.FileSelector(folder, allow_not_found=True)
        return any(fnmatchcase(info.base_name, name) for info in filesystem.get_file_info(selector))

    with as_store_errors(shown):
        return interruptible(look)


def _split_glob(uri: str) -> tuple[str, tuple[str, ...]]:
    """Return the URI up to its first part with a glob, including the query, and the parts from there."""
    path, mark, query = uri.partition("?")
    parts = path.split("/")
    first = next((at for at, part in enumerate(parts) if re.search(r"[*\[]", part)), len(parts))
    return "/".join(parts[:first]) + mark + query, tuple(parts[first:])


def _connect(stem: str, uri: str) -> tuple[fs.FileSystem, str]:
    try:
        return interruptible(lambda: fs.FileSystem.from_uri(stem))
    except Exception as error:  # noqa: BLE001 - stores are opened by libraries of many kinds, which may be missing
        # A library's message repeats the URI. If that may hold a secret, neither message nor traceback may show it.
        reason = f": {next(iter(str(error).splitlines()), t('no reason given'))}" if shown_uri(stem) == stem else ""
        kind = type(error).__name__
    raise SourceError(
        t(
            "{uri} can't be opened ({kind}){reason}; check the address and your access to it",
            uri=shown_uri(uri),
            kind=kind,
            reason=reason,
        )
    )


def _is_meant(parts: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    """Return whether a file is an export of the folder, matches the glob, or is an export of a matching folder."""
    if not patterns:
        return is_export(parts)
    if is_matched_only_by_wildcard(parts, patterns):
        return False
    depths = range(1 if is_export(parts) else len(parts), len(parts) + 1)
    return any(matches(parts[:depth], patterns) for depth in depths)


def _remote_file(name: str, info: fs.FileInfo, filesystem: fs.FileSystem) -> SourceFile:
    shown = printable_name(name)
    return SourceFile(shown, info.path, remote_fingerprint(info), hive_partitions(shown), filesystem)
