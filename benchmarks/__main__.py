"""`make bench`: speed and memory of the program, of its peers and of the machine; see docs/performance.md."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks import (
    growth,
    known,
    ledger,
    plan,
    plan_processes,
    processes,
    quota,
    repeat,
    report,
    send,
    start,
    totals,
)
from benchmarks.known import LEDGERS
from benchmarks.postgresql import BenchmarkServer, benchmark_server
from benchmarks.scene import Scene, scene
from benchmarks.table import Table, machine, page


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of the page: its measurement, and the options that it uses."""

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
    "plans": _Part(lambda here, args: [plan_processes.measure(here, rows=args.rows, runs=args.runs)], ("rows", "runs")),
    "repeat": _Part(lambda here, args: repeat.measure(here, sizes=args.known, runs=args.runs), ("known", "runs")),
    "report": _Part(lambda here, args: _report(here, repeat.reported(args.known), args.runs), ("known", "runs")),
    "totals": _Part(lambda here, args: [_totals(here, repeat.reported(args.known), args.runs)], ("known", "runs")),
    "growth": _Part(lambda here, args: [growth.measure(here, rows=args.rows)], ("rows",)),
    "ledger": _Part(lambda here, args: [ledger.measure(here, rows=args.sent, runs=args.runs)], ("sent", "runs")),
    "points": _Part(lambda _here, args: [quota.measure(seconds=args.seconds, runs=args.runs)], ("seconds", "runs")),
    "start": _Part(lambda here, args: [start.measure(here, runs=3 * args.runs)], ("runs",)),
    "known": _Part(
        lambda here, args: _with_server(
            partial(
                known.measure,
                here,
                sizes=args.known,
                shuffled=args.shuffled,
                most_rows=args.most_rows,
                ledgers=args.ledger,
                runs=args.runs,
            )
        ),
        ("known", "shuffled", "most_rows", "ledger", "runs"),
    ),
    "processes": _Part(
        lambda here, args: _with_server(lambda server: [processes.send(here, server, rows=args.sent, runs=args.runs)]),
        ("sent", "runs"),
    ),
    "stage": _Part(
        lambda here, args: _with_server(lambda server: [processes.stage(here, server, rows=args.rows, runs=args.runs)]),
        ("rows", "runs"),
    ),
}


def main() -> int:
    """Measure, print each table at once, and write the page."""
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
        # Keep the tables that were not measured now.
        before = args.page.read_text(encoding="utf-8") if args.parts and args.page.exists() else ""
        args.page.write_text(page(tables, before), encoding="utf-8")
    return 0


def _report(here: Scene, rows: int, runs: int) -> list[Table]:
    several = repeat.times(rows, runs)
    return [make(here, rows=rows, runs=several) for make in (report.measure, report.by_processes)]


def _totals(here: Scene, rows: int, runs: int) -> Table:
    return totals.measure(here, rows=rows, runs=repeat.times(rows, runs))


def _with_server(measure: Callable[[BenchmarkServer], list[Table]]) -> list[Table]:
    with benchmark_server() as server:
        return measure(server)


def command(args: argparse.Namespace) -> str:
    """Return the command line that repeats the measurement."""
    used = {size for part in args.parts or _PARTS for size in _PARTS[part].sizes}
    names = ("rows", "known", "shuffled", "most_rows", "ledger", "sent", "seconds", "runs")
    given = {name: getattr(args, name) for name in names if name in used}
    sizes = {name.replace("_", "-"): _text(value) for name, value in given.items() if value is not None}
    if args.parts:
        words = [*args.parts, *(f"--{name} {size}" for name, size in sizes.items())]
        return " ".join(["python -m benchmarks", *words, *(["--peers FOLDER"] if args.peers else [])])
    # Those below are always the defaults.
    sizes = {name: size for name, size in sizes.items() if name not in ("shuffled", "ledger")}
    words = [f'{name.upper()}="{size}"' if " " in size else f"{name.upper()}={size}" for name, size in sizes.items()]
    return " ".join(["make bench", *words, *(["PEERS=1"] if args.peers else [])])


def _text(size: int | list[int] | list[str]) -> str:
    return " ".join(map(str, size)) if isinstance(size, list) else str(size)


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of a command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("parts", nargs="*", choices=[[], *_PARTS], help="only these parts; default: all")
    parser.add_argument("--rows", type=int, default=100_000, help="rows to plan (100,000)")
    parser.add_argument(
        "--known",
        type=int,
        nargs="+",
        metavar="KNOWN",
        help="delivered rows to run again, in several sizes (1/4, 1/2 and all of --rows); the report is written for "
        "the size nearest to 5 million",
    )
    parser.add_argument(
        "--shuffled",
        type=int,
        nargs="*",
        metavar="KNOWN",
        help="sizes of --known that also get shuffled keys (the least)",
    )
    parser.add_argument(
        "--most-rows", type=int, metavar="N", help="rows of an export with known keys (as many as there are deliveries)"
    )
    parser.add_argument(
        "--ledger", nargs="+", choices=LEDGERS, default=[*LEDGERS], help="ledgers with known deliveries (both)"
    )
    parser.add_argument("--sent", type=int, default=3_000, help="rows to send (3,000)")
    parser.add_argument("--seconds", type=int, default=10, help="length of each quota measurement (10)")
    parser.add_argument("--runs", type=int, default=3, help="measurements of each (3; above a million known rows 2)")
    parser.add_argument("--peers", type=Path, metavar="FOLDER", help="install more peers there and measure them")
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        help="write the tables there; tables of an existing page that are not measured stay",
    )
    args = parser.parse_args(words)
    args.known = args.known or [args.rows // 4, args.rows // 2, args.rows]
    args.shuffled = [min(args.known)] if args.shuffled is None else args.shuffled
    return args


if __name__ == "__main__":
    sys.exit(main())
