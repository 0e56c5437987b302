"""Waiting for the ledger's write lock, a look at a time, so that the wait can be shown while it lasts."""

import logging
import math
import sqlite3
from collections.abc import Callable

from pipeline.clock import Clock
from pipeline.ledger.store import database
from pipeline.model import Wait

_log = logging.getLogger("backfill")

_LOOK_SECONDS = 1.0
_REASON = "another process writes to the ledger, and keeps it locked"


class WriteLock:
    """
    Begins transactions that write. Not for two threads at once.

    It looks for `busy_seconds` whether the lock is free, `look_seconds` at a time. `on_look` is called after each look
    at a lock that another process holds: until a run sets it, the wait is logged.
    """

    def __init__(self, clock: Clock, *, look_seconds: float = _LOOK_SECONDS, busy_seconds: float | None = None) -> None:
        self._clock = clock
        self._busy_seconds = database.busy_seconds() if busy_seconds is None else busy_seconds
        self._look_seconds = min(look_seconds, self._busy_seconds)
        self._since: float | None = None
        self.on_look: Callable[[], None] | None = None

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Let a connection wait for no longer than one look."""
        connection.execute(f"PRAGMA busy_timeout = {int(self._look_seconds * 1000)}")

    def begin(self, connection: sqlite3.Connection) -> None:
        """Begin a transaction that writes; raise as SQLite does where the lock stays taken."""
        looks = math.ceil(self._busy_seconds / self._look_seconds)
        try:
            while True:
                looks -= 1
                try:
                    connection.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError as exc:
                    if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or looks <= 0:
                        raise
                    self._look()
                else:
                    return
        finally:
            self._since = None

    def _look(self) -> None:
        is_first = self._since is None
        if is_first:
            self._since = self._clock.steady() - self._look_seconds
        if self.on_look is not None:
            self.on_look()
        elif is_first:
            _log.warning("waiting: %s, for up to %.0f s", _REASON, self._busy_seconds)

    def waiting(self) -> list[Wait]:
        """Return what a transaction waits for."""
        since = self._since
        return [] if since is None else [Wait(_REASON, since, since + self._busy_seconds)]
