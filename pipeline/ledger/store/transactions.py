"""Transactions on one connection, one at a time."""

import sqlite3
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def _let_pass(_connection: sqlite3.Connection) -> None:
    """Refuse nothing."""


class Transactions:
    """
    One connection that writes, whichever thread asks it to.

    `guard` runs first in each transaction, and may raise to refuse it.
    """

    def __init__(self, connection: sqlite3.Connection, guard: Callable[[sqlite3.Connection], None] = _let_pass) -> None:
        self._connection = connection
        self._guard = guard
        self._turn = threading.Lock()

    def run(self, write: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `write` returns once all that it wrote is on disk; where it raises nothing of it is kept."""
        with self._turn:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._guard(self._connection)
                result = write(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        return result

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            # The error under way says more; the next transaction can't begin, and fails as well.
            return
