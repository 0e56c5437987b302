"""The steps of a command that outlive it, made visible to whoever wants to end it between two of them."""

import sqlite3
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from pipeline.assemble import ledgers, system
from pipeline.assemble.transports import transport_of
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store import database
from pipeline.model import Lost, Reply, SignedRequest
from pipeline.settings import Account, Job
from pipeline.write.ports import Transport, at_once


class Effect(StrEnum):
    """A moment just before or after something that stays."""

    BEFORE_BEGIN = "before BEGIN"
    BEFORE_COMMIT = "before COMMIT"
    AFTER_COMMIT = "after COMMIT"
    BEFORE_SEND = "before the request is sent"
    AFTER_SEND = "after the answer is here"


Tell = Callable[[Effect], None]
Say = Callable[[str], None]
SetUp = Callable[[sqlite3.Connection], object]


def watch(tell: Tell, set_up: SetUp = lambda _: None) -> None:
    """
    Have the command of this process tell each effect on the ledger and the platform, in the thread that has it.

    `set_up` is given each connection to the ledger.
    """

    def telling(account: Account, job: Job) -> Transport:
        return _Telling(transport_of(account, job), tell)

    _replace(system, transport_of, telling)

    def before(sql: str) -> None:
        if sql in ("BEGIN IMMEDIATE", "COMMIT"):
            tell(Effect.BEFORE_COMMIT if sql == "COMMIT" else Effect.BEFORE_BEGIN)

    def after(sql: str) -> None:
        if sql == "COMMIT":
            tell(Effect.AFTER_COMMIT)

    stand_in_for_the_disk(before, after, set_up)


class _Telling:
    """A transport whose sending is told."""

    def __init__(self, transport: Transport, tell: Tell) -> None:
        self._transport = transport
        self._tell = tell

    def send(
        self, request: SignedRequest, depart: Callable[[], None] = at_once, *, fresh: bool = False
    ) -> Reply | Lost:
        self._tell(Effect.BEFORE_SEND)
        answer = self._transport.send(request, depart, fresh=fresh)
        self._tell(Effect.AFTER_SEND)
        return answer


def stand_in_for_the_disk(
    before: Say, after: Say = lambda _: None, set_up: SetUp = lambda _: None, *, quotas: bool = False
) -> None:
    """Have `before` and `after` called around each statement on the ledger, and on the quotas where that is asked."""

    def connect(path: Path, *, durable: bool = True) -> sqlite3.Connection:
        connection = database.connect(path, durable=durable)
        # The quotas are what need not be durable.
        if not durable and not quotas:
            return connection
        set_up(connection)
        return cast("sqlite3.Connection", _Watched(connection, before, after))

    _replace(ledgers, Ledger, partial(Ledger, connect=connect))


def _replace(module: ModuleType, used: Callable[..., object], stands_in: Callable[..., object]) -> None:
    """Have a module use something else in the place of a class or function, until this process ends."""
    assert vars(module)[used.__name__] is used, f"{module.__name__} does not use {used.__name__}"
    vars(module)[used.__name__] = stands_in


class _Watched:
    """A connection that tells of its statements, and otherwise is the one it stands for."""

    def __init__(self, connection: sqlite3.Connection, before: Say, after: Say) -> None:
        self._connection = connection
        self._before = before
        self._after = after

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self._before(sql)
        cursor = self._connection.execute(sql, parameters)
        self._after(sql)
        return cursor

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        self._before(sql)
        cursor = self._connection.executemany(sql, parameters)
        self._after(sql)
        return cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
