"""Transactions on the server: rules A to C, and the fate of a commit whose answer was lost."""

import threading
from collections.abc import Callable
from typing import TypeVar

import psycopg

from pipeline.errors import LedgerError
from pipeline.language import t
from pipeline.ledger.store.lease import HeldLease
from pipeline.ledger.store.port import Connection
from pipeline.ledger.store.postgresql.connection import ConnectionLost, PostgresConnection

T = TypeVar("T")

# How long a transaction waits for a lock.
LOCK_SECONDS = 20.0
# How long a transaction may be idle, as a share of a lease: who waits for its locks keeps its own lease.
IDLE_SHARE = 1 / 4
# The advisory lock that transactions of runs share. One that concerns several accounts or runs has it alone.
LEDGER_LOCK = 0x6266696C
# Errors after which the same transaction may succeed: a deadlock, and a conflict of serializable transactions.
_TRY_AGAIN = ("40P01", "40001")
_TRIES = 5
# A process that freezes within a COPY keeps its locks: the server counts it as active, so rule C does not end it.
_END_FROZEN = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
    AND state = 'active' AND wait_event = 'ClientRead' AND query_start < clock_timestamp() - interval '{seconds} s'
"""


class PostgresTransactions:
    """
    Transactions of a run or a sender, for all of its threads; without a lease, those that concern the whole ledger, or
    that lock nothing by themselves if they are not alone.

    A transaction is run again if the server went away before its commit. If the answer to the commit was lost, the
    lease's count of transactions shows whether it was committed. So `write` has to give the same result each time.
    Without a lease it is run again in any case: then `write` has to see what it committed.

    A count that is not above that of the last commit shows a ledger that is behind: it was restored, or a standby took
    over without the last commits. Then LedgerError is raised.
    """

    def __init__(
        self,
        connection: PostgresConnection,
        lease: HeldLease | None = None,
        account_no: int = 0,
        *,
        turn: threading.Lock,
        is_alone: bool = True,
        idle_seconds: float,
        lock_seconds: float = LOCK_SECONDS,
    ) -> None:
        self._connection = connection
        self._lease = lease
        self._turn = turn
        self._lock_seconds = lock_seconds
        self._committed = 0
        self._begin = (
            f"SET LOCAL idle_in_transaction_session_timeout = {int(idle_seconds * 1000)};"
            f"SET LOCAL lock_timeout = {int(lock_seconds * 1000)};"
            "SET LOCAL plan_cache_mode = force_custom_plan;"
        )
        if lease is None and is_alone:
            self._begin += f"SELECT pg_advisory_xact_lock({LEDGER_LOCK})"
        elif lease is None:
            self._begin += f"SELECT pg_advisory_xact_lock_shared({LEDGER_LOCK})"
        else:
            self._begin += (
                f"SELECT pg_advisory_xact_lock_shared({LEDGER_LOCK});"
                f"SELECT pg_advisory_xact_lock({LEDGER_LOCK}, {account_no})"
            )

    def run(self, write: Callable[[Connection], T]) -> T:
        """Run `write` in a transaction; return its result once it is committed. If it raises, nothing is kept."""
        tries_left = _TRIES
        with self._turn:
            while True:
                tries_left -= 1
                try:
                    return self._run(write)
                except ConnectionLost:
                    if not tries_left:
                        raise
                    self._connection.reconnect()
                except psycopg.errors.LockNotAvailable:
                    if not tries_left or not self._has_ended_frozen():
                        raise
                except psycopg.Error as exc:
                    if exc.sqlstate not in _TRY_AGAIN or not tries_left:
                        raise

    def _has_ended_frozen(self) -> bool:
        """End the sessions of this ledger that wait for data of their process for too long; return whether any did."""
        return bool(self._connection.execute(_END_FROZEN.format(seconds=self._lock_seconds)).fetchall())

    def _run(self, write: Callable[[Connection], T]) -> T:
        connection, number = self._connection, 0
        try:
            connection.begin(self._begin)
            if self._lease is not None:
                number = self._lease.lock(connection)
                self._refuse_if_behind(number)
            result = write(connection)
            is_lost = not self._commit()
        except BaseException:
            connection.rollback()
            raise
        if is_lost and not self._is_committed(number):
            return self._run(write)
        self._committed = number
        return result

    def _refuse_if_behind(self, number: int) -> None:
        if self._lease is not None and number <= self._committed:
            raise LedgerError(
                t(
                    "the ledger has lost commits of this run: it was restored, or a standby took over without them; "
                    "nothing more is sent here. See docs/how-to/postgresql.md"
                )
            )

    def _commit(self) -> bool:
        """Commit; return whether the server answered."""
        try:
            self._connection.execute("COMMIT")
        except ConnectionLost:
            if self._lease is None:
                raise
            return False
        return True

    def _is_committed(self, number: int) -> bool:
        """Return whether the lease's transaction with a number was committed; wait while the server still runs it."""
        if self._lease is None:
            return False
        while True:
            self._connection.reconnect()
            try:
                self._connection.begin(self._begin)
                return self._lease.count(self._connection) >= number
            except ConnectionLost:
                continue
            finally:
                self._connection.rollback()
