"""Exports in a store that pyarrow opens by URI."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import pyarrow as pa
from pyarrow import fs

from pipeline.errors import SourceError
from pipeline.read.folders import hive_partitions, is_export, is_matched_by_chance, matches
from pipeline.read.source_file import SourceFile, blaming, remote_fingerprint, reported

_CREDENTIALS = re.compile(r"(?<=://)[^/]*@")


def shown_uri(uri: str) -> str:
    """Return a URI without user, password and query: those may be secret."""
    return _CREDENTIALS.sub("", uri.partition("?")[0])


def find_remote(uri: str) -> Iterator[SourceFile]:
    """Yield the files that a URI means: a file, a folder's exports, or what a glob (`*`, `**`, `[...]`) matches."""
    stem, patterns = _split_glob(uri)
    filesystem, root = _connect(stem, uri)
    shown = shown_uri(stem).rstrip("/")
    with blaming(shown_uri(uri)):
        entry = filesystem.get_file_info(root)
        if entry.type == fs.FileType.File and not patterns:
            yield _remote_file(shown, entry, filesystem)
        elif entry.type == fs.FileType.Directory:
            for info in filesystem.get_file_info(fs.FileSelector(root, recursive=True)):
                parts = PurePosixPath(info.path).relative_to(root).parts
                if info.type == fs.FileType.File and _is_meant(parts, patterns):
                    yield _remote_file("/".join((shown, *parts)), info, filesystem)


def _split_glob(uri: str) -> tuple[str, tuple[str, ...]]:
    """Return the URI up to its first part with a glob, query and all, and the parts from there."""
    path, mark, query = uri.partition("?")
    parts = path.split("/")
    first = next((at for at, part in enumerate(parts) if re.search(r"[*\[]", part)), len(parts))
    return "/".join(parts[:first]) + mark + query, tuple(parts[first:])


def _connect(stem: str, uri: str) -> tuple[fs.FileSystem, str]:
    try:
        return fs.FileSystem.from_uri(stem)
    except (OSError, ValueError, NotImplementedError, pa.ArrowException) as error:
        # pyarrow repeats the URI; where that may hold a secret, neither text nor traceback may show it.
        reason = f": {str(error).splitlines()[0]}" if shown_uri(stem) == stem else ""
        kind = type(error).__name__
    raise SourceError(f"{shown_uri(uri)} can't be opened ({kind}){reason}; check the address and your access to it")


def _is_meant(parts: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    """Tell whether a file is an export of the folder, is matched, or is an export of a folder that is matched."""
    if not patterns:
        return is_export(parts)
    if is_matched_by_chance(parts, patterns):
        return False
    return matches(parts, patterns) or (
        is_export(parts) and any(matches(parts[:depth], patterns) for depth in range(1, len(parts)))
    )


def _remote_file(name: str, info: fs.FileInfo, filesystem: fs.FileSystem) -> SourceFile:
    shown = reported(name)
    return SourceFile(shown, info.path, remote_fingerprint(info), hive_partitions(shown), filesystem)
