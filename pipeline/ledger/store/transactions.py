"""Transactions on one connection, one at a time."""

import sqlite3
import threading
from collections.abc import Callable
from typing import TypeVar

from pipeline.ledger.store.write_lock import WriteLock

T = TypeVar("T")


def _let_pass(_connection: sqlite3.Connection) -> None:
    """Allow each transaction."""


class Transactions:
    """
    The connection that writes, for all threads.

    `check` runs first in each transaction, and may raise to refuse it. `lock` waits for the file's write lock, and
    shows the wait.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        check: Callable[[sqlite3.Connection], None] = _let_pass,
        lock: WriteLock | None = None,
    ) -> None:
        self._connection = connection
        self._guard = check
        self._lock = lock
        self._turn = threading.Lock()

    def run(self, write: Callable[[sqlite3.Connection], T]) -> T:
        """Run `write` in a transaction; return its result once the commit is on disk. If it raises, nothing is kept."""
        with self._turn:
            try:
                self._begin()
                self._guard(self._connection)
                result = write(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        return result

    def _begin(self) -> None:
        if self._lock is None:
            self._connection.execute("BEGIN IMMEDIATE")
        else:
            self._lock.begin(self._connection)

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            # The error being raised says more. The next transaction can't begin, and fails too.
            return
