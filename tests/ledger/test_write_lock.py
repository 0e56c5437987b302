"""While another process holds the write lock, the wait is reported."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.ledger.store.database import connect
from pipeline.ledger.store.transactions import Transactions, WriteLock
from pipeline.model import Wait
from tests.moved_clock import MovedClock

REASON = "another process writes to the ledger, and keeps it locked"
# SQLite itself waits in real time, so these are short. Seconds.
LOOK_SECONDS, BUSY_SECONDS = 0.01, 0.05


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with one table."""
    path = tmp_path / "numbers.db"
    connection = connect(path)
    connection.execute("CREATE TABLE numbers (n INTEGER)")
    connection.close()
    return path


@pytest.fixture
def other(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process that holds the write lock."""
    connection = connect(path)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


@pytest.fixture
def lock() -> WriteLock:
    """The write lock as this process sees it."""
    return WriteLock(MovedClock(), look_seconds=LOOK_SECONDS, busy_seconds=BUSY_SECONDS)


@pytest.fixture
def transactions(path: Path, lock: WriteLock) -> Iterator[Transactions]:
    """Transactions of this process."""
    connection = connect(path)
    lock.prepare(connection)
    yield Transactions(connection, begin=lock.begin)
    connection.close()


def test_the_wait_is_reported_until_the_lock_is_free(
    transactions: Transactions, lock: WriteLock, other: sqlite3.Connection
) -> None:
    """After each look the wait has its begin and its end; once the lock is free the transaction is written."""
    seen: list[list[Wait]] = []

    def look() -> None:
        seen.append(lock.waiting())
        if len(seen) == 2:
            other.execute("ROLLBACK")

    lock.on_look = look
    transactions.run(lambda c: c.execute("INSERT INTO numbers VALUES (1)"))

    assert seen == [[Wait(REASON, 1000.0 - LOOK_SECONDS, 1000.0 - LOOK_SECONDS + BUSY_SECONDS)]] * 2
    assert lock.waiting() == []
    assert other.execute("SELECT n FROM numbers").fetchall() == [(1,)]


@pytest.mark.usefixtures("other")
def test_a_lock_that_stays_taken_ends_the_wait(transactions: Transactions, lock: WriteLock) -> None:
    """After the last look SQLite's error is raised, and the wait is over."""
    looks: list[None] = []
    lock.on_look = lambda: looks.append(None)

    with pytest.raises(sqlite3.OperationalError, match="locked"):
        transactions.run(lambda c: c.execute("INSERT INTO numbers VALUES (1)"))

    assert (len(looks), lock.waiting()) == (4, [])


@pytest.mark.usefixtures("other")
def test_a_wait_before_the_run_has_begun_is_logged(
    transactions: Transactions, caplog: pytest.LogCaptureFixture
) -> None:
    """If no `on_look` is set, the wait is logged once."""
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        transactions.run(lambda c: c.execute("INSERT INTO numbers VALUES (1)"))

    assert caplog.messages == [f"waiting: {REASON}, for up to 0 s"]
