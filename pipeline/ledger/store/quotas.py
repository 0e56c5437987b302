"""The store of the quotas of all processes on this machine: a file of its own, so that no commit delays a permit."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pipeline.errors import LedgerError
from pipeline.language import later, t
from pipeline.ledger.store.database import Connect, connect, make_file, with_clear_errors
from pipeline.ledger.store.loss_detection.lost_file import Place
from pipeline.ledger.store.transactions import FileTransactions

T = TypeVar("T")

_IF_DAMAGED = later(
    "the file is damaged; while no run is on, empty it (`truncate -s 0`) and delete its -wal: it "
    "holds nothing but what was sent in the last seconds"
)
# A state of no known format: it makes the limiter begin cautiously, as after a restart of the machine.
_FORGOTTEN = b"[0, null]"
# The name of the state for all quotas that have none.
_ALL = ""


def quota_path(ledger: Path) -> Path:
    """Return the path of a ledger's quotas."""
    return ledger.with_name(ledger.name + "-quota")


class QuotaStore:
    """
    A few bytes for each quota, changed by one process at a time.

    A commit here survives the death of the process, but not of the machine: a restart takes longer than the period of
    a quota. States are in this machine's own time.

    A copy that is put in the file's place is another file, and may lack what was sent last. So its states are of
    another epoch, and its quotas begin cautiously.
    """

    offset = 0.0
    error = 0.0

    def __init__(self, path: Path, connect: Connect = connect) -> None:
        self._path = path
        make_file(path)
        with with_clear_errors(path, if_damaged=t(_IF_DAMAGED)):
            self._connection = connect(path, durable=False)
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS quotas (name TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID"
            )
        self._transactions = FileTransactions(self._connection)
        self._place = Place.of(path)

    def epoch(self, boot: str) -> str:
        """Return the name of this file in this boot of the machine."""
        return f"{boot} {self._place.inode}"

    def change(self, name: str, step: Callable[[bytes | None], tuple[bytes, T]]) -> T:
        """
        Replace the state of a quota: `step` gets it and returns the new state and a result, which is returned.

        Not for two threads at once. Raises LedgerError if `step` raises ValueError: the state is damaged.
        """

        def write(connection: sqlite3.Connection) -> T:
            line = connection.execute(
                "SELECT state FROM quotas WHERE name IN (?, ?) ORDER BY name DESC LIMIT 1", (name, _ALL)
            ).fetchone()
            state, result = step(None if line is None else line[0])
            connection.execute("INSERT OR REPLACE INTO quotas (name, state) VALUES (?, ?)", (name, state))
            return result

        try:
            with with_clear_errors(self._path, if_damaged=t(_IF_DAMAGED)):
                result = self._transactions.run(write)
        except ValueError as exc:
            raise LedgerError(
                t("ledger {path}: {sentence} ({value})", path=self._path, sentence=t(_IF_DAMAGED), value=exc),
                users_fault=False,
            ) from exc
        if not self._place.is_kept():
            # Another run would use another quota.
            raise LedgerError(
                t(
                    "ledger {path}: it was deleted, moved or replaced while a run was on; no further request is "
                    "sent. Put it back, then resume the run",
                    path=self._path,
                )
            )
        return result

    def forget(self) -> None:
        """Make every quota begin cautiously: what was sent in the last moments is not known."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM quotas")
            connection.execute("INSERT INTO quotas (name, state) VALUES (?, ?)", (_ALL, _FORGOTTEN))

        with with_clear_errors(self._path, if_damaged=t(_IF_DAMAGED)):
            self._transactions.run(write)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
