"""What one pattern of a job's inputs means."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.read.files.source_file import SourceFile


@dataclass(frozen=True, slots=True)
class Matches:
    """
    The files that a pattern means.

    `root` is the folder that the pattern names, or the last one above its glob, as the file system has it; `ignored`
    are the files within folders that look like somebody's work and are none of the exports.
    """

    files: Sequence[SourceFile]
    root: str
    ignored: Sequence[str] = ()
