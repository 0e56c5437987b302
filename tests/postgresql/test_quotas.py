"""Quotas on the server: one time for all hosts, whatever their own clocks say."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from pipeline.clock import SystemClock
from pipeline.errors import LedgerError
from pipeline.ledger.store.loss_detection.marks import Marks
from pipeline.ledger.store.port import Server
from pipeline.ledger.store.postgresql.connection import PostgresConnection
from pipeline.ledger.store.postgresql.database import PostgresDatabase
from pipeline.ledger.store.postgresql.quotas import ServerQuotaStore
from pipeline.limits.permits import Permits
from pipeline.model import RoundTrip
from tests.limits.traffic import Waits, check_running, process
from tests.postgresql.server import PostgresServer

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
                each.take(check_running)
            except Waits:
                continue
            count += 1
    return count


@pytest.mark.parametrize("ahead", [0.0, 600.0, -600.0, 1e6])
def test_hosts_share_a_quota_whatever_their_clocks_say(ready: Server, ahead: float) -> None:
    """Two hosts get no more permits than one would: what one took counts for the other at its own time."""
    hosts = [HostClock(0.0), HostClock(ahead)]
    stores = [store(ready, clock) for clock in hosts]
    permits = [process(each, clock, RATE) for each, clock in zip(stores, hosts, strict=True)]
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
    permits = [process(each, clock, RATE) for each, clock in zip(stores, clocks, strict=True)]
    first = permits[0].take(check_running)
    permits[0].give_back(first, RoundTrip())
    permits[0].slow_down(30.0)
    with pytest.raises(Waits) as waits:
        permits[1].take(check_running)
    for each in stores:
        each.close()

    assert 28.0 < waits.value.seconds <= 30.1


def test_a_jump_of_the_servers_clock_makes_the_quota_cautious(ready: Server) -> None:
    """What is in the state then means nothing: the step gets a state of no known format."""
    clock = HostClock(0.0)
    one = store(ready, clock)
    one.change("points", lambda _: (b"known", None))
    clock.ahead = -3.0
    found = [one.change("points", lambda state: (b"next", state)) for _ in range(2)]
    one.close()

    assert found == [b"[0, null]", b"next"]


def test_all_hosts_have_one_epoch(ready: Server) -> None:
    """The epoch is the start of the server, and the table."""
    one, other = store(ready, SystemClock()), store(ready, HostClock(9.0))
    epochs = [
        one.change("points", lambda _: (b"x", one.epoch("boot"))),
        other.change("points", lambda _: (b"x", other.epoch("boot"))),
    ]
    one.close()
    other.close()

    assert epochs[0] == epochs[1]
    assert epochs[0].startswith("server 1")


def test_a_restored_table_begins_cautiously(ready: Server) -> None:
    """A dump may lack what was sent last. It has the quotas too, in a table that is made anew."""
    clock = HostClock(0.0)
    before = store(ready, clock)
    process(before, clock, RATE).take(check_running)
    before.close()
    with psycopg.connect(ready.url, autocommit=True) as connection:
        connection.execute("ALTER TABLE quotas RENAME TO dumped")
        connection.execute("CREATE UNLOGGED TABLE quotas (LIKE dumped INCLUDING ALL)")
        connection.execute("INSERT INTO quotas SELECT * FROM dumped")
    after = store(ready, clock)
    with pytest.raises(Waits) as waits:
        process(after, clock, RATE).take(check_running)
    after.close()

    assert 1.4 < waits.value.seconds < 1.6


@pytest.fixture
def used(ready: Server) -> Server:
    """A ledger that has sent."""
    with psycopg.connect(ready.url, autocommit=True) as connection:
        connection.execute("INSERT INTO generations (name, begun_at) VALUES ('resync', '')")
    return ready


def test_a_quota_that_a_used_ledger_does_not_know_begins_cautiously(used: Server) -> None:
    """After a resync, a copy, or a crash before a process began, the step gets a state of no known format."""
    one = store(used, SystemClock())
    found = [one.change("points", lambda state: (b"x", state)) for _ in range(2)]
    one.close()

    assert found == [b"[0, null]", b"x"]


def test_a_resync_of_an_empty_ledger_is_cautious_with_each_quota(ready: Server) -> None:
    """It forgets the quotas before its new generation is committed, and knows none of them."""
    one = store(ready, SystemClock())
    one.forget()
    found = one.change("points", lambda state: (b"x", state))
    one.close()

    assert found == b"[0, null]"


def test_a_crash_of_the_server_empties_the_quotas(doomed: PostgresServer, tmp_path: Path) -> None:
    """Its last commits may be lost, so a run that goes on begins cautiously, whatever was known before."""
    server = Server(doomed.database(), tmp_path)
    PostgresDatabase(server, SystemClock(), Marks([])).close()
    one = store(server, SystemClock())
    one.change("points", lambda _: (b"x", None))
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("INSERT INTO generations (name, begun_at) VALUES ('resync', '')")
    doomed.kill()
    doomed.start()
    found = one.change("points", lambda state: (b"x", state))
    one.close()

    assert found == b"[0, null]"


def test_a_quota_of_a_ledger_that_was_replaced_gives_no_permit(ready: Server) -> None:
    """An empty ledger is in its place: another run would use another quota."""
    one = store(ready, SystemClock())
    one.change("points", lambda _: (b"x", None))
    with psycopg.connect(ready.url, autocommit=True) as connection:
        connection.execute("DELETE FROM quotas")
    with pytest.raises(LedgerError, match="deleted, moved or replaced while a run was on; no further request is sent"):
        one.change("points", lambda state: (b"x", state))
    one.close()
