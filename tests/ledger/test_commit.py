"""Group commit: what threads write together is on disk together, or not at all, and every one of them learns which."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.ledger.commit import GroupCommit, Write
from pipeline.ledger.database import connect


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


@pytest.fixture
def commits(connection: sqlite3.Connection) -> GroupCommit:
    """A group commit that refuses nothing."""
    return GroupCommit(connection, lambda _: None)


def put(number: int) -> Write[int]:
    def write(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO numbers VALUES (?)", (number,))
        return number

    return write


def tear(_: sqlite3.Connection) -> None:
    raise Torn


def on_disk(path: Path) -> list[int]:
    """Return the numbers that another connection sees."""
    connection = connect(path)
    try:
        return [n for (n,) in connection.execute("SELECT n FROM numbers ORDER BY rowid")]
    finally:
        connection.close()


def test_a_write_that_is_waited_for_is_on_disk(commits: GroupCommit, path: Path) -> None:
    """`run` returns what the write returns, once others can see it."""
    assert commits.run(put(1)) == 1
    assert on_disk(path) == [1]


def test_a_write_that_is_handed_in_goes_with_the_next(commits: GroupCommit, path: Path) -> None:
    """What is handed in is seen by nobody before the next commit, and comes before it in order."""
    commits.later(put(1))
    assert on_disk(path) == []

    commits.run(put(2))

    assert on_disk(path) == [1, 2]


def test_flush_leaves_nothing_pending(commits: GroupCommit, path: Path) -> None:
    """After a flush all that was handed in is on disk; with nothing handed in it does nothing."""
    commits.flush()
    commits.later(put(1))
    commits.later(put(2))
    commits.flush()

    assert on_disk(path) == [1, 2]


def test_flush_waits_for_a_commit_under_way(path: Path) -> None:
    """Flush does not return while another thread's commit still has what was handed in."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait()

    connection = connect(path, durable=False)
    commits = GroupCommit(connection, hold)
    commits.later(put(1))
    committing = threading.Thread(target=commits.flush)
    flushing = threading.Thread(target=commits.flush)
    committing.start()
    begun.wait()
    flushing.start()
    flushing.join(0.005)
    waits = flushing.is_alive()
    go_on.set()
    committing.join()
    flushing.join()
    connection.close()

    assert waits
    assert on_disk(path) == [1]


def test_many_threads_write_each_once(commits: GroupCommit, path: Path) -> None:
    """Whatever transaction a thread's write goes with, it is applied once, and the thread gets its own result."""
    got: dict[int, list[int]] = {}

    def work(worker: int) -> None:
        got[worker] = []
        for n in range(50):
            commits.later(put(1000 * worker + 2 * n))
            got[worker].append(commits.run(put(1000 * worker + 2 * n + 1)))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = on_disk(path)
    assert sorted(found) == [1000 * worker + n for worker in range(4) for n in range(100)]
    assert got == {worker: [1000 * worker + n for n in range(1, 100, 2)] for worker in range(4)}
    # Each thread's writes stand in the order in which it handed them in.
    assert all(
        [n for n in found if n // 1000 == worker] == sorted(n for n in found if n // 1000 == worker) for worker in got
    )


def test_a_torn_write_takes_its_whole_transaction_along(commits: GroupCommit, path: Path) -> None:
    """Of a transaction that fails nothing is kept, and who waits for it is told why."""
    commits.later(put(1))
    with pytest.raises(Torn):
        commits.run(tear)

    assert on_disk(path) == []


def test_who_handed_in_what_was_lost_learns_of_it(commits: GroupCommit) -> None:
    """After a write that nobody waited for was lost, nothing more can be handed in, and a flush says so."""
    commits.later(tear)
    with pytest.raises(Torn):
        commits.flush()

    with pytest.raises(Torn):
        commits.later(put(1))
    with pytest.raises(Torn):
        commits.flush()


def test_the_guard_refuses_a_transaction_whole(path: Path) -> None:
    """Nothing is written that the guard, which comes first in each transaction, does not let through."""
    connection = connect(path, durable=False)
    commits = GroupCommit(connection, tear)
    commits.later(put(1))
    with pytest.raises(Torn):
        commits.run(put(2))
    connection.close()

    assert on_disk(path) == []


def test_every_thread_of_a_failed_transaction_is_told(path: Path) -> None:
    """Threads whose writes went with one that failed all raise; none goes on as if its own had been kept."""
    connection = connect(path, durable=False)
    commits = GroupCommit(connection, lambda _: None)
    begun, go_on = threading.Event(), threading.Event()
    told: dict[int, str] = {}

    def first(_: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait()

    def work(number: int, write: Write[object]) -> None:
        try:
            commits.run(write)
            told[number] = "kept"
        except Torn:
            told[number] = "torn"

    writes: list[Write[object]] = [first, put(1), tear, put(2)]
    threads = [threading.Thread(target=work, args=(n, write)) for n, write in enumerate(writes)]
    threads[0].start()
    begun.wait()
    # While the first commit is under way the others hand in theirs, which then go together.
    for thread in threads[1:]:
        thread.start()
    while len(commits._pending) < 3:
        begun.wait()
    go_on.set()
    for thread in threads:
        thread.join()
    connection.close()

    assert told == {0: "kept", 1: "torn", 2: "torn", 3: "torn"}
    assert on_disk(path) == []


class NoRollback(sqlite3.Connection):
    """A connection to a disk that fails when it matters most."""

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        if sql in ("COMMIT", "ROLLBACK"):
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, parameters)


def test_a_disk_that_fails_in_mid_commit_fails_all_and_hangs_none(path: Path) -> None:
    """Where not even the rollback comes through, all are told of the first error, and nothing is written after it."""
    connection = sqlite3.connect(path, factory=NoRollback, isolation_level=None, check_same_thread=False)
    commits = GroupCommit(connection, lambda _: None)
    commits.later(put(1))
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        commits.run(put(2))
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        commits.later(put(3))
    with pytest.raises(sqlite3.OperationalError, match="within a transaction"):
        commits.run(put(3))
    connection.close()

    assert on_disk(path) == []
