"""Quotas on the server: one time for all hosts, whatever their own clocks say."""

from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
import pytest

from pipeline.clock import SystemClock
from pipeline.errors import LedgerError
from pipeline.ledger.store.marks import Marks
from pipeline.ledger.store.port import Server
from pipeline.ledger.store.postgresql.connection import PostgresConnection
from pipeline.ledger.store.postgresql.database import PostgresDatabase
from pipeline.ledger.store.postgresql.quotas import ServerQuotaStore
from pipeline.limits.permits import Permits
from pipeline.model import RoundTrip

RATE = 5.0


@dataclass
class HostClock(SystemClock):
    """The clock of a host that started at another time; a sleep only moves it."""

    ahead: float

    def __post_init__(self) -> None:
        super().__init__()

    def steady(self) -> float:
        return super().steady() + self.ahead

    def sleep(self, seconds: float) -> None:
        raise Waits(seconds)

    def now(self) -> datetime:
        return datetime.now(UTC)


class Waits(Exception):
    """The permit is not given yet."""


@pytest.fixture
def ready(server: Server) -> Server:
    """An empty ledger."""
    PostgresDatabase(server, SystemClock(), Marks([])).close()
    return server


def store(server: Server, clock: SystemClock) -> ServerQuotaStore:
    return ServerQuotaStore(PostgresConnection(server.url, clock), str(server), clock)


def taken_at_once(permits: list[Permits]) -> int:
    """Return how many permits hosts get in turn, until none gets one within a moment."""
    count = 0
    for _ in range(60):
        for each in permits:
            try:
                each.take(lambda: None)
            except Waits:
                continue
            count += 1
    return count


@pytest.mark.parametrize("ahead", [0.0, 600.0, -600.0, 1e6])
def test_hosts_share_a_quota_whatever_their_clocks_say(ready: Server, ahead: float) -> None:
    """Two hosts get no more permits than one would: what one took counts for the other at its own time."""
    hosts = [HostClock(0.0), HostClock(ahead)]
    stores = [store(ready, clock) for clock in hosts]
    permits = [Permits(each, "points", RATE, clock, "boot") for each, clock in zip(stores, hosts, strict=True)]
    began = hosts[0].steady()
    count = taken_at_once(permits)
    took = hosts[0].steady() - began
    for each in stores:
        each.close()

    # No answer has come, so each permit counts for a second and longer.
    assert 1 <= count <= RATE * (1 + took)


def test_the_other_host_sees_when_permits_were_given(ready: Server) -> None:
    """The state is in the server's time: for both hosts the quota is closed until the same moment."""
    clocks = [HostClock(0.0), HostClock(600.0)]
    stores = [store(ready, clock) for clock in clocks]
    permits = [Permits(each, "points", RATE, clock, "boot") for each, clock in zip(stores, clocks, strict=True)]
    first = permits[0].take(lambda: None)
    permits[0].give_back(first, RoundTrip())
    permits[0].slow_down(30.0)
    with pytest.raises(Waits) as waits:
        permits[1].take(lambda: None)
    for each in stores:
        each.close()

    assert 28.0 < waits.value.args[0] <= 30.1


def test_a_jump_of_the_servers_clock_makes_the_quota_cautious(ready: Server) -> None:
    """What is in the state then means nothing: the step gets a state of no known format."""
    clock = HostClock(0.0)
    one = store(ready, clock)
    one.change("points", lambda _: (b"known", None))
    clock.ahead = -3.0
    found = [one.change("points", lambda state: (b"next", state)) for _ in range(2)]
    one.close()

    assert found == [b"[0, null]", b"next"]


def test_a_restart_of_the_server_is_another_epoch(ready: Server) -> None:
    """The epoch is the start of the server, the same for all hosts."""
    one, other = store(ready, SystemClock()), store(ready, HostClock(9.0))
    epochs = [one.change("points", lambda _: (b"x", one.epoch)), other.change("points", lambda _: (b"x", other.epoch))]
    one.close()
    other.close()

    assert epochs[0] == epochs[1]
    assert epochs[0].startswith("server 1")


def test_a_quota_that_is_new_after_a_resync_begins_cautiously(ready: Server) -> None:
    """A ledger that was lost or copied knows no quotas: of each the step gets a state of no known format."""
    one = store(ready, SystemClock())
    new = one.change("known before", lambda state: (b"x", state))
    one.forget()
    found = [one.change(name, lambda state: (b"x", state)) for name in ("known before", "points")]
    one.close()

    assert (new, found) == (None, [b"[0, null]"] * 2)


def test_a_quota_that_is_gone_gives_no_permit(ready: Server) -> None:
    """The database was replaced while a run was on: another run would use another quota."""
    one = store(ready, SystemClock())
    one.change("points", lambda _: (b"x", None))
    with psycopg.connect(ready.url, autocommit=True) as connection:
        connection.execute("DELETE FROM quotas")
    with pytest.raises(LedgerError, match="deleted, moved or replaced while a run was on; no further request is sent"):
        one.change("points", lambda state: (b"x", state))
    one.close()
