"""The effects of a command that outlive it: commits and requests. A test may end the process between any two."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, cast

from pipeline.assemble.parts.system import System
from pipeline.ledger.store import database
from pipeline.model import Lost, Reply, SignedRequest
from pipeline.settings import Account, Job
from pipeline.write.ports import Transport, at_once


class Effect(StrEnum):
    """A moment before or after an effect."""

    BEFORE_BEGIN = "before BEGIN"
    BEFORE_COMMIT = "before COMMIT"
    AFTER_COMMIT = "after COMMIT"
    BEFORE_SEND = "before the request is sent"
    AFTER_SEND = "after the answer is here"


OnEffect = Callable[[Effect], None]
OnStatement = Callable[[str], None]
SetUp = Callable[[sqlite3.Connection], object]


def observed(system: System, on_effect: OnEffect, set_up: SetUp = lambda _: None) -> System:
    """
    Return a system that calls `on_effect` for each effect on ledger and platform, in the thread that has it.

    `set_up` gets each connection to the ledger.
    """

    def transport_of(account: Account, job: Job) -> Transport:
        return _ObservedTransport(system.transport_of(account, job), on_effect)

    def before(sql: str) -> None:
        if sql in ("BEGIN IMMEDIATE", "COMMIT"):
            on_effect(Effect.BEFORE_COMMIT if sql == "COMMIT" else Effect.BEFORE_BEGIN)

    def after(sql: str) -> None:
        if sql == "COMMIT":
            on_effect(Effect.AFTER_COMMIT)

    return with_statements(replace(system, transport_of=transport_of), before, after, set_up)


class _ObservedTransport:
    """A transport whose requests are observed."""

    def __init__(self, transport: Transport, on_effect: OnEffect) -> None:
        self._transport = transport
        self._on_effect = on_effect

    def send(
        self, request: SignedRequest, depart: Callable[[], None] = at_once, *, fresh: bool = False
    ) -> Reply | Lost:
        self._on_effect(Effect.BEFORE_SEND)
        answer = self._transport.send(request, depart, fresh=fresh)
        self._on_effect(Effect.AFTER_SEND)
        return answer


def with_statements(
    system: System,
    before: OnStatement,
    after: OnStatement = lambda _: None,
    set_up: SetUp = lambda _: None,
    *,
    quotas: bool = False,
) -> System:
    """Return a system that calls `before` and `after` around each statement on the ledger, and on quotas if wanted."""

    def connect(path: Path, *, durable: bool = True) -> sqlite3.Connection:
        connection = database.connect(path, durable=durable)
        # Only the quotas are opened without `durable`.
        if not durable and not quotas:
            return connection
        set_up(connection)
        return cast("sqlite3.Connection", _ObservedConnection(connection, before, after))

    return replace(system, open_ledger=partial(system.open_ledger, connect=connect))


class _ObservedConnection:
    """A connection whose statements are observed."""

    def __init__(self, connection: sqlite3.Connection, before: OnStatement, after: OnStatement) -> None:
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
