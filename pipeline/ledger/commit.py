"""Group commit: what several threads write at one moment reaches the disk in one transaction."""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, cast

T = TypeVar("T")
Write = Callable[[sqlite3.Connection], T]


class Ticket:
    """One write that was handed in: done once it is durable, or once its transaction failed."""

    __slots__ = ("_error", "_result", "done", "write")

    def __init__(self, write: Write[Any]) -> None:
        self.write = write
        self.done = False
        self._result: Any = None
        self._error: BaseException | None = None

    def keep(self, result: object) -> None:
        """Take the result that holds once the transaction is committed."""
        self._result = result

    def finish(self, error: BaseException | None = None) -> None:
        """Mark it durable, or failed."""
        self._error = error
        self.done = True

    def result(self) -> object:
        """Return what the write returned; raise what its transaction raised."""
        if self._error is not None:
            raise self._error
        return self._result


class GroupCommit:
    """
    One connection, written by many threads.

    `run` returns when its write is durable; `later` hands a write in and returns at once: it becomes durable with
    the next `run` of any thread, or with `flush`. Writes are applied in the order they were handed in. `guard` runs
    first in each transaction and may raise to refuse it whole.
    """

    def __init__(self, connection: sqlite3.Connection, guard: Callable[[sqlite3.Connection], None]) -> None:
        self._connection = connection
        self._guard = guard
        self._pending: deque[Ticket] = deque()
        self._turn = threading.Lock()
        self._failure: BaseException | None = None

    def run(self, write: Write[T]) -> T:
        """Apply the write; return its result once it is on disk. Raises what the transaction raised."""
        ticket = Ticket(write)
        self._pending.append(ticket)
        while not ticket.done:
            with self._turn:
                if not ticket.done:
                    self._commit_pending()
        return cast("T", ticket.result())

    def later(self, write: Write[Any]) -> None:
        """Hand in a write that nobody waits for. Raises when an earlier one of these could not be kept."""
        if self._failure is not None:
            raise self._failure
        self._pending.append(Ticket(write))

    def flush(self) -> None:
        """Make all durable that was handed in. Raises what the transaction raised."""
        # With the turn in hand, so that no other thread's commit is still under way.
        with self._turn:
            if self._pending:
                self._commit_pending()
        if self._failure is not None:
            raise self._failure

    def _commit_pending(self) -> None:
        batch = [self._pending.popleft() for _ in range(len(self._pending))]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._guard(self._connection)
            for ticket in batch:
                ticket.keep(ticket.write(self._connection))
            self._connection.execute("COMMIT")
        except BaseException as exc:  # noqa: BLE001 - every waiting thread has to learn of it, whatever it is
            self._roll_back()
            self._failure = exc
            self._finish(batch, exc)
        else:
            self._finish(batch, None)

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            # The error under way says more; the next transaction can't begin, and fails as well.
            return

    def _finish(self, batch: list[Ticket], error: BaseException | None) -> None:
        for ticket in batch:
            ticket.finish(error)
