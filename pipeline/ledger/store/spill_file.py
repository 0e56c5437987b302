"""Files without a name, for what a run puts aside while it reads its inputs."""

import os
import sqlite3
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import LedgerError


class SpillFile:
    """
    Bytes that are put aside: in memory while they are few, else in a file that goes when its holder does.

    Raises LedgerError where the disk does not take them.
    """

    def __init__(self, folder: Path, held_bytes: int) -> None:
        self._folder = folder
        self._file = tempfile.SpooledTemporaryFile(max_size=held_bytes, dir=str(folder))  # noqa: SIM115 - see below
        # Whoever gives up a run does not say so.
        weakref.finalize(self, self._file.close)

    def add(self, data: bytes | bytearray) -> None:
        """Put bytes at the end."""
        with self._reported():
            self._file.seek(0, os.SEEK_END)
            self._file.write(data)

    def read_at(self, start: int, count: int) -> bytes:
        """Return the bytes that begin at a place."""
        with self._reported():
            self._file.seek(start)
            return self._file.read(count)

    def close(self) -> None:
        """Forget the bytes."""
        self._file.close()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise LedgerError(
                f"what was read can't be put aside in {self._folder} ({exc.strerror or exc}); free space there, then "
                "resume the run, or plan again: nothing was sent"
            ) from exc


def scratch_database(folder: Path) -> sqlite3.Connection:
    """Return a database without tables, for what does not fit in memory; it goes when its holder closes it or ends."""
    handle, name = tempfile.mkstemp(dir=folder, prefix="backfill-")
    os.close(handle)
    try:
        connection = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA cache_size = -8192")
        # Never committed: nothing has to be on disk before the cache is full.
        connection.execute("BEGIN EXCLUSIVE")
    finally:
        Path(name).unlink()
    return connection
