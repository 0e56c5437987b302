"""A reader that does not end lets the write-ahead log grow: the run reports it, and stops before the disk is full."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import LedgerError
from pipeline.ledger.store.database import LOG_BYTES, connect, wal_path
from pipeline.ledger.store.space import LogSize
from pipeline.model import Wait
from tests.moved_clock import MovedClock

BOUND = 1 << 20


class Disk:
    """A ledger with a writer, on a disk with a given free space."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = MovedClock()
        self.free = 1 << 40
        self.writer = connect(path)
        self.writer.execute("CREATE TABLE pages (page BLOB)")
        self.log = LogSize(path, self.clock, connect, bound=BOUND, reserve=BOUND, free_bytes=lambda _: self.free)

    def write(self, count: int) -> None:
        """Write so many bytes, in pieces."""
        for _ in range(count // 10_000):
            self.writer.execute("INSERT INTO pages VALUES (randomblob(10000))")

    def look(self) -> list[Wait]:
        """Let a few seconds pass, and check the log."""
        self.clock.move(5.0)
        self.log.check("01RUN")
        return self.log.waiting()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "backfill.db")
    yield disk
    disk.writer.close()


def test_a_reader_that_does_not_end_is_reported(disk: Disk) -> None:
    """The wait says since when, and that sending goes on. It ends with the reader."""
    disk.write(2 * BOUND)
    assert disk.look() == []

    with closing(sqlite3.connect(disk.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM pages").fetchone()
        disk.write(8 * BOUND)
        first, again = disk.look(), disk.look()
        grown = wal_path(disk.path).stat().st_size

    reason = (
        f"another program reads the ledger and does not end, so backfill.db-wal grows; `fuser {disk.path}` names it, "
        "end it"
    )
    assert first == again == [Wait(reason, 1010.0, holds_up=False)]
    assert disk.look() == []
    disk.write(8 * BOUND)
    assert grown > 8 * BOUND
    assert wal_path(disk.path).stat().st_size <= grown < LOG_BYTES


def test_the_run_stops_before_the_disk_is_full(disk: Disk) -> None:
    """With little free space the error says what fills the disk, and what to do."""
    with closing(sqlite3.connect(disk.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM pages").fetchone()
        disk.write(4 * BOUND)
        disk.look()
        disk.free = BOUND - 1
        with pytest.raises(LedgerError) as reported:
            disk.look()

    size = wal_path(disk.path).stat().st_size // 1_000_000
    assert str(reported.value) == (
        f"ledger {disk.path}: the disk is nearly full: backfill.db-wal takes {size} MB, since another program reads "
        f"the ledger and does not end. End that program (`fuser {disk.path}` names it), then `backfill resume 01RUN`: "
        "what was delivered is kept"
    )


def test_a_full_disk_is_no_sign_of_a_reader(disk: Disk) -> None:
    """A long log that can be written to the file is not reported."""
    disk.free = 0
    disk.write(2 * BOUND)

    assert disk.look() == []


def test_a_long_log_is_cut_back(tmp_path: Path) -> None:
    """Once a reader has ended, the log is cut back from the size that it had grown to."""
    path = tmp_path / "backfill.db"
    with closing(connect(path, durable=False)) as writer, closing(connect(path)) as reader:
        writer.execute("CREATE TABLE pages (page BLOB)")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM pages").fetchone()
        for _ in range(90):
            writer.execute("INSERT INTO pages VALUES (zeroblob(1000000))")
        grown = wal_path(path).stat().st_size
        reader.execute("ROLLBACK")
        for _ in range(3):
            writer.execute("INSERT INTO pages VALUES (zeroblob(1000000))")
        left = wal_path(path).stat().st_size

    assert (grown > LOG_BYTES, left <= LOG_BYTES) == (True, True)
