"""Finding the config, and opening the ledger that it names: all that looking at past runs needs."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.assemble.working_folder import working_folder
from pipeline.clock import Clock
from pipeline.errors import SettingsError
from pipeline.ledger.lease import this_process
from pipeline.ledger.ledger import Ledger
from pipeline.settings import Config, SqliteUrl


def config_path(named: Path | None, environ: Mapping[str, str]) -> Path:
    """
    Return the config file: the one named, else that of the environment, else `backfill.toml`.

    Raises SettingsError where it is relative to a working directory that is gone.
    """
    path = named or Path(environ.get("BACKFILL_CONFIG") or "backfill.toml")
    if not path.is_absolute():
        working_folder()
    return path


def ledger_path(config: Config) -> Path:
    """Return where the ledger's file is, or will be."""
    if not isinstance(config.ledger_url, SqliteUrl):
        raise SettingsError(
            [f"{config.path} [ledger] url: this version keeps its ledger in a file; name one with sqlite:///..."]
        )
    return config.ledger_url.path


def open_the_ledger(config: Config, clock: Clock) -> Ledger:
    """Open the ledger, made where there is none; raise LedgerError with cause and advice where it can't be used."""
    return Ledger(ledger_path(config), clock, this_process())
