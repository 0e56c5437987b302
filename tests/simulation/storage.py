"""Storage for a process that may die between any two statements. Committed data stays."""

import sqlite3
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from tests.simulation.world import Killed, Process


class _Connection(sqlite3.Connection):
    process: ClassVar[Process]

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self.process.check()
        if sql == "COMMIT":
            self.process.effect()
            cursor = super().execute(sql, parameters)
            self.process.effect()
            return cursor
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        self.process.check()
        return super().executemany(sql, parameters)

    @property
    def in_transaction(self) -> bool:
        # A dead process does not roll back: the next one that opens the file does.
        if self.process.is_dead:
            raise Killed
        return super().in_transaction

    def close(self) -> None:
        if not self.process.is_dead:
            super().close()


class SimulatedFiles:
    """Opens database files for one process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._class = type("Connection", (_Connection,), {"process": process})

    def __call__(self, path: Path, *, durable: bool = True) -> sqlite3.Connection:
        """Open a file. Its folder is in memory, so a commit costs no time."""
        self._process.check()
        connection: sqlite3.Connection = sqlite3.connect(
            path.absolute().as_uri(), uri=True, timeout=0.0, isolation_level=None, factory=self._class
        )
        self._process.closes.append(partial(sqlite3.Connection.close, connection))
        sqlite3.Connection.execute(connection, "PRAGMA journal_mode = WAL")
        sqlite3.Connection.execute(connection, "PRAGMA synchronous = OFF")
        return connection
