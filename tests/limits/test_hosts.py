"""Hosts that share a quota through a server: their clocks differ, and their ways to the server."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ledger.store.postgresql.quotas import ServerQuotaStore
from tests.limits.hosts import Host, HostClock, HostConnection, QuotaServer, process_on
from tests.limits.traffic import EventClock, Network, Traffic, Waits, check_running, most_within

# Answers after 20 to 120 ms.
NEAR = Network(0.0002, 0.0002, jitter=0.001, work=0.12, least_work=0.02)
# 10 minutes apart, 2 ms to the server and back.
HOSTS = [Host(300.0, 0.001, 0.001), Host(-300.0, 0.001, 0.001), Host(0.0, 0.001, 0.001)]

hosts = st.builds(
    Host,
    ahead=st.sampled_from([0.0, 600.0, -600.0]),
    there=st.sampled_from([0.0005, 0.005, 0.05]),
    back=st.sampled_from([0.0005, 0.005, 0.05]),
)


def sent(names: list[Host], network: Network, limit: float, seconds: float, seed: int = 1) -> list[float]:
    """Return when the platform counted requests of these hosts."""
    return traffic_of(names, network, limit, seconds, seed).counted


def traffic_of(names: list[Host], network: Network, limit: float, seconds: float, seed: int = 1) -> Traffic:
    """Return the traffic of these hosts, all of which have rows for the whole time."""
    clock = EventClock()
    server, traffic = QuotaServer(clock), Traffic(clock, network, Random(seed))
    workers = max(8, int(limit * network.work * 1.25))
    for host in names:
        traffic.start(process_on(host, server, limit), workers, host.ahead)
    traffic.run(seconds)
    return traffic


@pytest.mark.parametrize("count", [pytest.param(2, id="two-hosts"), pytest.param(3, id="three-hosts")])
@pytest.mark.parametrize(("limit", "seconds", "share"), [(5.0, 120, 0.97), (200.0, 10, 0.97)])
def test_hosts_with_clocks_10_minutes_apart_use_the_quota(
    count: int, limit: float, seconds: float, share: float
) -> None:
    """Together they send nearly all that is allowed, and never more than that in one second."""
    counted = sent(HOSTS[:count], NEAR, limit, seconds)

    assert most_within(counted, 1.0) <= limit
    assert len(counted) >= share * seconds * limit


def test_a_server_10_ms_away_costs_little() -> None:
    """A permit takes two round trips to the server, and the time between its two readings of the clock is lost."""
    counted = sent([Host(300.0, 0.005, 0.005), Host(-300.0, 0.005, 0.005)], NEAR, 5.0, 120)

    assert most_within(counted, 1.0) <= 5
    assert len(counted) >= 0.95 * 120 * 5


@pytest.mark.parametrize(
    ("limit", "round_trips_ms"),
    [
        pytest.param(5.0, [1, 3], id="one-is-farther"),
        pytest.param(5.0, [1, 20], id="one-is-far"),
        pytest.param(5.0, [1, 1, 5], id="one-of-three-is-farther"),
        pytest.param(5.0, [1] * 12, id="more-than-the-limit"),
        pytest.param(20.0, [1, 3], id="20-a-second"),
        pytest.param(200.0, [1, 3], id="200-a-second"),
    ],
)
@pytest.mark.parametrize(
    ("network", "share"),
    [
        pytest.param(NEAR, 0.94, id="near"),
        # Alone, one host uses 52 to 74 %.
        pytest.param(replace(NEAR, least_work=0.6, work=1.4), 0.68, id="slow-platform"),
        pytest.param(replace(NEAR, lost=0.2), 0.5, id="lossy"),
    ],
)
def test_hosts_get_equal_shares(limit: float, round_trips_ms: list[float], network: Network, share: float) -> None:
    """Also where one is farther from the server, which then answers it later; and the quota is used as by one."""
    names = [Host(0.0, ms / 2000, ms / 2000) for ms in round_trips_ms]
    traffic = traffic_of(names, network, limit, 300 / limit + 10)

    even = len(traffic.counted) / len(names)
    assert len(traffic.sent_by) == len(names)
    assert [count / even for count in traffic.sent_by.values()] == pytest.approx([1.0] * len(names), abs=0.25)
    assert len(traffic.counted) >= share * (300 + 10 * limit)


@settings(deadline=None, max_examples=20)
@given(
    names=st.lists(hosts, min_size=2, max_size=3),
    limit=st.sampled_from([1.0, 5.0, 20.0]),
    lost=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 2**16),
)
def test_hosts_never_exceed_the_limit(names: list[Host], limit: float, lost: float, seed: int) -> None:
    """Whatever their clocks and their ways to the server are."""
    network = Network(0.001, 0.001, work=0.1, server_lag=0.012, lost=lost)

    assert most_within(sent(names, network, limit, 4.0, seed), 1.0) <= limit


def between(one: Host, other: Host, asks_after: float) -> float | None:
    """
    Return the seconds between the permits of two hosts, where a quota has one a second and no answer comes.

    The other host asks once, some seconds after the first permit. None if it has to wait.
    """
    clock = EventClock()
    server = QuotaServer(clock)
    first = process_on(one, server, 1.0).take(check_running).given_at - one.ahead
    clock.at = first + asks_after
    try:
        return process_on(other, server, 1.0).take(check_running).given_at - other.ahead - first
    except Waits:
        return None


@pytest.mark.parametrize(("there", "back"), [(0.0, 0.04), (0.04, 0.0), (0.02, 0.02)])
def test_a_host_waits_for_what_the_other_one_sent(there: float, back: float) -> None:
    """Also if one reaches the server quickly and its answers travel long, and the other one the other way round."""
    one, other = Host(300.0, there, back), Host(-300.0, back, there)
    given = [after for asks in range(1900, 2200, 2) if (after := between(one, other, asks / 1000)) is not None]

    # 0.5 s to leave, 0.5 s to be counted, and the second. The length of both exchanges may come besides, and the step.
    assert 2.0 <= min(given) <= 2.01 + 2 * (there + back)


def test_an_exchange_that_waited_is_repeated() -> None:
    """A long exchange says little of the server's time; while the quota is locked, a new one waits for nobody."""

    class Busy(HostConnection):
        def begin(self, statements: str, parameters: Any = ()) -> Any:
            clock.at += 3.0
            return super().begin(statements, parameters)

    clock = EventClock()
    store = ServerQuotaStore(Busy(QuotaServer(clock), Host(0.0, 0.001, 0.001)), "the ledger", HostClock(clock, 0.0))
    store.change("points", lambda _: (b"x", None))

    assert store.error == pytest.approx(0.002, abs=1e-6)
