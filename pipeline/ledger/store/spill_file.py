"""Temporary files without a name, for what does not fit in memory while a run reads its inputs."""

import mmap
import os
import sqlite3
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import LedgerError
from pipeline.language import t


@contextmanager
def clear_errors_in(folder: Path) -> Iterator[None]:
    """Raise LedgerError if the disk refuses a file in a folder."""
    try:
        yield
    except OSError as exc:
        raise LedgerError(
            t(
                "the rows that were read can't be kept in {folder} ({reason}); free space there, then resume the "
                "run, or plan again: nothing was sent",
                folder=folder,
                reason=exc.strerror or exc,
            )
        ) from exc


class SpillFile:
    """
    Bytes in memory, or in a temporary file if they are more than `memory_bytes`. The file is deleted with the object.

    Raises LedgerError if the disk refuses them.
    """

    def __init__(self, folder: Path, memory_bytes: int) -> None:
        self._folder = folder
        self._file = tempfile.SpooledTemporaryFile(max_size=memory_bytes, dir=str(folder))  # noqa: SIM115 - see below
        # An abandoned run does not call `close`.
        weakref.finalize(self, self._file.close)

    def add(self, data: bytes | bytearray) -> None:
        """Append bytes."""
        with clear_errors_in(self._folder):
            self._file.seek(0, os.SEEK_END)
            self._file.write(data)

    def read_at(self, start: int, count: int) -> bytes:
        """Return `count` bytes from an offset."""
        with clear_errors_in(self._folder):
            self._file.seek(start)
            return self._file.read(count)

    def close(self) -> None:
        """Delete the bytes."""
        self._file.close()


class SharedFile:
    """
    A temporary file that one process fills, this one or another, and this one reads. It is deleted with the object.

    Raises LedgerError if the disk refuses it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with clear_errors_in(folder):
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - it ends with the object
        # An abandoned plan does not call `close`.
        weakref.finalize(self, self._file.close)

    @property
    def descriptor(self) -> int:
        """The descriptor for the other process."""
        return self._file.fileno()

    def add(self, data: bytes) -> None:
        """Append bytes."""
        with clear_errors_in(self._folder):
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]

    def view(self, start: int, count: int) -> memoryview:
        """Return `count` bytes from an offset, as they are in the file: only what is used of them is read."""
        before = start % mmap.ALLOCATIONGRANULARITY
        with clear_errors_in(self._folder):
            mapped = mmap.mmap(self.descriptor, before + count, offset=start - before, access=mmap.ACCESS_READ)
        return memoryview(mapped)[before:]

    def close(self) -> None:
        """Delete the bytes, once no view of them is used."""
        self._file.close()


def scratch_database(folder: Path) -> sqlite3.Connection:
    """Return an empty database in a temporary file, which ends with the connection."""
    handle, name = tempfile.mkstemp(dir=folder, prefix="backfill-")
    os.close(handle)
    try:
        connection = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA cache_size = -8192")
        # The transaction is never committed: nothing is written before the cache is full.
        connection.execute("BEGIN EXCLUSIVE")
    finally:
        Path(name).unlink()
    return connection
