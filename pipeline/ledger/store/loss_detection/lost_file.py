"""Detects that an open file was deleted, moved, replaced or overwritten: what is written to it then would be lost."""

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import LedgerError
from pipeline.language import t
from pipeline.ledger.store.database import open_without_log
from pipeline.ledger.store.loss_detection.generations import Generation, current


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


class StoredState:
    """
    How far the ledger had come when its log was last written to the file.

    Checkpoints of any process change the file, and the state in it never goes back.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._facts = self._facts_now()
        self._state = self._read()

    def goes_on(self) -> bool:
        """Return whether the file is as it was, or as a checkpoint left it."""
        facts = self._facts_now()
        if facts == self._facts:
            return True
        state, before = self._read(), self._state
        if state is None:
            return before is None
        if before is not None and not _may_follow(state, before):
            return False
        self._facts, self._state = facts, state
        return True

    def _facts_now(self) -> tuple[int, int]:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_size

    def _read(self) -> Generation | None:
        try:
            # The table is a single page, so that a checkpoint under way can't make it unreadable. It writes the number
            # of pages first; SQLite refuses a file with fewer, unless its schema is writable, which changes nothing.
            with closing(open_without_log(self._path)) as connection:
                connection.execute("PRAGMA writable_schema = ON")
                return current(connection)
        except (sqlite3.Error, TypeError):
            return None


def _may_follow(state: Generation, before: Generation) -> bool:
    if state.generation != before.generation:
        return state.generation > before.generation
    return state.name == before.name and state.sequence >= before.sequence


class LostFileCheck:
    """
    Detects that the ledger was deleted, moved, replaced or overwritten while it is open, and saves what it holds.

    `places` are the file, and its write-ahead log. `reader` is a connection to it; it is used under the lock `reading`.
    Without `places` nothing is checked: the ledger is only read.
    """

    def __init__(
        self, path: Path, places: Sequence[Place], reader: sqlite3.Connection, reading: threading.Lock
    ) -> None:
        self._path = path
        self._places = places
        self._reader = reader
        self._reading = reading
        self._state = StoredState(path) if places else None
        self._turn = threading.Lock()
        self._saved: Path | None = None
        self._is_lost = False

    def check(self, run_id: str) -> None:
        """Raise LedgerError if the ledger is no longer in its place, after saving a copy beside that."""
        if all(place.is_kept() for place in self._places):
            self._check_state(run_id)
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

    def _check_state(self, run_id: str) -> None:
        if self._state is None:
            return
        with self._turn:
            if self._state.goes_on():
                return
        raise LedgerError(
            t(
                "ledger {path}: it was overwritten while run {run_id} was on; no further request is sent. End all "
                "runs, restore your newest copy of it, then `backfill run JOB --resync`; see docs/backup.md",
                path=self._path,
                run_id=run_id,
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
