"""Detects that an open file was deleted, moved or replaced: what is written to it then would be lost."""

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import LedgerError
from pipeline.language import t


@dataclass(frozen=True, slots=True)
class Place:
    """A path, with the file that was found there."""

    path: Path
    device: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> "Place":
        """Return the place of a file that exists."""
        found = path.stat()
        return cls(path, found.st_dev, found.st_ino)

    def is_kept(self) -> bool:
        """Return whether that file is still there. While it is open, no other file gets its inode."""
        try:
            found = self.path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (self.device, self.inode)


class LostFileCheck:
    """
    Detects that the ledger was deleted, moved or replaced while it is open, and saves what it holds.

    `places` are the file, and its write-ahead log. `reader` is a connection to it; it is used under the lock `reading`.
    """

    def __init__(
        self, path: Path, places: Sequence[Place], reader: sqlite3.Connection, reading: threading.Lock
    ) -> None:
        self._path = path
        self._places = places
        self._reader = reader
        self._reading = reading
        self._turn = threading.Lock()
        self._saved: Path | None = None
        self._is_lost = False

    def check(self, run_id: str) -> None:
        """Raise LedgerError if the ledger is no longer in its place, after saving a copy beside that."""
        if all(place.is_kept() for place in self._places):
            return
        with self._turn:
            if not self._is_lost:
                self._is_lost, self._saved = True, self._save(run_id)
        advice = (
            t("All that it knew is saved in {saved}: put that in its place", saved=self._saved)
            if self._saved
            else t("Put it back")
        )
        raise LedgerError(
            t(
                "ledger {path}: it was deleted, moved or replaced while run {run_id} was on; no further request "
                "is sent. {advice}, then `backfill resume {run_id}`; see docs/backup.md",
                path=self._path,
                run_id=run_id,
                advice=advice,
            )
        )

    def _save(self, run_id: str) -> Path | None:
        """Save a copy of what was committed to the lost file; return its path, or None if the disk refuses it."""
        copy = self._path.with_name(f"{self._path.name}-saved-{run_id}")
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.touch(mode=0o600)
            with self._reading, closing(sqlite3.connect(copy)) as target:
                self._reader.backup(target)
        except (OSError, sqlite3.Error):
            with suppress(OSError):
                copy.unlink()
            return None
        for log in self._places[1:]:
            # SQLite would use the log of the lost file for a file that is put in its place.
            if log.is_kept():
                with suppress(OSError):
                    log.path.unlink()
        return copy
