"""Returns free pages of the ledger's file to the disk."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.ledger.store.database import BUSY_SECONDS, wal_path

# The value of `auto_vacuum` with which pages can be returned a few at a time.
_INCREMENTAL = 2
# Pages that one transaction moves: 8 MiB.
_PAGES = 2_000
# Free disk that VACUUM needs, as a multiple of the file: it writes the file anew, and again through the log.
_COPIES = 2.2


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of the file and its log before and after, bytes that stay free inside, and the reason for these."""

    before: int
    after: int
    free: int
    reason: str = ""

    @property
    def freed(self) -> int:
        """Bytes that were returned to the disk."""
        return max(0, self.before - self.after)


def give_back(connection: sqlite3.Connection, path: Path, pause: Callable[[], None], *, is_held: bool) -> Space:
    """
    Return free pages to the disk, a few at a time, with pauses for other writers.

    A file of ledger version 7 or older can't do so. It is written anew (VACUUM) once, if no run is on (`is_held`) and
    the disk has room for it.
    """
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    before, reason = _size(path), ""
    if _ask(connection, "auto_vacuum") == _INCREMENTAL:
        while _ask(connection, "freelist_count"):
            # `execute` would take only the first step of this statement, which is one page.
            connection.executescript(f"PRAGMA incremental_vacuum({_PAGES})")
            pause()
    elif _ask(connection, "freelist_count"):
        reason = _write_anew(connection, path, is_held=is_held)
    # The file keeps its size until the log is written into it. Other readers may prevent that.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return Space(before, _size(path), _ask(connection, "freelist_count") * _ask(connection, "page_size"), reason)


def _write_anew(connection: sqlite3.Connection, path: Path, *, is_held: bool) -> str:
    """Write the file anew without its free pages; return the reason if that is not possible."""
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
        # SQLite makes the copy in the folder for temporary files, which may be on another disk.
        if exc.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        return "the disk of temporary files (SQLITE_TMPDIR) has no room for a copy"
    return ""


def _ask(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, wal_path(path)) if file.exists())
