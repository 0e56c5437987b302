"""Finding the config, and opening the ledger that it names: all that looking at past runs needs."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.assemble.traces import traces_of
from pipeline.assemble.working_folder import working_folder
from pipeline.clock import Clock
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.database import is_writable
from pipeline.ledger.store.lease import this_process
from pipeline.settings import Config


def config_path(named: Path | None, environ: Mapping[str, str]) -> Path:
    """
    Return the config file: the one named, else that of the environment, else `backfill.toml`.

    Raises SettingsError where it is relative to a working directory that is gone.
    """
    path = named or Path(environ.get("BACKFILL_CONFIG") or "backfill.toml")
    if not path.is_absolute():
        working_folder()
    return path


def open_the_ledger(config: Config, clock: Clock, *, only_reads: bool = False) -> Ledger:
    """
    Open the ledger, made where there is none; raise LedgerError with cause and advice where it can't be used.

    With `only_reads` one that can't be written is opened for reading alone.
    """
    path = config.ledger_path
    only_reads = only_reads and path.is_file() and not is_writable(path)
    return Ledger(path, clock, this_process(), traces=traces_of(config), only_reads=only_reads)
