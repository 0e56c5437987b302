"""Checks of the folders around the inputs: a ready file must be there, a lake table must not."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline.errors import SourceError
from pipeline.language import t
from pipeline.read.files.source_file import SourceFile

Exists = Callable[[str], bool]
"""Returns whether a file or folder of this path exists. The last part of the path may be a glob."""

# A path that only tables of this kind have in their folder.
_LAKES = (("_delta_log", "Delta"), (".hoodie", "Hudi"), ("metadata/*.metadata.json", "Iceberg"))


@dataclass(frozen=True, slots=True)
class Matches:
    """
    The files that a pattern means.

    `root` is the folder that the pattern names, or the nearest one above its glob, in the file system's own form.
    `ignored` names files in folders that look meant but are not read.
    """

    files: Sequence[SourceFile]
    root: str
    ignored: Sequence[str] = ()


def check_ready(matches: Matches, ready: str, exists: Exists) -> None:
    """Raise `SourceError` if an input has no file `ready` in its folder or a folder above, up to the root."""
    known: dict[str, bool] = {}
    for file in matches.files:
        folders = list(_up_to(file.path, matches.root))
        for folder in folders:
            known.setdefault(folder, exists(f"{folder}/{ready}"))
        if not any(known[folder] for folder in folders):
            raise SourceError(
                t(
                    "{file} is not ready: there is no file {ready} beside it, so the export may be incomplete; run "
                    "again once it is there",
                    file=file.name,
                    ready=ready,
                )
            )


def check_no_lake(matches: Matches, exists: Exists) -> None:
    """Raise `SourceError` if an input is in a Delta, Iceberg or Hudi table, where a log decides which files count."""
    known: set[str] = set()
    places = [*(file.path for file in matches.files), f"{matches.root}/any"]
    for folder in (str(folder) for place in places for folder in PurePosixPath(place).parents):
        if folder in known:
            continue
        known.add(folder)
        for mark, kind in _LAKES:
            if exists(f"{folder}/{mark}"):
                raise SourceError(
                    t(
                        "{folder} is a table of {kind}, and its log decides which files count; export its rows as "
                        "Parquet or CSV, and name those files",
                        folder=folder,
                        kind=kind,
                    )
                )


def _up_to(path: str, root: str) -> Iterator[str]:
    """Yield the folders of a path up to a root; only the first one if the root is not among them."""
    folders = [str(folder) for folder in PurePosixPath(path).parents]
    yield from folders[: folders.index(root) + 1] if root in folders else folders[:1]
