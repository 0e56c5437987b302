"""The files that one pattern of a job's inputs means."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.read.files.source_file import SourceFile


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
