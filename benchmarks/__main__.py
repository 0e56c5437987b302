"""`make bench`: what a user waits for, beside what others do and what the machine can do; see docs/performance.md."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import growth, ledger, nights, plan, quota, report, send, start
from benchmarks.scene import Scene, scene
from benchmarks.table import Table, machine, page


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of the page: how it is measured, and which sizes it goes by."""

    measure: Callable[[Scene, argparse.Namespace], list[Table]]
    sizes: tuple[str, ...]


_PARTS: Mapping[str, _Part] = {
    "send": _Part(
        lambda here, args: [
            send.measure(here, rows=args.sent, runs=args.runs, environments=args.peers and args.peers.absolute())
        ],
        ("sent", "runs"),
    ),
    "plan": _Part(lambda here, args: [plan.measure(here, rows=args.rows, runs=args.runs)], ("rows", "runs")),
    "nights": _Part(lambda here, args: nights.measure(here, sizes=args.known, runs=args.runs), ("known", "runs")),
    "report": _Part(lambda here, args: [_report(here, nights.reported(args.known), args.runs)], ("known", "runs")),
    "growth": _Part(lambda here, args: [growth.measure(here, rows=args.rows)], ("rows",)),
    "ledger": _Part(lambda here, args: [ledger.measure(here, rows=args.sent, runs=args.runs)], ("sent", "runs")),
    "points": _Part(lambda _here, args: [quota.measure(seconds=args.seconds, runs=args.runs)], ("seconds", "runs")),
    "start": _Part(lambda here, args: [start.measure(here, runs=3 * args.runs)], ("runs",)),
}


def main() -> int:
    """Measure, print each table as soon as it is there, and write the page."""
    args = arguments(sys.argv[1:])
    tables: list[Table] = []
    with scene() as here:
        for part in args.parts or _PARTS:
            sys.stderr.write(f"{part}\n")
            for table in _PARTS[part].measure(here, args):
                tables.append(replace(table, origin=f"`{command(args)}`, on {machine()}."))
                sys.stdout.write(f"\n{tables[-1].markdown()}")
            sys.stdout.flush()
    if args.page:
        # What was not measured now stays as it is.
        before = args.page.read_text(encoding="utf-8") if args.parts and args.page.exists() else ""
        args.page.write_text(page(tables, before), encoding="utf-8")
    return 0


def _report(here: Scene, rows: int, runs: int) -> Table:
    return report.measure(here, rows=rows, runs=nights.times(rows, runs))


def command(args: argparse.Namespace) -> str:
    """Return the line that measures the same again."""
    used = {size for part in args.parts or _PARTS for size in _PARTS[part].sizes}
    told = {name: _told(getattr(args, name)) for name in ("rows", "known", "sent", "seconds", "runs") if name in used}
    if args.parts:
        words = [*args.parts, *(f"--{name} {size}" for name, size in told.items())]
        return " ".join(["python -m benchmarks", *words, *(["--peers FOLDER"] if args.peers else [])])
    words = [f'{name.upper()}="{size}"' if " " in size else f"{name.upper()}={size}" for name, size in told.items()]
    return " ".join(["make bench", *words, *(["PEERS=1"] if args.peers else [])])


def _told(size: int | list[int]) -> str:
    return " ".join(map(str, size)) if isinstance(size, list) else str(size)


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Return what a command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("parts", nargs="*", choices=[[], *_PARTS], help="these only; all where none is named")
    parser.add_argument("--rows", type=int, default=100_000, help="to plan (100,000)")
    parser.add_argument(
        "--known",
        type=int,
        nargs="+",
        metavar="KNOWN",
        help="delivered before, to run again, in several sizes (a quarter of the rows to plan, half of them, all); the "
        "size that is nearest to 5 million is reported on",
    )
    parser.add_argument("--sent", type=int, default=3_000, help="to send (3,000)")
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement of the quota (10)")
    parser.add_argument(
        "--runs", type=int, default=3, help="how often each is measured (3); above a million known twice"
    )
    parser.add_argument("--peers", type=Path, metavar="FOLDER", help="install other peers there, and measure them")
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        help="write the tables there; of a page that is there, one part alone leaves the others as they are",
    )
    args = parser.parse_args(words)
    args.known = args.known or [args.rows // 4, args.rows // 2, args.rows]
    return args


if __name__ == "__main__":
    sys.exit(main())
