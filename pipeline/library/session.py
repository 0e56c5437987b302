"""What each call of the library opens: the config, its ledger, and the outside world."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pipeline.assemble.parts.helpers import local_senders
from pipeline.assemble.parts.ledgers import config_path, open_the_ledger
from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.parts.system import System
from pipeline.clock import SystemClock
from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.ledger.ledger import Ledger
from pipeline.settings import ONE_PROCESS, Config, load, warnings

log = logging.getLogger("backfill")

ConfigPath = str | os.PathLike[str] | None
"""The path of a config; None is `$BACKFILL_CONFIG`, or `backfill.toml`."""
Environ = Mapping[str, str] | None
"""Environment variables; None are those of the process."""


@dataclass(frozen=True, slots=True)
class Session:
    """The config and system of one call that reads keys."""

    config: Config
    system: System

    @classmethod
    def open(cls, config: ConfigPath, environ: Environ, job: str | None = None) -> "Session":
        """Read config and keys, those of one job or all, and log their warnings. Raises SettingsError."""
        variables = _variables(environ)
        real = System.real(SystemClock())
        # Senders of this host need the same secrets.
        system = replace(real, helpers=partial(local_senders, environ=variables))
        opened = open_config(_path(config, variables), variables, system.clock, job)
        # urllib3 logs the address of each request, and the gateway's has a token.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        for warning in warnings(opened, at=system.clock.now()):
            log.warning(warning)
        return cls(opened, system)

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Open the ledger for a run, and close it at the end."""
        ledger = open_the_ledger(self.config, self.system.clock)
        try:
            yield ledger
        finally:
            ledger.close()


@contextmanager
def archive(config: ConfigPath, environ: Environ) -> Iterator[tuple[Config, Ledger | None]]:
    """Open config and ledger without reading keys; the ledger is None before the first run."""
    variables, clock = _variables(environ), SystemClock()
    opened = load(_path(config, variables), environ=variables, at=clock.now(), with_keys=False)
    if opened.ledger_server is None and not opened.ledger_path.exists():
        yield opened, None
        return
    ledger = open_the_ledger(opened, clock, only_reads=True)
    try:
        yield opened, ledger
    finally:
        ledger.close()


def refuse_processes(config: Config, processes: int | None) -> None:
    """Raise SettingsError for more processes than the ledger allows."""
    if processes not in (None, 1) and config.ledger_server is None:
        raise SettingsError([f"processes={processes}: {t(ONE_PROCESS)}"])


def _variables(environ: Environ) -> Mapping[str, str]:
    return os.environ if environ is None else environ


def _path(config: ConfigPath, environ: Mapping[str, str]) -> Path:
    return config_path(None if config is None else Path(config), environ)
