"""Opens a ledger on a server: its version, its connections, and their rules."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, TypeVar

from pipeline.clock import Clock
from pipeline.errors import LedgerError
from pipeline.language import t
from pipeline.ledger.store.lease import LEASE_SECONDS, HeldLease
from pipeline.ledger.store.loss_detection.marks import Marks
from pipeline.ledger.store.port import Connection, Server
from pipeline.ledger.store.postgresql.connection import (
    PATIENCE_SECONDS,
    ConnectionLost,
    ConnectServer,
    PostgresConnection,
    connected,
)
from pipeline.ledger.store.postgresql.errors import with_clear_errors
from pipeline.ledger.store.postgresql.quotas import ServerQuotaStore
from pipeline.ledger.store.postgresql.schema import FIRST_VERSION, MIGRATIONS, VERSION, VERSION_TABLE
from pipeline.ledger.store.postgresql.transactions import (
    IDLE_SHARE,
    LEDGER_LOCK,
    LOCK_SECONDS,
    PostgresTransactions,
)
from pipeline.ledger.store.space import Space
from pipeline.model import Wait

T = TypeVar("T")

# A look into the catalog itself. `to_regclass` may answer from the session's memory that there is no such table.
_HAS_VERSION = "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'ledger_version' AND pg_table_is_visible(oid))"
_VERSION = "SELECT version FROM ledger_version"
_NOW = "SELECT clock_timestamp()"
_SIZE = "SELECT pg_database_size(current_database())"


class PostgresDatabase:
    """
    The ledger on a server; see `pipeline.ledger.database.Database`.

    It has a connection to write, one to read, and one for quotas. `patience` is how long the server may be away,
    `lease_seconds` the length of leases, `lock_seconds` how long a transaction waits for a lock. Tests pass a `connect`
    of their own.
    """

    has_senders = True

    def __init__(
        self,
        server: Server,
        clock: Clock,
        marks: Marks,
        *,
        patience: float = PATIENCE_SECONDS,
        lease_seconds: float = LEASE_SECONDS,
        lock_seconds: float = LOCK_SECONDS,
        connect: ConnectServer = connected,
    ) -> None:
        self.name, self.scratch, self.marks = str(server), server.scratch, marks
        self.on_look: Callable[[], None] | None = None
        self._server, self._clock, self._patience, self._connect = server, clock, patience, connect
        self._bounds: dict[str, Any] = {"idle_seconds": lease_seconds * IDLE_SHARE, "lock_seconds": lock_seconds}
        self._writing, self._reading = threading.Lock(), threading.Lock()
        with self.clear_errors():
            self.writer = self._connected()
            try:
                migrate(self.writer, self.name)
                self.reader = self._connected()
            except BaseException:
                self.writer.close()
                raise
        self._quotas: ServerQuotaStore | None = None

    def _connected(self) -> PostgresConnection:
        return PostgresConnection(self._server.url, self._clock, patience=self._patience, connect=self._connect)

    def clear_errors(self) -> AbstractContextManager[None]:
        """Raise LedgerError, with the cause and the next step, for each error of the server inside."""
        return with_clear_errors(self.name)

    def read(self, query: Callable[[Connection], T], /) -> T:
        """Return the result of a query. It is asked again if the server went away."""
        with self._reading, self.clear_errors():
            while True:
                try:
                    return query(self.reader)
                except ConnectionLost:
                    self.reader.reconnect()

    def transactions(self, lease: HeldLease | None = None, account_no: int = 0) -> PostgresTransactions:
        """Return the transactions of a run or a sender; without a lease, those that have the ledger alone."""
        return PostgresTransactions(self.writer, lease, account_no, turn=self._writing, **self._bounds)

    def write_beside_others(self, write: Callable[[Connection], T], /) -> T:
        """Run `write` in a transaction that does not wait for those of runs."""
        return PostgresTransactions(self.writer, is_alone=False, turn=self._writing, **self._bounds).run(write)

    def now(self, connection: Connection) -> datetime:
        """Return the time of the server."""
        found: datetime = connection.execute(_NOW).fetchone()[0]
        return found.astimezone(UTC)

    def check_kept(self, run_id: str) -> None:
        """Do nothing: a database can't be moved while it is in use."""

    def check_space(self, run_id: str) -> None:
        """Do nothing: the disk is the server's."""

    def waiting(self) -> list[Wait]:
        """Return since when the server is away, and how long it is waited for."""
        since = self.writer.away_since
        return [] if since is None else [Wait(t("the ledger's server does not answer"), since, since + self._patience)]

    def quotas(self) -> ServerQuotaStore:
        """Return the store of quotas on the server."""
        if self._quotas is None:
            with self.clear_errors():
                idle_seconds = self._bounds["idle_seconds"]
                self._quotas = ServerQuotaStore(self._connected(), self.name, self._clock, idle_seconds=idle_seconds)
        return self._quotas

    def forget_quotas(self) -> None:
        """Make every quota begin cautiously."""
        self.quotas().forget()

    def give_back(self, pause: Callable[[], None], *, is_held: bool) -> Space:  # noqa: ARG002
        """Return the size of the database. The server uses free space again by itself (autovacuum)."""
        (size,) = self.read(lambda c: c.execute(_SIZE).fetchone())
        return Space(size, size, 0)

    def close(self) -> None:
        """Close the connections, and write the last marks."""
        if self._quotas is not None:
            self._quotas.close()
        self.reader.close()
        self.writer.close()
        self.marks.close()


def reading_connection(server: Server, clock: Clock) -> PostgresConnection | None:
    """Return a connection to a ledger that is only read; None if the database has none. Raises as PostgresDatabase."""
    with with_clear_errors(str(server)):
        connection = PostgresConnection(server.url, clock)
        try:
            version = version_of(connection)
            _refuse_newer(version, str(server))
        except BaseException:
            connection.close()
            raise
    if version == 0:
        connection.close()
        return None
    if version < VERSION:
        connection.close()
        raise LedgerError(
            t("ledger {name}: it was written by an older backfill; `backfill runs` brings it up to date", name=server)
        )
    return connection


def version_of(connection: Connection) -> int:
    """Return the version of the ledger; 0 if the database has none."""
    if not connection.execute(_HAS_VERSION).fetchone()[0]:
        return 0
    line = connection.execute(_VERSION).fetchone()
    return 0 if line is None else int(line[0])


def migrate(connection: PostgresConnection, name: str) -> None:
    """Create the tables, or bring them to this version. Raises LedgerError if they are of a newer version."""
    version = version_of(connection)
    _refuse_newer(version, name)
    if version == VERSION:
        return
    connection.begin(f"SELECT pg_advisory_xact_lock({LEDGER_LOCK})")
    try:
        # Another process may have migrated it meanwhile.
        version = version_of(connection)
        if version < VERSION:
            for step in MIGRATIONS[max(0, version - FIRST_VERSION + 1) :]:
                connection.script(step)
            connection.script(
                f"{VERSION_TABLE}; DELETE FROM ledger_version; INSERT INTO ledger_version VALUES ({VERSION})"
            )
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _refuse_newer(version: int, name: str) -> None:
    if version > VERSION:
        raise LedgerError(
            t(
                "ledger {name}: it was written by a newer backfill (ledger version {version}, this program knows "
                "{known}); install that version or newer",
                name=name,
                version=version,
                known=VERSION,
            )
        )
