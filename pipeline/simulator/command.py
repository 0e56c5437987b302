"""`backfill simulate`: the simulator as a command."""

import argparse
import signal
import sys
from pathlib import Path

from pipeline.errors import SettingsError
from pipeline.simulator.ruling import Api
from pipeline.simulator.server import Simulator, client_config, load_faults, write_client_keys
from pipeline.simulator.state.journal import Journal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `backfill simulate`."""
    parser.add_argument("--port", type=int, default=8700, help="listen on this port of 127.0.0.1 (8700; 0: a free one)")
    parser.add_argument("--faults", type=Path, metavar="FILE", help="TOML script of what shall go wrong")
    parser.add_argument("--journal", type=Path, metavar="FILE", help="append a line of JSON for every request")
    parser.add_argument("--keys", type=Path, metavar="DIR", help="write a config and the client's test keys there")
    parser.add_argument("--points-rate", type=int, default=5, metavar="N", help="points requests per second (5)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="fixes what is drawn by chance (0)")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM, then tell in one line what was done. Raises SettingsError for wrong options."""
    simulator = Simulator(
        port=args.port,
        faults=load_faults(args.faults) if args.faults else (),
        limits={Api.POINTS: args.points_rate},
        seed=args.seed,
        journal_path=args.journal,
    )
    before = {number: signal.signal(number, lambda *_: simulator.stop()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with simulator:
            _introduce(simulator.url, args.keys)
            simulator.serve_forever()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    _tell(_last_line(simulator.journal))
    return 0


def _introduce(url: str, folder: Path | None) -> None:
    accounts = client_config(url)
    offer = f"the config's accounts (--keys DIR writes the keys they name):\n\n{accounts}"
    if folder is not None:
        try:
            offer = _handed_out(accounts, folder)
        except OSError as exc:
            raise SettingsError([f"--keys {folder}: {exc.strerror}; name a folder that can be written"]) from exc
    _tell(f"simulator at {url}, test keys only; Ctrl-C ends it")
    _tell(offer)


def _handed_out(accounts: str, folder: Path) -> str:
    write_client_keys(folder / "keys")
    config = folder / "backfill.toml"
    if config.exists() and config.read_bytes() != accounts.encode():
        return f"{config} is there and stays as it is; its accounts have to read:\n\n{accounts}"
    config.write_text(accounts, encoding="utf-8")
    return f"accounts in {config}, keys in {folder / 'keys'}"


def _last_line(journal: Journal) -> str:
    counts = {name: count for name, count in journal.summary().items() if isinstance(count, int) and count}
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "no requests"


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
