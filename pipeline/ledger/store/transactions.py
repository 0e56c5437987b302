"""Transactions on one connection, one at a time, and the wait for the write lock of the file."""

import logging
import math
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from pipeline.clock import Clock
from pipeline.language import later, t
from pipeline.ledger.store.database import BUSY_SECONDS
from pipeline.model import Wait

T = TypeVar("T")

_log = logging.getLogger("backfill")

# How long one look at the lock lasts.
_LOOK_SECONDS = 1.0
_REASON = later("another process writes to the ledger, and keeps it locked")


class WriteLock:
    """
    Begins transactions that write, and shows the wait for the lock. Not for two threads at once.

    It waits up to `busy_seconds` for the lock, in looks of `look_seconds`. `on_look` is called after each look that
    found the lock taken; until a run sets it, the wait is logged instead.
    """

    def __init__(
        self, clock: Clock, *, look_seconds: float = _LOOK_SECONDS, busy_seconds: float = BUSY_SECONDS
    ) -> None:
        self._clock = clock
        self._busy_seconds = busy_seconds
        self._look_seconds = min(look_seconds, self._busy_seconds)
        self._since: float | None = None
        self.on_look: Callable[[], None] | None = None

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Make a connection wait for one look at most."""
        connection.execute(f"PRAGMA busy_timeout = {int(self._look_seconds * 1000)}")

    def begin(self, connection: sqlite3.Connection) -> None:
        """Begin a transaction that writes; raise SQLite's error if the lock stays taken."""
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
            _log.warning(
                t("waiting: {reason}, for up to {seconds:.0f} s", reason=t(_REASON), seconds=self._busy_seconds)
            )

    def waiting(self) -> list[Wait]:
        """Return the wait of a transaction for the lock, if there is one."""
        since = self._since
        return [] if since is None else [Wait(t(_REASON), since, since + self._busy_seconds)]


def _begin_at_once(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")


class FileTransactions:
    """
    The connection that writes, for all threads.

    `check` runs first in each transaction, and may raise to refuse it. `begin` begins one: see `WriteLock.begin`.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        check: Callable[[sqlite3.Connection], None] = lambda _connection: None,
        *,
        begin: Callable[[sqlite3.Connection], None] = _begin_at_once,
    ) -> None:
        self._connection = connection
        self._check = check
        self._begin = begin
        self._turn = threading.Lock()

    def run(self, write: Callable[[sqlite3.Connection], T]) -> T:
        """Run `write` in a transaction; return its result once the commit is on disk. If it raises, nothing is kept."""
        with self._turn:
            try:
                self._begin(self._connection)
                self._check(self._connection)
                result = write(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                # An error of the rollback would say less. The next transaction can't begin, and fails too.
                with suppress(sqlite3.Error):
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                raise
        return result
