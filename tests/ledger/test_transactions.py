"""All that was written is on disk, or nothing of it. While another process has the write lock, the wait is reported."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.ledger.store.database import connect
from pipeline.ledger.store.transactions import FileTransactions, WriteLock
from pipeline.model import Wait
from tests.moved_clock import MovedClock

REASON = "another process writes to the ledger, and keeps it locked"
# SQLite itself waits in real time, so these are short. Seconds.
LOOK_SECONDS, BUSY_SECONDS = 0.01, 0.05


class WriteFailed(Exception):
    """The error of a write in these tests."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with one table of numbers."""
    path = tmp_path / "numbers.db"
    connection = connect(path)
    connection.execute("CREATE TABLE numbers (n INTEGER)")
    connection.close()
    return path


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    """The one connection that writes."""
    connection = connect(path, durable=False)
    yield connection
    connection.close()


def put(number: int) -> Callable[[sqlite3.Connection], int]:
    def write(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO numbers VALUES (?)", (number,))
        return number

    return write


def fail(connection: sqlite3.Connection) -> int:
    put(0)(connection)
    raise WriteFailed


def on_disk(path: Path) -> list[int]:
    """Return the numbers that another connection sees."""
    connection = connect(path)
    try:
        return [n for (n,) in connection.execute("SELECT n FROM numbers ORDER BY rowid")]
    finally:
        connection.close()


def test_a_write_is_on_disk(connection: sqlite3.Connection, path: Path) -> None:
    """`run` returns the result of the write once others can see it."""
    assert FileTransactions(connection).run(put(1)) == 1
    assert on_disk(path) == [1]


def test_nothing_is_kept_of_a_failed_write(connection: sqlite3.Connection, path: Path) -> None:
    """The error of a write is raised, nothing of the write stays, and the next write works."""
    transactions = FileTransactions(connection)
    with pytest.raises(WriteFailed):
        transactions.run(fail)
    transactions.run(put(1))

    assert on_disk(path) == [1]


def test_the_check_refuses_a_transaction(connection: sqlite3.Connection, path: Path) -> None:
    """The check comes first; if it raises, nothing is written."""

    def refuse(_: sqlite3.Connection) -> None:
        raise WriteFailed

    with pytest.raises(WriteFailed):
        FileTransactions(connection, refuse).run(put(1))

    assert on_disk(path) == []


def test_threads_write_one_after_another(connection: sqlite3.Connection, path: Path) -> None:
    """Each write of each thread has its own transaction."""
    transactions = FileTransactions(connection)

    def work(worker: int) -> None:
        for n in range(50):
            transactions.run(put(100 * worker + n))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(on_disk(path)) == [100 * worker + n for worker in range(4) for n in range(50)]


class NoRollback(sqlite3.Connection):
    """A connection to a disk that fails at each commit and rollback."""

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        if sql in ("COMMIT", "ROLLBACK"):
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, parameters)


def test_nothing_is_written_after_a_failed_rollback(path: Path) -> None:
    """If the rollback fails too, the first error is raised, and no transaction can begin any more."""
    connection = sqlite3.connect(path, factory=NoRollback, isolation_level=None)
    transactions = FileTransactions(connection)
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        transactions.run(put(1))
    with pytest.raises(sqlite3.OperationalError, match="within a transaction"):
        transactions.run(put(2))
    connection.close()

    assert on_disk(path) == []


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
def transactions(path: Path, lock: WriteLock) -> Iterator[FileTransactions]:
    """Transactions of this process."""
    connection = connect(path)
    lock.prepare(connection)
    yield FileTransactions(connection, begin=lock.begin)
    connection.close()


def test_the_wait_is_reported_until_the_lock_is_free(
    transactions: FileTransactions, lock: WriteLock, other: sqlite3.Connection
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
def test_a_lock_that_stays_taken_ends_the_wait(transactions: FileTransactions, lock: WriteLock) -> None:
    """After the last look SQLite's error is raised, and the wait is over."""
    looks: list[None] = []
    lock.on_look = lambda: looks.append(None)

    with pytest.raises(sqlite3.OperationalError, match="locked"):
        transactions.run(lambda c: c.execute("INSERT INTO numbers VALUES (1)"))

    assert (len(looks), lock.waiting()) == (4, [])


@pytest.mark.usefixtures("other")
def test_a_wait_before_the_run_has_begun_is_logged(
    transactions: FileTransactions, caplog: pytest.LogCaptureFixture
) -> None:
    """If no `on_look` is set, the wait is logged once."""
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        transactions.run(lambda c: c.execute("INSERT INTO numbers VALUES (1)"))

    assert caplog.messages == [f"waiting: {REASON}, for up to 0 s"]
