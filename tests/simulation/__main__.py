"""`python -m tests.simulation --seeds N` plays N histories. A failing seed is printed and can be played again."""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import partial

from tests.postgresql.server import running
from tests.simulation.play import NewState, play, play_long_run
from tests.simulation.served_ledger import ServedLedgers
from tests.simulation.state_folder import in_files
from tests.simulation.wire import TRANSPORTS, wired

_BATCH = 10
_LOG_EVERY = 1000


def main() -> int:
    """Play the seeds; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="number of histories (1000)")
    parser.add_argument("--start", type=int, default=0, help="first seed (0)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument("--stop-at-first", action="store_true", help="end with the first seed that fails")
    parser.add_argument("--transport", choices=TRANSPORTS, help="use a real connection and this transport")
    parser.add_argument("--ledger", choices=("sqlite", "postgresql"), default="sqlite", help="kind of ledger (sqlite)")
    parser.add_argument("--hours", type=float, metavar="HOURS", help="play one run of this many virtual hours instead")
    args = parser.parse_args()
    if args.hours is not None:
        return _long_run(args.hours)
    if args.ledger == "sqlite":
        return _play_seeds(args, in_files)
    with running() as server:
        return _play_seeds(args, ServedLedgers(server))


def _play_seeds(args: argparse.Namespace, new_state: NewState) -> int:
    began = time.monotonic()
    batches = range(args.start, args.start + args.seeds, _BATCH)
    ends = [min(first + _BATCH, args.start + args.seeds) for first in batches]
    failures, requests, logged = 0, 0, args.start
    play_batch = partial(_play_batch, transport=args.transport, new_state=new_state)
    with ProcessPoolExecutor(args.jobs) as pool:
        for end, (failed, sent) in zip(ends, pool.map(play_batch, batches, ends), strict=True):
            failures, requests = failures + len(failed), requests + sent
            for line in failed:
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
            if end - logged >= _LOG_EVERY:
                logged = end
                sys.stderr.write(f"{end - args.start} seeds, {failures} failed, {time.monotonic() - began:.0f} s\n")
            if failed and args.stop_at_first:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    seconds = time.monotonic() - began
    sys.stdout.write(f"{args.seeds} seeds, {failures} failed, {requests} requests, {seconds:.0f} s\n")
    return 1 if failures else 0


def _long_run(hours: float) -> int:
    began = time.monotonic()
    entries = play_long_run(hours).journal.entries
    lasted = entries[-1].sent_at - entries[0].sent_at
    used = len(entries) / (5.0 * lasted)
    took = time.monotonic() - began
    sys.stdout.write(
        f"{lasted / 3600:.2f} virtual hours, {len(entries)} requests, {used:.1%} of the quota, {took:.0f} s\n"
    )
    return 0


def _play_batch(first: int, end: int, *, transport: str | None, new_state: NewState) -> tuple[list[str], int]:
    failed, sent = [], 0
    with wired(transport) if transport else nullcontext() as wire:
        for seed in range(first, end):
            try:
                sent += len(play(seed, wire, new_state).journal.entries)
            except Exception as exc:  # noqa: BLE001 - any failure is printed with its seed
                failed.append(f"seed {seed}: {type(exc).__name__}: {exc}")
    return failed, sent


if __name__ == "__main__":
    sys.exit(main())
