"""A disk that becomes full in the middle of a command."""

import sqlite3
import threading
from dataclasses import dataclass

from pipeline.assemble.parts.system import System
from tests.kills.effects import with_statements

_WRITES = ("BEGIN IMMEDIATE", "COMMIT", "CREATE TABLE", "INSERT", "UPDATE", "DELETE")


class Full:
    """Fails the write number `at`, counted from 1, as SQLite does; all later writes too, if it `stays` full."""

    def __init__(self, at: int, *, stays: bool) -> None:
        self._at = at
        self._stays = stays
        self._writes = 0
        self._lock = threading.Lock()

    def __call__(self, sql: str) -> None:
        """Count one statement; raise SQLite's error if it has to fail."""
        if not sql.lstrip().startswith(_WRITES):
            return
        with self._lock:
            self._writes += 1
            fails = self._writes == self._at or (self._stays and self._writes > self._at)
        if fails:
            raise full()


def full() -> sqlite3.OperationalError:
    """Return SQLite's error for a full disk."""
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
    return error


@dataclass(frozen=True, slots=True)
class FullAt:
    """The disk is full from one write on, or for that write only."""

    write: int
    stays: bool

    def apply(self, system: System) -> System:
        """Return a system with this disk."""
        return with_statements(system, Full(self.write, stays=self.stays), quotas=True)
