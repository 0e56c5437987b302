"""`make bench`: what a user waits for, beside what others do and what the machine can do; see docs/performance.md."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import ledger, nights, plan, quota, report, send, start
from benchmarks.scene import Scene, scene
from benchmarks.table import Table, machine, page

_Measure = Callable[[Scene, argparse.Namespace], list[Table]]
_PARTS: Mapping[str, _Measure] = {
    "send": lambda here, args: [
        send.measure(here, rows=args.sent, runs=args.runs, environments=args.peers and args.peers.absolute())
    ],
    "plan": lambda here, args: [plan.measure(here, rows=args.rows, runs=args.runs)],
    "nights": lambda here, args: nights.measure(here, rows=args.known, runs=args.runs),
    "report": lambda here, args: [report.measure(here, rows=args.known, runs=args.runs)],
    "ledger": lambda here, args: [ledger.measure(here, rows=args.sent, runs=args.runs)],
    "points": lambda _here, args: [quota.measure(seconds=args.seconds, runs=args.runs)],
    "start": lambda here, args: [start.measure(here, runs=3 * args.runs)],
}


def main() -> int:
    """Measure, print each table as soon as it is there, and write the page."""
    args = _arguments()
    sys.stdout.write(f"{machine()}\n")
    tables: list[Table] = []
    with scene() as here:
        for part in args.parts or _PARTS:
            sys.stderr.write(f"{part}\n")
            made = _PARTS[part](here, args)
            sys.stdout.writelines(f"\n{table.markdown()}" for table in made)
            sys.stdout.flush()
            tables += made
    if args.page:
        args.page.write_text(page(tables, command=_command(args), runs=args.runs), encoding="utf-8")
    return 0


def _command(args: argparse.Namespace) -> str:
    sizes = " ".join(f"{name.upper()}={getattr(args, name)}" for name in ("rows", "known", "sent", "seconds", "runs"))
    return f"make bench {sizes}{' PEERS=1' if args.peers else ''}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("parts", nargs="*", choices=[[], *_PARTS], help="these only; all where none is named")
    parser.add_argument("--rows", type=int, default=100_000, help="to plan (100,000)")
    parser.add_argument(
        "--known", type=int, default=100_000, help="delivered before, to run again and report (100,000)"
    )
    parser.add_argument("--sent", type=int, default=3_000, help="to send (3,000)")
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement of the quota (10)")
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--peers", type=Path, metavar="FOLDER", help="install other peers there, and measure them")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write all tables there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
