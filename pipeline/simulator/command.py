"""`backfill simulate`: the simulator as a command."""

import argparse
import signal
import sys
from pathlib import Path

from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.simulator.ruling import Api
from pipeline.simulator.server import LIMITS, Simulator, client_config, load_faults, write_client_keys
from pipeline.simulator.state.journal import Journal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `backfill simulate`."""
    parser.add_argument(
        "--port", type=int, default=8700, help=t("listen on this port of 127.0.0.1 (8700; 0: a free one)")
    )
    parser.add_argument(
        "--faults", type=Path, metavar="FILE", help=t("TOML file of faults to inject (docs/how-to/try-faults.md)")
    )
    parser.add_argument("--journal", type=Path, metavar="FILE", help=t("append one JSON line for each request"))
    parser.add_argument("--keys", type=Path, metavar="DIR", help=t("write a config and the client's test keys there"))
    parser.add_argument("--points-rate", type=int, default=5, metavar="N", help=t("points requests per second (5)"))
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=t("seed of random faults (0)"))


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM, then print one line of counts. Raises SettingsError for wrong options."""
    simulator = Simulator(
        port=args.port,
        faults=load_faults(args.faults) if args.faults else (),
        limits={**LIMITS, Api.POINTS: args.points_rate},
        seed=args.seed,
        journal_path=args.journal,
    )
    before = {number: signal.signal(number, lambda *_: simulator.stop()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with simulator:
            _print_start(simulator.url, args.keys)
            simulator.serve_forever()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    _print(_counts(simulator.journal))
    return 0


def _print_start(url: str, folder: Path | None) -> None:
    accounts = client_config(url, brand=True)
    text = t("put these accounts into the config (--keys DIR writes their keys):\n\n{accounts}", accounts=accounts)
    if folder is not None:
        try:
            text = _write_client_files(accounts, folder)
        except OSError as exc:
            raise SettingsError(
                [t("--keys {folder}: {reason}; choose a writable folder", folder=folder, reason=exc.strerror)]
            ) from exc
    _print(t("simulator at {url}, test keys only; stop it with Ctrl-C", url=url))
    _print(text)


def _write_client_files(accounts: str, folder: Path) -> str:
    write_client_keys(folder / "keys")
    config = folder / "backfill.toml"
    if config.exists() and config.read_bytes() != accounts.encode():
        return t(
            "{config} exists and was not changed; put these accounts into it:\n\n{accounts}",
            config=config,
            accounts=accounts,
        )
    config.write_text(accounts, encoding="utf-8")
    return t("accounts in {config}, keys in {folder}", config=config, folder=folder / "keys")


def _counts(journal: Journal) -> str:
    counts = {name: count for name, count in journal.summary().items() if isinstance(count, int) and count}
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or t("no requests")


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
