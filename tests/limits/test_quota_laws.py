"""The law of the quota: over any network, the platform never counts more than the limit within one second."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.limits.window import decode
from pipeline.model import RoundTrip
from tests.limits.traffic import EventClock, MemoryStore, Network, Traffic, check_running, most_within, process

networks = st.builds(
    Network,
    there=st.floats(0.0005, 0.15),
    back=st.floats(0.0005, 0.15),
    jitter=st.sampled_from([0.0, 0.01, 0.1]),
    work=st.sampled_from([0.0, 0.05, 0.4]),
    server_lag=st.sampled_from([0.0, 0.012]),
    silent=st.booleans(),
    lost=st.sampled_from([0.0, 0.3]),
    connect=st.sampled_from([0.0, 0.1, 0.45, 3.0]),
)


@settings(deadline=None, max_examples=50)
@given(
    network=networks,
    limit=st.sampled_from([1.0, 2.5, 5.0, 20.0, 100.0, 250.0]),
    processes=st.integers(1, 3),
    restarts=st.integers(0, 3),
    seed=st.integers(0, 2**16),
)
@example(network=Network(0.15, 0.0005, work=0.4), limit=5.0, processes=1, restarts=0, seed=1)
@example(network=Network(0.0005, 0.15, work=0.4), limit=100.0, processes=2, restarts=2, seed=1)
@example(network=Network(0.15, 0.0005, jitter=0.1, lost=0.3, connect=0.45), limit=5.0, processes=2, restarts=1, seed=1)
@example(network=Network(0.01, 0.01, lost=0.3, connect=3.0), limit=20.0, processes=1, restarts=1, seed=1)
def test_the_platform_never_counts_more_than_the_limit(
    network: Network, limit: float, processes: int, restarts: int, seed: int
) -> None:
    """Over any network, with several processes and after crashes, no second has more requests than the limit."""
    clock, store, chance = EventClock(), MemoryStore(), Random(seed)
    traffic = Traffic(clock, network, chance)
    for _ in range(restarts + 1):
        for _ in range(processes):
            traffic.start(process(store, clock, limit), workers=max(2, int(limit)))
        traffic.run(chance.uniform(0.1, 3.0))
        traffic.crash()

    assert most_within(traffic.counted, 1.0) <= limit


@pytest.mark.parametrize("limits", [(79.0, 80.0), (80.0, 79.0), (5.0, 100.0), (39.0, 200.0, 41.0), (0.5, 20.0)])
def test_processes_with_different_limits_keep_to_the_highest(limits: tuple[float, ...]) -> None:
    """Processes with different limits for one quota together send at most the highest limit."""
    clock, store = EventClock(), MemoryStore()
    traffic = Traffic(clock, Network(0.01, 0.01, jitter=0.01), Random(1))
    for limit in limits:
        traffic.start(process(store, clock, limit), workers=max(2, int(limit)))
    traffic.run(10)

    assert most_within(traffic.counted, 1.0) <= max(limits)
    assert len(traffic.counted) >= 0.9 * 10 * max(limits)


@pytest.mark.parametrize("limit", [5.0, 20.0, 100.0])
@pytest.mark.parametrize(
    "network",
    [
        pytest.param(Network(0.0005, 0.0005), id="1ms"),
        pytest.param(Network(0.01, 0.01), id="20ms"),
        pytest.param(Network(0.02, 0.03), id="50ms"),
        pytest.param(Network(0.06, 0.06), id="120ms"),
        pytest.param(Network(0.01, 0.01, work=0.03), id="20ms-and-work"),
        pytest.param(Network(0.03, 0.03, jitter=0.01), id="60ms-and-jitter"),
    ],
)
def test_the_quota_is_used(network: Network, limit: float) -> None:
    """At least 95 % of the allowed requests are sent, within the limit."""
    clock = EventClock()
    traffic = Traffic(clock, network, Random(1))
    traffic.start(process(MemoryStore(), clock, limit), workers=int(limit))
    traffic.run(20)

    assert most_within(traffic.counted, 1.0) <= limit
    assert len(traffic.counted) >= 0.95 * 20 * limit


NEAR = Network(0.0002, 0.0002, jitter=0.001, work=0.12, least_work=0.02)
FAR = Network(0.01, 0.01, jitter=0.05)


@pytest.mark.parametrize(
    ("network", "processes", "share"),
    [
        pytest.param(NEAR, 1, 0.98, id="slow-platform"),
        pytest.param(NEAR, 3, 0.98, id="slow-platform-three-processes"),
        pytest.param(replace(NEAR, there=0.01, back=0.01), 1, 0.98, id="far-away"),
        pytest.param(replace(NEAR, silent=True), 1, 0.93, id="no-measurements"),
        pytest.param(FAR, 1, 0.95, id="slow-network"),
        pytest.param(FAR, 3, 0.95, id="slow-network-three-processes"),
    ],
)
def test_answers_of_20_to_120_ms_cost_little(network: Network, processes: int, share: float) -> None:
    """With answers in 20 to 120 ms, few permits are lost."""
    clock, store = EventClock(), MemoryStore()
    traffic = Traffic(clock, network, Random(1))
    for _ in range(processes):
        traffic.start(process(store, clock), workers=8)
    traffic.run(300)

    assert most_within(traffic.counted, 1.0) <= 5
    assert len(traffic.counted) >= share * 300 * 5


@pytest.mark.parametrize("network", [pytest.param(NEAR, id="near"), pytest.param(FAR, id="far")])
def test_no_first_seconds_exceed_the_limit(network: Network) -> None:
    """The first seconds keep the limit, whatever the first handshakes show."""
    for seed in range(60):
        clock, store = EventClock(), MemoryStore()
        traffic = Traffic(clock, network, Random(seed))
        for _ in range(1 + seed % 3):
            traffic.start(process(store, clock), workers=8)
        traffic.run(20)

        assert most_within(traffic.counted, 1.0) <= 5, f"seed {seed}"


@pytest.mark.parametrize("connect", [pytest.param(0.45, id="slowly"), pytest.param(3.0, id="hung")])
def test_connections_that_take_long_do_not_exceed_the_limit(connect: float) -> None:
    """Slow connections keep the limit, with and without answers."""
    network = Network(0.15, 0.0005, jitter=0.1, lost=0.3, connect=connect)
    for seed in range(40):
        clock, store = EventClock(), MemoryStore()
        traffic = Traffic(clock, network, Random(seed))
        for _ in range(2):
            traffic.start(process(store, clock), workers=5)
        traffic.run(20)

        assert most_within(traffic.counted, 1.0) <= 5, f"seed {seed}"
        assert traffic.counted


FAST = Network(0.0002, 0.0002, work=0.002, least_work=0.001)


@pytest.mark.parametrize(
    ("stuck", "limit", "seconds", "share"),
    [
        pytest.param(0.01, 5.0, 3600, 0.98, id="seldom"),
        pytest.param(0.03, 5.0, 3600, 0.98, id="often"),
        pytest.param(0.01, 240.0, 60, 0.9, id="many-requests-a-second"),
    ],
)
def test_a_platform_with_rare_slow_answers_keeps_the_limit(
    stuck: float, limit: float, seconds: int, share: float
) -> None:
    """On a fast platform, a slow answer shows that its request may have been counted late."""
    clock = EventClock()
    traffic = Traffic(clock, replace(FAST, stuck=stuck), Random(1))
    traffic.start(process(MemoryStore(), clock, limit), workers=max(8, int(limit)))
    traffic.run(seconds)

    assert most_within(traffic.counted, 1.0) <= limit
    assert len(traffic.counted) >= share * seconds * limit


def test_rare_requests_do_not_raise_the_percentile() -> None:
    """A large slot with few requests says nothing about the time of answers."""
    clock, store = EventClock(), MemoryStore()
    permits = process(store, clock, 100.0)
    for _ in range(50):
        permit = permits.take(check_running)
        clock.at += 0.002
        permits.give_back(permit, RoundTrip(clock.at - 0.0015, 0.0004))
        clock.at += 2.0

    assert decode(store.states["points"], "boot", clock.at).route.wait_p95 < 0.003


def test_server_lag_is_learnt() -> None:
    """A platform that counts late throttles a few requests at first, then at most one in 1000."""
    clock = EventClock()
    traffic = Traffic(clock, replace(NEAR, server_lag=0.06), Random(1), limit=5)
    traffic.start(process(MemoryStore(), clock), workers=8)
    traffic.run(300)
    at_first = len(traffic.throttled)
    traffic.counted.clear()
    traffic.run(900)

    assert at_first <= 6
    assert len(traffic.throttled) - at_first <= len(traffic.counted) / 1000
    assert len(traffic.counted) >= 0.92 * 900 * 5


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize(("limit", "seconds"), [(5.0, 60), (200.0, 10)])
def test_several_processes_send_as_much_as_one(processes: int, limit: float, seconds: float) -> None:
    """Several processes on one store send as much as one does."""
    clock, store = EventClock(), MemoryStore()
    traffic = Traffic(clock, NEAR, Random(1))
    for _ in range(processes):
        traffic.start(process(store, clock, limit), workers=max(8, int(limit * 0.15)))
    traffic.run(seconds)

    assert most_within(traffic.counted, 1.0) <= limit
    assert len(traffic.counted) >= 0.97 * seconds * limit
