"""Transactions: what is written is on disk, or nothing of it is."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.ledger.store.database import connect
from pipeline.ledger.store.transactions import Transactions


class Torn(Exception):
    """What a write of these tests raises."""


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


def tear(connection: sqlite3.Connection) -> int:
    put(0)(connection)
    raise Torn


def on_disk(path: Path) -> list[int]:
    """Return the numbers that another connection sees."""
    connection = connect(path)
    try:
        return [n for (n,) in connection.execute("SELECT n FROM numbers ORDER BY rowid")]
    finally:
        connection.close()


def test_what_was_written_is_on_disk(connection: sqlite3.Connection, path: Path) -> None:
    """`run` returns what the write returns, once others can see it."""
    assert Transactions(connection).run(put(1)) == 1
    assert on_disk(path) == [1]


def test_of_a_torn_write_nothing_is_kept(connection: sqlite3.Connection, path: Path) -> None:
    """What a write raises is raised, nothing of it stays, and the next one goes on."""
    transactions = Transactions(connection)
    with pytest.raises(Torn):
        transactions.run(tear)
    transactions.run(put(1))

    assert on_disk(path) == [1]


def test_the_guard_refuses_a_transaction_whole(connection: sqlite3.Connection, path: Path) -> None:
    """Nothing is written that the guard, which comes first, does not let through."""

    def refuse(_: sqlite3.Connection) -> None:
        raise Torn

    with pytest.raises(Torn):
        Transactions(connection, refuse).run(put(1))

    assert on_disk(path) == []


def test_threads_write_one_after_another(connection: sqlite3.Connection, path: Path) -> None:
    """Each write of each thread has a transaction of its own."""
    transactions = Transactions(connection)

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
    """A connection to a disk that fails when it matters most."""

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        if sql in ("COMMIT", "ROLLBACK"):
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, parameters)


def test_after_a_disk_that_fails_in_mid_commit_nothing_is_written(path: Path) -> None:
    """Where not even the rollback comes through the first error is told, and no transaction begins any more."""
    connection = sqlite3.connect(path, factory=NoRollback, isolation_level=None)
    transactions = Transactions(connection)
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        transactions.run(put(1))
    with pytest.raises(sqlite3.OperationalError, match="within a transaction"):
        transactions.run(put(2))
    connection.close()

    assert on_disk(path) == []
