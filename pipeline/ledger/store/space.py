"""Disk space: detects a write-ahead log that grows, and returns free pages of the ledger's file to the disk."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.clock import Clock
from pipeline.errors import LedgerError
from pipeline.language import t
from pipeline.ledger.store.database import BUSY_SECONDS, LOG_BYTES, Connect, wal_path, with_clear_errors
from pipeline.model import Wait

# Interval between looks at the log.
_LOOK_SECONDS = 5.0
# Bytes that stay free on the disk, for the outcomes of requests in flight and the report.
RESERVE_BYTES = 256 << 20
_MEGABYTE = 1_000_000
# The value of `auto_vacuum` with which pages can be returned a few at a time.
_INCREMENTAL = 2
# Pages that one transaction moves: 8 MiB.
_PAGES = 2_000
# Free disk that VACUUM needs, as a multiple of the file: it writes the file anew, and again through the log.
_COPIES = 2.2


def free_bytes(folder: Path) -> int:
    """Return the free bytes on the disk of a folder."""
    return shutil.disk_usage(folder).free


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class LogSize:
    """
    Detects that the log grows because of a reader, and stops the run before the disk is full.

    SQLite can't bound the log while another program reads the ledger in one transaction. A log is long above `bound`
    bytes. The run stops when less than `reserve` bytes are free; `free_bytes` returns the free bytes on the disk of a
    folder.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        connect: Connect,
        *,
        bound: int = LOG_BYTES,
        reserve: int = RESERVE_BYTES,
        free_bytes: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._path = path
        self._clock = clock
        self._connect = connect
        self._bound = bound
        self._reserve = reserve
        self._free_bytes = free_bytes
        self._next_look = 0.0
        self._since: float | None = None

    def check(self, run_id: str) -> None:
        """Look at the log, every few seconds; raise LedgerError if it would soon fill the disk."""
        now = self._clock.steady()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        size = _bytes_of(wal_path(self._path))
        if size <= self._bound or not self._is_held():
            self._since = None
            return
        if self._since is None:
            self._since = now
        if self._free_bytes(self._path.parent) < self._reserve:
            raise LedgerError(
                t(
                    "ledger {path}: the disk is nearly full: {file} takes {size:,} MB, since another program reads "
                    "the ledger and does not end. End that program (`fuser {path}` names it), then `backfill resume "
                    "{run_id}`: what was delivered is kept",
                    path=self._path,
                    file=wal_path(self._path).name,
                    size=size // _MEGABYTE,
                    run_id=run_id,
                )
            )

    def _is_held(self) -> bool:
        """Return whether some reader keeps the log from being written to the file."""
        with with_clear_errors(self._path), closing(self._connect(self._path)) as connection:
            try:
                _, in_log, written = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.OperationalError:
                # Another process writes the log to the file now.
                return False
        return bool(written < in_log)

    def waiting(self) -> list[Wait]:
        """Return since when a reader keeps the log growing. Sending goes on meanwhile."""
        if self._since is None:
            return []
        log, ledger = wal_path(self._path).name, self._path
        reason = t(
            "another program reads the ledger and does not end, so {log} grows; `fuser {ledger}` names it, end it",
            log=log,
            ledger=ledger,
        )
        return [Wait(reason, self._since, holds_up=False)]


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
        return t("a run is on; prune again when none is")
    pages = _ask(connection, "page_count") - _ask(connection, "freelist_count")
    needed = int(_COPIES * pages * _ask(connection, "page_size"))
    if free_bytes(path.parent) < needed:
        return t("that needs {needed:,} MB of free disk", needed=needed // _MEGABYTE + 1)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    try:
        connection.execute("VACUUM")
    except sqlite3.OperationalError as exc:
        # SQLite makes the copy in the folder for temporary files, which may be on another disk.
        if exc.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        return t("the disk of temporary files (SQLITE_TMPDIR) has no room for a copy")
    return ""


def _ask(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _size(path: Path) -> int:
    return _bytes_of(path) + _bytes_of(wal_path(path))
