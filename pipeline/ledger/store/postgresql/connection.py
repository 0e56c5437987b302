"""A connection to the server that runs the ledger's statements, and connects again when the server restarts."""

import re
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.sql import Literal
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumper

from pipeline.clock import Clock
from pipeline.ledger.store.port import Sql

# How long a server may be away: a restart, or a failover to a standby.
PATIENCE_SECONDS = 60.0
# Pause between attempts to connect.
_PAUSE_SECONDS = 0.2
# Lines that a stream fetches at once.
_STREAM_LINES = 5_000
# States in which the server ends a connection: it shuts down or crashed, or a transaction was idle for too long.
_ENDED = ("57P01", "57P02", "57P03", "25P03", "25P04")
# Statements whose translation is kept.
_STATEMENTS = 500
# Settings of each connection: a lost server is noticed within a minute.
_SETTINGS: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
    "application_name": "backfill",
    "client_encoding": "utf8",
}


class ConnectionLost(psycopg.OperationalError):
    """The server went away during a transaction."""


class _BoolDumper(Dumper):
    """Writes booleans as numbers, as the columns have them."""

    def dump(self, obj: bool) -> Buffer:
        return b"1" if obj else b"0"


def connected(url: str) -> psycopg.Connection[Any]:
    """
    Connect in autocommit mode. Raises psycopg.Error.

    No statement is prepared: its plan would be that of the tables as they were, and PgBouncer would not have it.
    """
    connection: psycopg.Connection[Any] = psycopg.connect(url, autocommit=True, prepare_threshold=None, **_SETTINGS)
    # Small numbers would be of smaller types, in which a shift overflows.
    connection.adapters.register_dumper(int, Int8Dumper)
    connection.adapters.register_dumper(bool, _BoolDumper)
    connection.adapters.register_dumper(str, StrDumper)
    connection.adapters.register_dumper(StrEnum, StrDumper)
    return connection


def translated(sql: str) -> str:
    """
    Return a statement of the ledger as PostgreSQL reads it.

    Parameters are written otherwise. `CROSS JOIN ... ON` is an order for SQLite's planner alone.
    """
    return _translated(sql.postgresql if isinstance(sql, Sql) else sql)


@lru_cache(_STATEMENTS)
def _translated(text: str) -> str:
    text = text.replace("%", "%%")
    text = re.sub(r"(?<![:\w]):([a-z_]+)", r"%(\1)s", text.replace("?", "%s"))
    text = re.sub(r"CROSS JOIN (\w+(?: AS \w+)?)\s+ON\b", r"JOIN \1 ON", text)
    text = re.sub(r"CAST\(([a-z.]*body) AS TEXT\)", r"convert_from(\1, 'UTF8')", text)
    return text.replace("char(", "chr(")


# Connects to a URL, as `connected` does.
ConnectServer = Callable[[str], psycopg.Connection[Any]]


class PostgresConnection:
    """
    The ledger's connection to a server; `Connection` says how it is used.

    Outside of a transaction it connects again if the server went away, for up to `patience` seconds, and runs the
    statement once more. Inside it raises ConnectionLost: the whole transaction has to be run again.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        patience: float = PATIENCE_SECONDS,
        connect: ConnectServer = connected,
    ) -> None:
        self._url = url
        self._clock = clock
        self._patience = patience
        self._connect = connect
        self._connection = connect(url)
        self.in_transaction = False
        # Since when the server is away, in steady seconds.
        self.away_since: float | None = None

    @property
    def patience(self) -> float:
        """How long the server may be away, in seconds."""
        return self._patience

    def execute(self, sql: str, parameters: Any = (), /) -> psycopg.Cursor[Any]:
        """Run one statement."""
        cursor = self._run(lambda connection: connection.execute(translated(sql), parameters))
        self._note(sql)
        return cursor

    def begin(self, statements: str, parameters: Any = ()) -> psycopg.Cursor[Any]:
        """Begin a transaction, and run statements in it, in one round trip. Returns the lines of the last one."""
        cursor = self._run(lambda connection: _run_all(connection, f"BEGIN; {statements}", parameters))
        self.in_transaction = True
        return cursor

    def commit(self, statements: str, parameters: Any = ()) -> None:
        """Run the last statements of a transaction, and commit it, in one round trip."""
        self._run(lambda connection: _run_all(connection, f"{statements}; COMMIT", parameters))
        self.in_transaction = False

    def script(self, statements: str) -> None:
        """Run statements of PostgreSQL's own, without parameters."""
        self._run(lambda connection: connection.execute(statements.encode()))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> psycopg.Cursor[Any]:
        """Run one statement for each of the parameters; or copy them, if the statement is a COPY."""
        text = translated(sql)
        return self._run(lambda connection: _copy(connection, text, parameters))

    def stream(self, sql: str, parameters: Any = ()) -> Iterator[Any]:
        """Yield the lines of a query, of which only some are in memory at a time."""
        owns = not self.in_transaction
        if owns:
            self.execute("BEGIN")
        try:
            with self._connection.cursor(name="stream") as cursor:
                cursor.itersize = _STREAM_LINES
                yield from cursor.execute(translated(sql), parameters)
        finally:
            if owns:
                self.rollback()

    def rollback(self) -> None:
        """End a transaction without a trace, if there is one. Never raises."""
        self.in_transaction = False
        if not self._connection.closed:
            try:
                self._connection.execute("ROLLBACK")
            except psycopg.Error:
                # The transaction ends with the connection.
                self._connection.close()

    def reconnect(self) -> None:
        """Connect again, for as long as the patience lasts; raise the last error then."""
        self.in_transaction = False
        self._connection.close()
        if self.away_since is None:
            self.away_since = self._clock.steady()
        while True:
            try:
                self._connection = self._connect(self._url)
            except psycopg.OperationalError:
                if self._clock.steady() - self.away_since >= self._patience:
                    raise
                self._clock.sleep(_PAUSE_SECONDS)
            else:
                self.away_since = None
                return

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _run(self, run: Callable[[psycopg.Connection[Any]], psycopg.Cursor[Any]]) -> psycopg.Cursor[Any]:
        while True:
            try:
                return run(self._connection)
            except psycopg.Error as exc:
                if not (self._connection.closed or exc.sqlstate in _ENDED):
                    raise
                if self.in_transaction:
                    raise ConnectionLost(str(exc)) from exc
                self.reconnect()

    def _note(self, sql: str) -> None:
        if sql == "BEGIN":
            self.in_transaction = True
        elif sql in ("COMMIT", "ROLLBACK"):
            self.in_transaction = False


def _run_all(connection: psycopg.Connection[Any], statements: str, parameters: Any) -> psycopg.Cursor[Any]:
    # The server takes several statements at once only without parameters, so these become part of the text.
    cursor = connection.execute(translated(statements) % tuple(Literal(each).as_string(None) for each in parameters))
    while cursor.nextset():
        pass
    return cursor


def _copy(connection: psycopg.Connection[Any], text: str, parameters: Iterable[Any]) -> psycopg.Cursor[Any]:
    cursor = connection.cursor()
    if text.startswith("COPY"):
        with cursor.copy(text.encode()) as copy:
            for line in parameters:
                copy.write_row(line)
    else:
        cursor.executemany(text.encode(), parameters)
    return cursor
