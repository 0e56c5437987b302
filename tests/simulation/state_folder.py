"""The state folder as an operator handles it: copies that are restored, and files that are deleted."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from pipeline.ledger.store.port import Server
from tests.simulation.storage import SimulatedFiles
from tests.simulation.world import Process


class State(Protocol):
    """The ledger of a history, and what an operator does with it."""

    @property
    def place(self) -> Path | Server:
        """Where the ledger is."""
        ...

    def opens(self, process: Process) -> dict[str, Any]:
        """Return the parameters of `Ledger` for a process."""
        ...

    def back_up(self) -> bool:
        """Copy the ledger as docs/backup.md says; return whether there is one."""
        ...

    def restore(self, what: str) -> bool:
        """Replace the ledger, or all of the state, by the copy; return whether that is possible."""
        ...

    def lose(self, what: str) -> bool:
        """Delete the ledger, its quotas, or all of the state; return whether that is possible."""
        ...


@contextmanager
def in_files(folder: Path) -> Iterator["StateFolder"]:
    """Keep the ledger of a history in files."""
    yield StateFolder(folder / "state")


class StateFolder:
    """The folder of a ledger in a file; see `State`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = folder / "ledger.db"
        self._copy = folder.with_name("backup")

    def opens(self, process: Process) -> dict[str, Any]:
        """Return the parameters of `Ledger` for a process."""
        return {"connect": SimulatedFiles(process)}

    def back_up(self) -> bool:
        """Copy all files as docs/backup.md says; return whether there is a ledger."""
        shutil.rmtree(self._copy, ignore_errors=True)
        self._copy.mkdir()
        for name in ("ledger.db", "ledger.db-quota"):
            if (self.folder / name).exists():
                with closing(sqlite3.connect(self.folder / name)) as live, closing(self._new(name)) as copy:
                    live.backup(copy)
        if self._mark(self.folder).exists():
            shutil.copy(self._mark(self.folder), self._mark(self._copy))
        return (self._copy / "ledger.db").exists()

    def _new(self, name: str) -> sqlite3.Connection:
        return sqlite3.connect(self._copy / name)

    def _mark(self, folder: Path) -> Path:
        return folder / "ledger.db-mark"

    def restore(self, what: str) -> bool:
        """Replace the ledger, or all files, by the copy."""
        self.lose(what)
        for copy in [self._copy / "ledger.db"] if what == "ledger" else sorted(self._copy.iterdir()):
            shutil.copy(copy, self.folder / "arriving")
            (self.folder / "arriving").replace(self.folder / copy.name)
        return True

    def lose(self, what: str) -> bool:
        """Delete the ledger, its quotas, or all files."""
        pattern = {"ledger": "ledger.db*", "quota": "ledger.db-quota*", "state": "*"}[what]
        for file in list(self.folder.glob(pattern)):
            if what != "ledger" or file.name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
                file.unlink()
        return True
