"""
`python -m tests.postgresql` tries a ledger on a server for longer than the tests do, and prints figures.

The server crashes under real commands; other hosts resume runs that were killed; two hosts with other clocks share a
quota. Needs root.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.simulator import Simulator
from tests.kills.exports import orders, points
from tests.postgresql.crashes import Crasher
from tests.postgresql.hosts import HostKiller, another_host
from tests.postgresql.proxy import proxied
from tests.postgresql.server import running
from tests.postgresql.shared_quota import share_the_quota


def main() -> int:
    """Play the histories; an AssertionError names the broken promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.postgresql", description=__doc__)
    parser.add_argument("--crashes", type=int, default=20, help="crashes under runs that send orders (20)")
    parser.add_argument("--points-crashes", type=int, default=5, help="crashes under runs at the quota of points (5)")
    parser.add_argument("--host-kills", type=int, default=20, help="kills after which another host resumes (20)")
    parser.add_argument("--quota-runs", type=int, default=1, help="runs of 2 hosts under one quota (1)")
    parser.add_argument("--balances", type=int, default=300, help="balances of each of these hosts (300)")
    parser.add_argument("--rows", type=int, default=400, help="orders of a run (400)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the crashes (0)")
    parts = {"crashes": _crash, "hosts": _kill_hosts, "quota": _share_the_quota}
    parser.add_argument("--only", choices=parts, help="one part only")
    args = parser.parse_args()
    for part in [args.only] if args.only else parts:
        parts[part](args)
    return 0


def _crash(args: argparse.Namespace) -> None:
    for export, crashes in ((orders(args.rows), args.crashes), (points(20), args.points_crashes)):
        with (
            tempfile.TemporaryDirectory() as folder,
            Simulator() as simulator,
            running() as server,
            proxied(server.port) as proxy,
        ):
            crasher = Crasher(Path(folder), simulator, export, seed=args.seed, server=server, proxy=proxy)
            figures = crasher.play(crashes)
        _say(f"crashes, {export.job}: {figures}; {crasher.at_commit} while a COMMIT was answered")


def _kill_hosts(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder, Simulator() as simulator, running() as server:
        ports = [server.port, urlsplit(simulator.url).port or 0]
        with another_host(ports) as one, another_host(ports) as other:
            hosts = [one, other]
            killer = HostKiller(Path(folder), simulator, orders(args.rows), seed=args.seed, server=server, hosts=hosts)
            _say(f"resumed by another host: {killer.play(args.host_kills)}")


def _share_the_quota(args: argparse.Namespace) -> None:
    with running() as server:
        for _ in range(args.quota_runs):
            with tempfile.TemporaryDirectory() as folder:
                _say(f"hosts with other clocks: {share_the_quota(Path(folder), server, args.balances)}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
