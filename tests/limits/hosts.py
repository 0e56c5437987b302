"""Hosts in virtual time, and a server that keeps their quotas: clocks, and travel to the server, differ."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.ledger.store.postgresql.connection import PostgresConnection
from pipeline.ledger.store.postgresql.quotas import ServerQuotaStore
from pipeline.limits.permits import Permits
from tests.limits.traffic import EventClock, Waits, process

# The server's clock counts from 1970.
_EPOCH_SECONDS = 1_700_000_000.0


@dataclass(frozen=True, slots=True)
class Host:
    """A host: `ahead` is how far its steady clock is ahead; `there` and `back`: travel to the server. Seconds."""

    ahead: float = 0.0
    there: float = 0.0
    back: float = 0.0


class HostClock(EventClock):
    """The clock of a host; events move the clock of all hosts."""

    def __init__(self, events: EventClock, ahead: float) -> None:
        super().__init__()
        self._events = events
        self._ahead = ahead

    def steady(self) -> float:
        return self._events.at + self._ahead

    def sleep(self, seconds: float) -> None:
        # The two clocks round differently, so a shorter wait might not move the other one.
        raise Waits(max(1e-6, seconds))


class Lines:
    """The result of a statement: one line."""

    def __init__(self, *line: object) -> None:
        self._line = line

    def fetchone(self) -> tuple[object, ...]:
        return self._line


@dataclass
class QuotaServer:
    """A server with the table of quotas, and an empty ledger."""

    clock: EventClock
    states: dict[object, object] = field(default_factory=dict)

    def run(self, statements: str, parameters: Sequence[object]) -> Lines:
        """Run statements of the quota store; return the line of the last one."""
        if statements.startswith("INSERT"):
            self.states.setdefault(*parameters)
        elif statements.startswith("UPDATE"):
            state, name = parameters
            self.states[name] = state
        elif parameters:
            return Lines(self.states[parameters[0]], _EPOCH_SECONDS + self.clock.at, _EPOCH_SECONDS, 1)
        return Lines(False)


class HostConnection(PostgresConnection):
    """A host's connection to the server: each round trip takes its time."""

    def __init__(self, server: QuotaServer, host: Host) -> None:
        self._server = server
        self._host = host

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        self._server.clock.at += self._host.there
        lines = self._server.run(sql, parameters)
        self._server.clock.at += self._host.back
        return lines

    def begin(self, statements: str, parameters: Any = ()) -> Any:
        return self.execute(statements, parameters)

    def commit(self, statements: str, parameters: Any = ()) -> None:
        self.execute(statements, parameters)


def process_on(host: Host, server: QuotaServer, limit: float) -> Permits:
    """Return the permits of a new process on a host."""
    clock = HostClock(server.clock, host.ahead)
    return process(ServerQuotaStore(HostConnection(server, host), "the ledger", clock), clock, limit)
