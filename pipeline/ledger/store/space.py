"""Giving free pages of the ledger's file back to the disk."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.ledger.store.database import busy_seconds, wal_path

_INCREMENTAL = 2
# Pages that one transaction moves: 8 MiB.
_PAGES = 2_000
# VACUUM writes the file anew, and once more through the write-ahead log.
_COPIES = 2.2


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of the file and its log before and after, bytes that stay free inside, and why they do."""

    before: int
    after: int
    free: int
    reason: str = ""

    @property
    def freed(self) -> int:
        """Bytes that the disk has got back."""
        return max(0, self.before - self.after)


def give_back(connection: sqlite3.Connection, path: Path, pause: Callable[[], None], *, is_held: bool) -> Space:
    """
    Give free pages back, a few at a time, with pauses for others that write.

    A file of ledger version 7 or older can't do so: it is written anew (VACUUM) once, where no run is on (`is_held`)
    and the disk has room for that.
    """
    connection.execute(f"PRAGMA busy_timeout = {int(busy_seconds() * 1000)}")
    before, reason = _size(path), ""
    if _ask(connection, "auto_vacuum") == _INCREMENTAL:
        while _ask(connection, "freelist_count"):
            # Not `execute`: that takes the first step of the statement alone, which is one page.
            connection.executescript(f"PRAGMA incremental_vacuum({_PAGES})")
            pause()
    elif _ask(connection, "freelist_count"):
        reason = _write_anew(connection, path, is_held=is_held)
    # Until the log is written into the file, the file keeps its size. Others that read may be in the way.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return Space(before, _size(path), _ask(connection, "freelist_count") * _ask(connection, "page_size"), reason)


def _write_anew(connection: sqlite3.Connection, path: Path, *, is_held: bool) -> str:
    """Write the file anew without its free pages; return why not, where that can't be."""
    if is_held:
        return "a run is on; prune again when none is"
    pages = _ask(connection, "page_count") - _ask(connection, "freelist_count")
    needed = int(_COPIES * pages * _ask(connection, "page_size"))
    if shutil.disk_usage(path.parent).free < needed:
        return f"that needs {needed // 1_000_000 + 1:,} MB of free disk"
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    try:
        connection.execute("VACUUM")
    except sqlite3.OperationalError as exc:
        # SQLite makes the copy in a folder for temporary files, which may be on another disk.
        if exc.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        return "the disk of temporary files (SQLITE_TMPDIR) has no room for a copy"
    return ""


def _ask(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, wal_path(path)) if file.exists())
