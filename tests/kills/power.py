"""The disk content of a ledger after a power loss."""

import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

_SECTOR = 512
_LOG_HEADER = 32


@dataclass(frozen=True, slots=True)
class Disk:
    """The bytes of a ledger: its database and its write-ahead log."""

    database: bytes
    log: bytes

    @classmethod
    def read(cls, ledger: Path) -> "Disk":
        """Return the present content of the files."""
        return cls(ledger.read_bytes(), _log(ledger).read_bytes())

    def write(self, ledger: Path) -> None:
        """Write the files as after a restart: without the index in shared memory."""
        ledger.parent.mkdir(parents=True, exist_ok=True)
        ledger.write_bytes(self.database)
        _log(ledger).write_bytes(self.log)
        ledger.with_name(f"{ledger.name}-shm").unlink(missing_ok=True)

    def content(self, folder: Path) -> Sequence[str]:
        """Return all lines of all tables; fail if SQLite finds damage."""
        copy = folder / "copy.db"
        self.write(copy)
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return list(connection.iterdump())


def _log(ledger: Path) -> Path:
    return ledger.with_name(f"{ledger.name}-wal")


def torn(before: Disk, after: Disk, chance: random.Random) -> Disk:
    """
    Return possible disk content if the power fails between two synced states.

    Sectors reach the disk in any order between two syncs. A commit syncs the log; a checkpoint after it writes to the
    database. A log that begins anew has its header synced before the rest.
    """
    if chance.random() < 0.5:
        return Disk(_mixed(before.database, after.database, chance), after.log)
    log = before.log
    if before.log[:_LOG_HEADER] != after.log[:_LOG_HEADER]:
        log = after.log[:_LOG_HEADER] + log[_LOG_HEADER:]
    return Disk(before.database, _mixed(log, after.log, chance))


def _mixed(old: bytes, new: bytes, chance: random.Random) -> bytes:
    """Return a file with some new sectors; an appended part may be missing or garbage."""
    length = chance.randint(min(len(old), len(new)), max(len(old), len(new)))
    share = chance.random()
    mixed = bytearray(old[:length].ljust(length, b"\0"))
    for start in range(0, length, _SECTOR):
        end = min(start + _SECTOR, length)
        if chance.random() < share and new[start:end]:
            mixed[start:end] = new[start:end].ljust(end - start, b"\0")
        elif start >= len(old):
            mixed[start:end] = chance.randbytes(end - start)
    return bytes(mixed)
