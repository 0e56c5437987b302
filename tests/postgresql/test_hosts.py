"""Several hosts on one ledger."""

from pathlib import Path
from urllib.parse import urlsplit

from pipeline.simulator import Simulator
from tests.kills.exports import orders
from tests.postgresql.hosts import HostKiller, another_host
from tests.postgresql.server import PostgresServer
from tests.postgresql.shared_quota import share_the_quota


def test_another_host_resumes_a_run_whose_host_is_gone(tmp_path: Path, postgres: PostgresServer) -> None:
    """It has neither disk nor loopback of the first one; nothing is lost, and few requests are repeated."""
    with Simulator() as simulator:
        ports = [postgres.port, urlsplit(simulator.url).port or 0]
        with another_host(ports) as one, another_host(ports) as other:
            killer = HostKiller(tmp_path, simulator, orders(60), seed=5, server=postgres, hosts=[one, other])
            assert killer.play(1).kills == 1


def test_hosts_whose_clocks_differ_share_a_quota(tmp_path: Path, postgres: PostgresServer) -> None:
    """Wall and steady clocks are nearly 10 minutes apart. The quota is kept and used, and both get their share."""
    shared = share_the_quota(tmp_path, postgres, rows=20)

    assert 0.95 <= shared.used <= 1.0, shared
    assert 0.3 < shared.share_of_first < 0.7, shared
