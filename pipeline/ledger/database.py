"""`Database`: what `Ledger` and `RunLedger` need of an open ledger. `SqliteFile` is the one in a file."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Protocol, TypeVar

from pipeline.clock import Clock
from pipeline.errors import LedgerError
from pipeline.language import t
from pipeline.ledger.store.database import (
    BUSY_SECONDS,
    Connect,
    empty_ledger,
    open_for_reading,
    open_ledger,
    wal_path,
    with_clear_errors,
)
from pipeline.ledger.store.lease import LEASE_SECONDS, HeldLease, Lease
from pipeline.ledger.store.loss_detection.lost_file import LostFileCheck, Place
from pipeline.ledger.store.loss_detection.marks import Marks
from pipeline.ledger.store.loss_detection.traces import has_sent
from pipeline.ledger.store.port import Connection, Quotas, Server, Transactions
from pipeline.ledger.store.quotas import QuotaStore, quota_path
from pipeline.ledger.store.space import LogSize, Space, give_back
from pipeline.ledger.store.transactions import FileTransactions, WriteLock
from pipeline.model import Wait

T = TypeVar("T")


class Database(Protocol):
    """
    An open ledger: a file, or a database on a server.

    - `name` is shown in messages; `scratch` is a local folder for spill files.
    - `marks` are files outside that say how far the ledger has come.
    - `reader` serves queries that take long; others use `read`.
    - `on_look` is called about once a second while a transaction waits.
    """

    on_look: Callable[[], None] | None

    @property
    def has_senders(self) -> bool:
        """Whether several processes can send for a run."""
        ...

    @property
    def name(self) -> str:
        """The name for messages."""
        ...

    @property
    def scratch(self) -> Path:
        """A local folder for spill files."""
        ...

    @property
    def marks(self) -> Marks:
        """Files outside that say how far the ledger has come."""
        ...

    @property
    def writer(self) -> Connection:
        """The connection of `transactions`."""
        ...

    @property
    def reader(self) -> Connection:
        """The connection for queries that take long."""
        ...

    def clear_errors(self) -> AbstractContextManager[None]:
        """Raise LedgerError, with the cause and the next step, for each error of the database inside."""
        ...

    def read(self, query: Callable[[Connection], T], /) -> T:
        """Return the result of a query. One thread at a time."""
        ...

    def transactions(self, lease: HeldLease | None = None, account_no: int = 0) -> Transactions:
        """Return the transactions of a run, which need its lease; without one, those that concern the whole ledger."""
        ...

    def write_beside_others(self, write: Callable[[Connection], T], /) -> T:
        """
        Run `write` in a transaction that locks nothing but the lines that it writes; return its result.

        It is not run again if a server goes away: then nothing is known of it.
        """
        ...

    def now(self, connection: Connection) -> datetime:
        """Return the time by which leases end, in UTC: that of the server, if there is one."""
        ...

    def check_kept(self, run_id: str) -> None:
        """Raise LedgerError if the ledger is no longer in its place."""
        ...

    def check_space(self, run_id: str) -> None:
        """Raise LedgerError if the ledger would soon fill the disk."""
        ...

    def waiting(self) -> list[Wait]:
        """Return what blocks writing now, and readers that let a log grow."""
        ...

    def quotas(self) -> Quotas:
        """Return the store of this ledger's quotas. It is closed with the ledger."""
        ...

    def forget_quotas(self) -> None:
        """Make every quota begin cautiously: its state may be as old as the ledger."""
        ...

    def give_back(self, pause: Callable[[], None], *, is_held: bool) -> Space:
        """Return free space to the disk, with pauses for others; `is_held`: a run is on."""
        ...

    def close(self) -> None:
        """Close all connections, and write the last marks."""
        ...


class ReadingConnection(Connection, Protocol):
    """A connection of its own to a ledger that is only read."""

    def close(self) -> None:
        """Close it."""
        ...


class SqliteFile:
    """
    The ledger in a file; see `Database`.

    `only_reads`: nothing is written. `busy_seconds` is the longest wait for the write lock.
    """

    has_senders = False

    def __init__(
        self,
        path: Path,
        clock: Clock,
        marks: Marks,
        connect: Connect,
        *,
        only_reads: bool = False,
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        self.name, self.scratch, self.marks = str(path), path.parent, marks
        self._path, self._clock, self._connect = path, clock, connect
        self._lock, self._reading = WriteLock(clock, busy_seconds=busy_seconds), threading.Lock()
        with self.clear_errors():
            self.writer = open_for_reading(path) if only_reads else open_ledger(path, connect)
            # The log exists since `open_ledger` read the version. SQLite keeps it as long as the file is open.
            places = [] if only_reads else [Place.of(file) for file in (path, wal_path(path)) if file.exists()]
            self.reader = self.writer if only_reads else connect(path)
            if not only_reads:
                self._lock.prepare(self.writer)
                # What the file itself says is compared later. That of a new ledger says nothing before.
                self.writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        self._lost_file = LostFileCheck(path, places, self.reader, self._reading)
        self._log = LogSize(path, clock, connect)
        self._quotas: QuotaStore | None = None

    @property
    def on_look(self) -> Callable[[], None] | None:
        """What is called while a transaction waits for the write lock."""
        return self._lock.on_look

    @on_look.setter
    def on_look(self, call: Callable[[], None] | None) -> None:
        self._lock.on_look = call

    def clear_errors(self) -> AbstractContextManager[None]:
        """Raise LedgerError, with the cause and the next step, for each error of SQLite inside."""
        return with_clear_errors(self._path)

    def read(self, query: Callable[[Connection], T], /) -> T:
        """Return the result of a query."""
        with self._reading, self.clear_errors():
            return query(self.reader)

    def transactions(self, lease: HeldLease | None = None, account_no: int = 0) -> Transactions:  # noqa: ARG002
        """Return transactions; the file has one writer, so the account does not matter."""
        if not isinstance(lease, Lease):
            return FileTransactions(self.writer, begin=self._lock.begin)
        return FileTransactions(self.writer, lease.check, begin=self._lock.begin)

    def write_beside_others(self, write: Callable[[Connection], T], /) -> T:
        """Run `write` in a transaction. The file has one writer."""
        return self.transactions().run(write)

    def now(self, connection: Connection) -> datetime:  # noqa: ARG002
        """Return the time of this machine."""
        return self._clock.now()

    def check_kept(self, run_id: str) -> None:
        """Raise LedgerError if the file was moved or overwritten, after saving a copy if it can be saved."""
        self._lost_file.check(run_id)

    def check_space(self, run_id: str) -> None:
        """Raise LedgerError if the log would soon fill the disk."""
        self._log.check(run_id)

    def waiting(self) -> list[Wait]:
        """Return the wait for the write lock, and a reader that lets the log grow."""
        return [*self._lock.waiting(), *self._log.waiting()]

    def quotas(self) -> QuotaStore:
        """Return the store in the file beside the ledger."""
        if self._quotas is None:
            path = quota_path(self._path)
            is_lost = not path.exists() and self.read(has_sent)
            self._quotas = QuotaStore(path, self._connect)
            if is_lost:
                self._quotas.forget()
        return self._quotas

    def forget_quotas(self) -> None:
        """Make every quota begin cautiously. A missing file is left missing: it still has to be seen that it was."""
        if quota_path(self._path).exists():
            self.quotas().forget()

    def give_back(self, pause: Callable[[], None], *, is_held: bool) -> Space:
        """Return free pages of the file to the disk."""
        with self.clear_errors():
            return give_back(self.writer, self._path, pause, is_held=is_held)

    def close(self) -> None:
        """Close the connections, and write the last marks."""
        if self._quotas is not None:
            self._quotas.close()
        self.reader.close()
        self.writer.close()
        self.marks.close()


def open_database(
    place: Path | Server,
    clock: Clock,
    marks: Marks,
    connect: Connect,
    *,
    only_reads: bool = False,
    busy_seconds: float = BUSY_SECONDS,
    lease_seconds: float = LEASE_SECONDS,
) -> Database:
    """Open the ledger in a file or on a server. Raises LedgerError if it can't be used."""
    if isinstance(place, Path):
        return SqliteFile(place, clock, marks, connect, only_reads=only_reads, busy_seconds=busy_seconds)
    opened: Database = postgresql_for(place).PostgresDatabase(place, clock, marks, lease_seconds=lease_seconds)
    return opened


def open_to_read(place: Path | Server, clock: Clock) -> ReadingConnection:
    """
    Open a ledger that is only read; where there is none, return an empty one in memory.

    Raises LedgerError if it can't be used, or if an older version of this program wrote it.
    """
    if isinstance(place, Path):
        return open_for_reading(place)
    found: ReadingConnection | None = postgresql_for(place).reading_connection(place, clock)
    return empty_ledger() if found is None else found


def clear_errors_of(place: Path | Server) -> AbstractContextManager[None]:
    """Raise LedgerError, with the cause and the next step, for each error of a ledger inside."""
    if isinstance(place, Path):
        return with_clear_errors(place)
    clear: AbstractContextManager[None] = postgresql_for(place).with_clear_errors(str(place))
    return clear


def postgresql_for(server: Server) -> ModuleType:
    """Return the module for ledgers on a server. Raises LedgerError if its extra is not installed."""
    try:
        from pipeline.ledger.store.postgresql import database  # noqa: PLC0415 - psycopg is an extra
    except ImportError as exc:
        raise LedgerError(
            t(
                "ledger {name}: a ledger on a server needs psycopg; install it with "
                "`pip install 'loyalty-backfill[postgres]'`",
                name=server,
            )
        ) from exc
    return database
