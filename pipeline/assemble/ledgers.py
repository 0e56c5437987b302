"""The config file and its ledger: all that commands for past runs need."""

from collections.abc import Callable, Mapping
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
    Return the config file: the given one, else $BACKFILL_CONFIG, else `backfill.toml`.

    Raises SettingsError if it is relative and the working directory was removed.
    """
    path = named or Path(environ.get("BACKFILL_CONFIG") or "backfill.toml")
    if not path.is_absolute():
        working_folder()
    return path


def open_the_ledger(
    config: Config, clock: Clock, *, only_reads: bool = False, open_ledger: Callable[..., Ledger] = Ledger
) -> Ledger:
    """
    Open the ledger; create it if missing. Raises LedgerError with cause and advice if it can't be used.

    With `only_reads`, an unwritable ledger is opened for reading only.
    """
    path = config.ledger_path
    only_reads = only_reads and path.is_file() and not is_writable(path)
    return open_ledger(path, clock, this_process(), traces=traces_of(config), only_reads=only_reads)
