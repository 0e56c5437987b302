"""`python -m tests.kills --kills N` kills the real command N times at random moments and prints figures."""

import argparse
import sys
import tempfile
from pathlib import Path

from pipeline.settings import TransportName
from pipeline.simulator import Simulator
from tests.kills.exports import orders, points
from tests.kills.histories import Killer


def main() -> int:
    """Play the histories; an AssertionError names the broken promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="kills of runs that send orders (200)")
    parser.add_argument("--points-kills", type=int, default=20, help="kills of runs at the quota of points (20)")
    parser.add_argument("--rows", type=int, default=400, help="orders of a run (400)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the kills (0)")
    parser.add_argument("--transport", type=TransportName, default=TransportName.REQUESTS, help="requests or curl")
    args = parser.parse_args()
    for export, kills in ((orders(args.rows), args.kills), (points(20), args.points_kills)):
        with tempfile.TemporaryDirectory() as folder, Simulator() as simulator:
            killer = Killer(Path(folder), simulator, export, seed=args.seed, transport=args.transport)
            figures = killer.play(kills, _log)
        sys.stdout.write(f"{export.job}: {figures}\n")
    return 0


def _log(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
