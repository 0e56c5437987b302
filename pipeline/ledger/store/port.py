"""
The ledger's database as all rooms see it: SQLite and PostgreSQL speak through the same few methods.

Statements are written in what both databases read. `Sql` has a second text where they differ.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import orjson

T = TypeVar("T")

Parameters = Sequence[object] | Mapping[str, object]


class Damaged(Exception):
    """Data that was read is not the data that was written."""


class Sql(str):
    """A statement for SQLite, with the text for PostgreSQL beside it."""

    __slots__ = ("postgresql",)
    postgresql: str

    def __new__(cls, sqlite: str, *, postgresql: str) -> "Sql":
        """Make a statement of both texts."""
        made = super().__new__(cls, sqlite)
        made.postgresql = postgresql
        return made


def insert_many(table: str, columns: str) -> Sql:
    """Return the statement that writes many lines, for `executemany`. A server reads them as a stream (COPY)."""
    places = ", ".join("?" for _ in columns.split(","))
    return Sql(f"INSERT INTO {table} ({columns}) VALUES ({places})", postgresql=f"COPY {table} ({columns}) FROM STDIN")


class Cursor(Protocol):
    """The result of a statement. It can be iterated once."""

    @property
    def rowcount(self) -> int:
        """The number of lines that the statement changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next line; None after the last one."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all lines that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...

    def close(self) -> Any:
        """End it early."""
        ...


class Connection(Protocol):
    """
    A connection to the ledger, in autocommit mode unless a transaction was begun.

    Parameters are written as `?` or `:name`. A list of values is one parameter, made by `json_of` and read with
    `json_each`; an element that is a list itself is read with `value ->> 0`.
    """

    def execute(self, sql: str, parameters: Any = (), /) -> Cursor:
        """Run one statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Cursor:
        """Run one statement for each of the parameters."""
        ...


class Read(Protocol):
    """Runs a query on the ledger, for one thread at a time."""

    def __call__(self, query: Callable[[Connection], T], /) -> T:
        """Return the result of the query."""
        ...


def json_of(values: Iterable[object]) -> str:
    """Return values as JSON, for `json_each` in a statement."""
    return orjson.dumps(list(values)).decode()


def stream(connection: Connection, sql: str, parameters: Any = ()) -> Iterable[Any]:
    """Run a query whose result may be larger than memory; its lines are read as they are iterated."""
    run: Callable[..., Iterable[Any]] = getattr(connection, "stream", connection.execute)
    return run(sql, parameters)


@dataclass(frozen=True, slots=True)
class Server:
    """
    A ledger on a PostgreSQL server: its URL, and the local folder for spill files.

    It is shown without what a URL may hold besides user, host and database.
    """

    url: str = field(repr=False)
    scratch: Path

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        user, _, hosts = parts.netloc.rpartition("@")
        name = user.partition(":")[0]
        return f"{parts.scheme}://{name + '@' if name else ''}{hosts}{parts.path}"


class Quotas(Protocol):
    """The store of the quotas of all processes; see `pipeline.limits.permits.Store`."""

    def epoch(self, boot: str) -> str:
        """Return the name of this store and of its time. `boot` names this boot of the machine."""
        ...

    @property
    def offset(self) -> float:
        """What is added to this machine's steady time to get the store's time. Seconds."""
        ...

    @property
    def error(self) -> float:
        """How far the times of other processes may be off. Seconds."""
        ...

    def change(self, name: str, step: Callable[[bytes | None], tuple[bytes, T]]) -> T:
        """Replace the state of a quota: `step` gets it and returns the new state and a result, which is returned."""
        ...


class Transactions(Protocol):
    """Transactions that write, one at a time, for all threads."""

    def run(self, write: Callable[[Connection], T]) -> T:
        """Run `write` in a transaction; return its result once the commit is on disk. If it raises, nothing is kept."""
        ...
