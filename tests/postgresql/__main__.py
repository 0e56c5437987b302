"""`python -m tests.postgresql --crashes N` crashes the ledger's server N times under real commands; prints figures."""

import argparse
import sys
import tempfile
from pathlib import Path

from pipeline.simulator import Simulator
from tests.kills.exports import orders, points
from tests.postgresql.crashes import Crasher
from tests.postgresql.proxy import proxied
from tests.postgresql.server import running


def main() -> int:
    """Play the histories; an AssertionError names the broken promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.postgresql", description=__doc__)
    parser.add_argument("--crashes", type=int, default=20, help="crashes under runs that send orders (20)")
    parser.add_argument("--points-crashes", type=int, default=5, help="crashes under runs at the quota of points (5)")
    parser.add_argument("--rows", type=int, default=400, help="orders of a run (400)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the crashes (0)")
    args = parser.parse_args()
    for export, crashes in ((orders(args.rows), args.crashes), (points(20), args.points_crashes)):
        with (
            tempfile.TemporaryDirectory() as folder,
            Simulator() as simulator,
            running() as server,
            proxied(server.port) as proxy,
        ):
            crasher = Crasher(Path(folder), simulator, export, seed=args.seed, server=server, proxy=proxy)
            figures = crasher.play(crashes)
        sys.stdout.write(f"{export.job}: {figures}; {crasher.at_commit} while a COMMIT was answered\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
