"""What lies beside the inputs: the file that says that they are complete, and the log of a lake table."""

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from pipeline.errors import SourceError
from pipeline.read.find.matches import Matches

Exists = Callable[[str], bool]
"""Tells whether there is a file or folder of this path, which may be a glob in its last part."""

# What only a table of this kind has in its folder.
_LAKES = (("_delta_log", "Delta"), (".hoodie", "Hudi"), ("metadata/*.metadata.json", "Iceberg"))


def check_ready(matches: Matches, ready: str, exists: Exists) -> None:
    """Raise `SourceError` while the file `ready` is neither in an input's folder nor in one above, up to the root."""
    known: dict[str, bool] = {}
    for file in matches.files:
        folders = list(_up_to(file.path, matches.root))
        for folder in folders:
            known.setdefault(folder, exists(f"{folder}/{ready}"))
        if not any(known[folder] for folder in folders):
            raise SourceError(
                f"{file.name} is not ready: there is no file {ready} beside it, so the export may be incomplete; "
                "run again once it is there"
            )


def check_no_lake(matches: Matches, exists: Exists) -> None:
    """Raise `SourceError` where an input lies within a Delta, Iceberg or Hudi table, whose log says what counts."""
    known: set[str] = set()
    places = [*(file.path for file in matches.files), f"{matches.root}/any"]
    for folder in (str(folder) for place in places for folder in PurePosixPath(place).parents):
        if folder in known:
            continue
        known.add(folder)
        for mark, kind in _LAKES:
            if exists(f"{folder}/{mark}"):
                raise SourceError(
                    f"{folder} is a table of {kind}, and its log says which of the files count; let an engine that "
                    "knows the table write its rows as plain Parquet or CSV, and name those files"
                )


def _up_to(path: str, root: str) -> Iterator[str]:
    """Yield the folders of a path up to a root; the first one alone where the root is none of them."""
    folders = [str(folder) for folder in PurePosixPath(path).parents]
    yield from folders[: folders.index(root) + 1] if root in folders else folders[:1]
