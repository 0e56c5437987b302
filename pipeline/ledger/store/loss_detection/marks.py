"""High-water marks: files outside of the ledger that say how far it has come, so that an older copy is detected."""

import fcntl
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Bytes that are read of a mark. A path has up to 4,096.
_MOST_BYTES = 5_000
_WRITTEN = re.compile(rb"([!-~]+) ([0-9]+)\n(.*)\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Mark:
    """
    How far a ledger has come: its generation, and how many commits in it let requests leave.

    `report` is the folder of the run's report.
    """

    generation: str
    sequence: int
    report: Path = Path()


def mark_path(path: Path) -> Path:
    """Return the path of the mark beside a file."""
    return path.with_name(path.name + "-mark")


def read_mark(path: Path) -> Mark | None:
    """Return the mark in a file; None if there is none that can be read."""
    try:
        with path.open("rb") as file:
            return _parsed(file.read(_MOST_BYTES))
    except OSError:
        return None


def _parsed(text: bytes) -> Mark | None:
    found = _WRITTEN.match(text)
    return Mark(found[1].decode(), int(found[2]), Path(os.fsdecode(found[3]))) if found else None


class Marks:
    """
    The marks of one ledger, in several places.

    A mark survives the death of the process. The first and the last mark of a run also survive a loss of power. If a
    place can't be written, its mark is left out: it only helps to detect a loss.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._last: Mark | None = None
        self.report = Path()

    def note(self, mark: Mark) -> None:
        """Raise all marks to this one; they name the folder `report`."""
        mark = Mark(mark.generation, mark.sequence, self.report)
        self._write(mark, durable=self._last is None)
        self._last = mark

    def close(self) -> None:
        """Write the last mark to disk."""
        if self._last is not None:
            self._write(self._last, durable=True)

    def _write(self, mark: Mark, *, durable: bool) -> None:
        for path in self._paths:
            with suppress(OSError):
                _raise_to(path, mark, durable=durable)


def _raise_to(path: Path, mark: Mark, *, durable: bool) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Another run on this ledger may have come further. Some file systems have no locks.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        last = _parsed(os.pread(descriptor, _MOST_BYTES, 0))
        if last is None or last.generation != mark.generation or last.sequence < mark.sequence:
            text = f"{mark.generation} {mark.sequence}\n".encode() + os.fsencode(mark.report) + b"\n"
            os.pwrite(descriptor, text, 0)
            os.ftruncate(descriptor, len(text))
        if durable:
            os.fsync(descriptor)
            _sync_folder(path.parent)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
