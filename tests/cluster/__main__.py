"""`python -m tests.cluster --kills N` kills a node of a run N times at random moments, while its worker lives."""

import argparse
import random
import sys
from functools import partial
from itertools import cycle, islice

from tests.cluster.kills import Survivor, play
from tests.cluster.nodes import two_nodes
from tests.postgresql.server import running
from tests.senders.kills import play_alone


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
            after, within = chance.randrange(30, args.rows * 2 // 3), chance.random() * 0.2
            kill = partial(play, nodes=nodes, survivor=survivor, after=after, rows=args.rows, within=within)
            figures = play_alone(server, kill, "tests.cluster.child")
            nodes.start_second()
            sys.stdout.write(f"{number}, its worker {survivor}: after {after} requests, {figures}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
