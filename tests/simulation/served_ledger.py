"""The ledger of a history on a PostgreSQL server, for processes that may die between any two statements."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from pipeline.clock import SystemClock
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.lease import this_process
from pipeline.ledger.store.port import Server
from pipeline.ledger.store.postgresql.connection import connected
from pipeline.ledger.store.postgresql.database import PostgresDatabase
from pipeline.ledger.store.postgresql.schema import VERSION
from tests.postgresql.server import PostgresServer, program
from tests.simulation.world import Process

_CLOCK = "clock_timestamp()"
_ANOTHER_LEDGER = "UPDATE generations SET name = md5(gen_random_uuid()::text)"


class _Connection:
    """
    A connection of one process. The server has the time of the simulated world, and only hosts set their clocks.

    A session that ends between two transactions serves another process: to begin one takes long.
    """

    def __init__(self, process: Process, url: str, sessions: list[psycopg.Connection[Any]]) -> None:
        process.check()
        self._process = process
        self._sessions = sessions
        self._session = sessions.pop() if sessions else connected(url)
        process.closes.append(self._end)

    def execute(self, query: Any, parameters: Any = None) -> psycopg.Cursor[Any]:
        """Run a statement; the process may die before and after a commit."""
        self._process.check()
        if isinstance(query, str) and _CLOCK in query:
            query = query.replace(_CLOCK, f"to_timestamp({self._process.world.server_time().timestamp():.6f})")
        if not (isinstance(query, str) and query.endswith("COMMIT")):
            return self._session.execute(query, parameters)
        self._process.effect()
        cursor = self._session.execute(query, parameters)
        self._process.effect()
        return cursor

    def cursor(self, **options: Any) -> Any:
        """Return a cursor."""
        self._process.check()
        return self._session.cursor(**options)

    @property
    def closed(self) -> bool:
        """Whether the server has ended it, or the process."""
        return self._process.is_dead or self._session.closed

    def close(self) -> None:
        """Do nothing: it ends with the process."""

    def _end(self) -> None:
        # A transaction that is not committed is gone.
        if not self._session.closed and self._session.info.transaction_status is TransactionStatus.IDLE:
            self._sessions.append(self._session)
        else:
            self._session.close()


class ServedLedgers:
    """
    Makes the ledgers of histories on one server: each is a database, copied from an empty ledger.

    It can be sent to other processes.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server = replace(server, process=None)
        self._empty = server.database()
        Ledger(Server(self._empty, server.folder), SystemClock(), this_process()).close()

    @contextmanager
    def __call__(self, folder: Path) -> Iterator["ServedLedger"]:
        """Make the ledger of a history."""
        url = self._server.database(template=self._empty.rpartition("/")[2])
        ledger = ServedLedger(self._server, url, self._empty, folder)
        try:
            yield ledger
        finally:
            ledger.close()
            self._server.drop(url)


class ServedLedger:
    """
    The ledger of one history; see `StateFolder`.

    A copy is a dump. Whoever restores or loses the ledger ends all connections, and puts another database in its place.
    """

    def __init__(self, server: PostgresServer, url: str, empty: str, folder: Path) -> None:
        self._postgres, self._url, self._empty = server, url, empty
        self._dump = folder / "dump.sql"
        self.place = Server(url, folder)
        self._sessions: list[psycopg.Connection[Any]] = []
        self._is_new()

    def _is_new(self) -> None:
        self._versions = 0
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(_ANOTHER_LEDGER)

    def opens(self, process: Process) -> dict[str, Any]:
        """Return the parameters of `Ledger` for a process."""

        def connect(url: str) -> Any:
            return _Connection(process, url, self._sessions)

        def open_database(place: Server, clock: Any, marks: Any, *_: Any, **__: Any) -> PostgresDatabase:
            self._migrate(process)
            return PostgresDatabase(place, clock, marks, connect=connect)

        return {"open_database": open_database}

    def _migrate(self, process: Process) -> None:
        """Have the effects of a file that is migrated: then a process dies at the same place with either ledger."""
        while True:
            process.effect()
            found, self._versions = self._versions, min(VERSION, self._versions + 1)
            process.effect()
            if found == VERSION:
                return

    def back_up(self) -> bool:
        """Dump the database, as docs/how-to/postgresql.md says; return whether there is a ledger."""
        subprocess.run([program("pg_dump"), self._url, "-f", str(self._dump)], check=True)
        return self._versions > 0

    def restore(self, what: str) -> bool:
        """Put a database in its place that is made from the dump."""
        self._replace("template0")
        subprocess.run(
            [program("psql"), "-q", "-v", "ON_ERROR_STOP=1", "-f", str(self._dump), self._url],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return True

    def lose(self, what: str) -> bool:
        """Put an empty ledger in its place. Quotas are a table of the ledger, and can't be lost alone."""
        if what == "quota":
            return False
        self._replace(self._empty.rpartition("/")[2])
        self._is_new()
        return True

    def close(self) -> None:
        """End the sessions that no process uses."""
        while self._sessions:
            self._sessions.pop().close()

    def _replace(self, template: str) -> None:
        self.close()
        self._postgres.drop(self._url)
        self._postgres.make(self._url.rpartition("/")[2], template)
