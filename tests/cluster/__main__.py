"""`python -m tests.cluster --kills N` kills a node of a run N times at random moments, while its worker lives."""

import argparse
import random
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from pipeline.simulator import Simulator
from tests.cluster.kills import Survivor, play
from tests.cluster.nodes import two_nodes
from tests.postgresql.server import running
from tests.senders.scene import Scene


def main() -> int:
    """Play the runs; an AssertionError names the broken promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="runs, of both kinds in turn (20)")
    parser.add_argument("--rows", type=int, default=240, help="payments of a run (240)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments (0)")
    args = parser.parse_args()
    chance = random.Random(args.seed)
    with running() as server, two_nodes() as nodes:
        for number, survivor in enumerate(islice(cycle(Survivor), args.kills), 1):
            after, began = chance.randrange(30, args.rows * 2 // 3), time.monotonic()
            url = server.database()
            with tempfile.TemporaryDirectory() as folder, Simulator() as simulator:
                scene = Scene(Path(folder), simulator, url, child="tests.cluster.child")
                try:
                    found = play(scene, nodes, survivor, after=after, rows=args.rows, within=chance.random() * 0.2)
                    resent = len(scene.keys()) - len(set(scene.keys()))
                finally:
                    scene.close()
            nodes.start_second()
            seconds = time.monotonic() - began
            sys.stdout.write(
                f"{number}, its worker {survivor}: after {after} requests, {resent} sent again, {found}, "
                f"{seconds:.0f} s\n"
            )
            sys.stdout.flush()
            server.drop(url)
    return 0


if __name__ == "__main__":
    sys.exit(main())
