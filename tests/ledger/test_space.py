"""Free pages of the ledger's file are returned to the disk, a few at a time."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.ledger.store.database import connect
from pipeline.ledger.store.space import Space, give_back

PAGE = 4096


def half_empty(path: Path, *, is_old: bool) -> sqlite3.Connection:
    """Return a connection to a file of 20 MB, half of which is free."""
    if is_old:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE old (n)")
        connection.close()
    connection = connect(path, durable=False)
    connection.execute("CREATE TABLE pages (n INTEGER PRIMARY KEY, page BLOB)")
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO pages (page) VALUES (zeroblob(4000))", [()] * 5_000)
    connection.execute("COMMIT")
    connection.execute("DELETE FROM pages WHERE n % 2 = 0")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return connection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "backfill.db"


@pytest.fixture(params=[False, True], ids=["new", "of version 7"])
def connection(path: Path, request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection]:
    """A connection to a file of this version, and of an older one."""
    connection = half_empty(path, is_old=request.param)
    yield connection
    connection.close()


def test_the_file_shrinks_to_its_content(connection: sqlite3.Connection, path: Path) -> None:
    """Half of the file is returned to the disk; others may write after each 2,000 pages."""
    before = path.stat().st_size
    pauses: list[None] = []

    space = give_back(connection, path, lambda: pauses.append(None), is_held=False)

    assert space == Space(before, path.stat().st_size, 0)
    assert space.freed == pytest.approx(2_500 * PAGE, rel=0.1)
    assert len(pauses) <= 2
    assert connection.execute("SELECT count(*), sum(n % 2) FROM pages").fetchone() == (2_500, 2_500)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_an_old_file_does_not_change_during_a_run(path: Path) -> None:
    """Writing a file anew takes long: no run of another process has to wait for it."""
    connection = half_empty(path, is_old=True)

    space = give_back(connection, path, lambda: None, is_held=True)

    connection.close()
    assert (space.freed, space.reason) == (0, "a run is on; prune again when none is")
    assert space.free == pytest.approx(2_500 * PAGE, rel=0.1)
