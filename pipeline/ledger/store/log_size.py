"""The size of the write-ahead log. SQLite can't bound it while another program reads the ledger in one transaction."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from pipeline.clock import Clock
from pipeline.errors import LedgerError
from pipeline.ledger.store.database import LOG_BYTES, Connect, wal_path, with_clear_errors
from pipeline.model import Wait

# Interval between looks at the log.
_LOOK_SECONDS = 5.0
# Bytes that stay free on the disk, for the outcomes of requests in flight and the report.
RESERVE_BYTES = 256 << 20
_MEGABYTE = 1_000_000


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


class LogSize:
    """
    Detects that the log grows because of a reader, and stops the run before the disk is full.

    A log is long above `bound` bytes. The run stops when less than `reserve` bytes are free; `free_bytes` returns the
    free bytes on the disk of a folder.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        connect: Connect,
        *,
        bound: int = LOG_BYTES,
        reserve: int = RESERVE_BYTES,
        free_bytes: Callable[[Path], int] = _free_bytes,
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
        size = _size(wal_path(self._path))
        if size <= self._bound or not self._is_held():
            self._since = None
            return
        if self._since is None:
            self._since = now
        if self._free_bytes(self._path.parent) < self._reserve:
            raise LedgerError(
                f"ledger {self._path}: the disk is nearly full: {wal_path(self._path).name} takes "
                f"{size // _MEGABYTE:,} MB, since another program reads the ledger and does not end. End that program "
                f"(`fuser {self._path}` names it), then `backfill resume {run_id}`: what was delivered is kept"
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
        reason = f"another program reads the ledger and does not end, so {log} grows; `fuser {ledger}` names it, end it"
        return [Wait(reason, self._since, holds_up=False)]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
