"""The ledger's server crashes under the real command; `python -m tests.postgresql` does the same for longer."""

from pathlib import Path

from pipeline.simulator import Simulator
from tests.kills.exports import Export, orders, points
from tests.postgresql.crashes import Crasher
from tests.postgresql.proxy import proxied
from tests.postgresql.server import PostgresServer


def crashes(folder: Path, export: Export, doomed: PostgresServer, *, count: int, seed: int) -> int:
    with Simulator() as simulator, proxied(doomed.port) as proxy:
        crasher = Crasher(folder, simulator, export, seed=seed, server=doomed, proxy=proxy)
        return crasher.play(count).kills


def test_a_run_whose_server_crashes_completes(tmp_path: Path, doomed: PostgresServer) -> None:
    """Each row has one outcome, each key counts once, and nothing is sent again, also if a COMMIT was answered."""
    assert crashes(tmp_path, orders(60), doomed, count=2, seed=3) == 2


def test_crashes_do_not_break_the_quota(tmp_path: Path, doomed: PostgresServer) -> None:
    """No second of the platform has more balances than allowed, also while the server that has the quotas restarts."""
    assert crashes(tmp_path, points(8), doomed, count=1, seed=4) == 1
