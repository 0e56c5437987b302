"""
`python -m tests.senders --kills N` kills or freezes a process of a run N times, each at a random moment.

With `--outages N` the server crashes instead, and is away for longer than leases last.
"""

import argparse
import random
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.postgresql.server import PostgresServer, running
from tests.senders import kills, slice_kills
from tests.senders.kills import OUTAGE_LEASE_SECONDS, Death, Killed, outlast, play_alone
from tests.senders.scene import Scene, scene_on


def main() -> int:
    """Play the runs; an AssertionError names the broken promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.senders", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="runs of each kind (20)")
    parser.add_argument("--rows", type=int, default=90, help="payments of a run (90)")
    parser.add_argument("--slices", type=int, metavar="N", help="kill while a run of N slices is staged, not sent")
    parser.add_argument("--outages", type=int, metavar="N", help="crash the server N times, and kill nothing")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments (0)")
    parser.add_argument("--only", type=Death, choices=list(Death), help="one kind only")
    args = parser.parse_args()
    chance = random.Random(args.seed)
    with running() as server:
        if args.outages is not None:
            return _crash(server, args, chance)
        for death in [args.only] if args.only else list(Death):
            for number in range(args.kills):
                figures = play_alone(server, partial(_play, death=death, args=args, chance=chance))
                sys.stdout.write(f"{death} {number + 1}: {figures}\n")
                sys.stdout.flush()
    return 0


def _crash(server: PostgresServer, args: argparse.Namespace, chance: random.Random) -> int:
    for number in range(args.outages):
        after, away = chance.randrange(8, args.rows), OUTAGE_LEASE_SECONDS * (1.2 + chance.random())
        with tempfile.TemporaryDirectory() as folder, scene_on(server, Path(folder)) as scene:
            outlast(scene, server, after=after, rows=args.rows, away=away)
            sent_again = len(scene.keys()) - len(set(scene.keys()))
        sys.stdout.write(f"outage {number + 1}: {away:.1f} s, after {after} requests, {sent_again} sent again\n")
        sys.stdout.flush()
    return 0


def _play(scene: Scene, death: Death, args: argparse.Namespace, chance: random.Random) -> Killed:
    within = chance.random() * 0.2
    if args.slices is None:
        return kills.play(scene, death, after=chance.randrange(8, args.rows), rows=args.rows, within=within)
    steps = chance.randrange(1, 2 * args.slices)
    return slice_kills.play(scene, death, after=steps, slices=args.slices, within=within)


if __name__ == "__main__":
    sys.exit(main())
