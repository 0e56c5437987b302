"""The state folder as an operator handles it: copies that are restored, and files that are deleted."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path


class StateFolder:
    """The folder of the ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._copy = folder.with_name("backup")

    @property
    def ledger(self) -> Path:
        """The path of the ledger."""
        return self.folder / "ledger.db"

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

    def restore(self, what: str) -> None:
        """Replace the ledger, or all files, by the copy."""
        self.lose(what)
        for copy in [self._copy / "ledger.db"] if what == "ledger" else sorted(self._copy.iterdir()):
            shutil.copy(copy, self.folder / "arriving")
            (self.folder / "arriving").replace(self.folder / copy.name)

    def lose(self, what: str) -> None:
        """Delete the ledger, its quotas, or all files."""
        pattern = {"ledger": "ledger.db*", "quota": "ledger.db-quota*", "state": "*"}[what]
        for file in list(self.folder.glob(pattern)):
            if what != "ledger" or file.name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
                file.unlink()
