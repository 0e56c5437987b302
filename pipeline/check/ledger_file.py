"""The ledger's file: its version, the age of its copy, and the free disk beside it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.assemble.parts.ledgers import open_the_ledger
from pipeline.check.finding import Finding, Level
from pipeline.clock import Clock
from pipeline.errors import LedgerError
from pipeline.language import t
from pipeline.ledger.store.space import RESERVE_BYTES, free_bytes
from pipeline.settings import Config

_MEGABYTE = 1_000_000
_LITTLE_BYTES = 2_000_000_000
# A copy is made each day; one that failed once is no news yet.
_OLDEST_COPY = timedelta(hours=48)


def check_ledger(config: Config, clock: Clock, free: Callable[[Path], int] = free_bytes) -> Iterator[Finding]:
    """Yield findings about the ledger and its disk. A missing ledger is not created."""
    path = config.ledger_path
    if config.ledger_server is not None:
        yield _server(config, clock)
        return
    if path.exists():
        try:
            open_the_ledger(config, clock, only_reads=True).close()
        except LedgerError as exc:
            yield Finding(Level.ERROR, "ledger", str(exc))
            return
        yield Finding(
            Level.OK,
            "ledger",
            t("{path} has {size:,.1f} MB and can be read", path=path, size=path.stat().st_size / _MEGABYTE),
        )
        if config.backup_path is not None:
            yield _copy(config.backup_path, clock.now())
    else:
        yield Finding(Level.OK, "ledger", t("{path} does not exist yet; the first run creates it", path=path))
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    yield _disk(folder, free(folder))


def _copy(path: Path, now: datetime) -> Finding:
    """Judge the copy of the ledger by the time at which its file was written."""
    if not path.is_file():
        advice = t("{path}: there is no copy of the ledger; see docs/how-to/backup-and-restore.md", path=path)
        return Finding(Level.WARNING, "ledger", advice)
    age = now - datetime.fromtimestamp(path.stat().st_mtime, UTC)
    text = t("{path}: the copy of the ledger is {hours:,.0f} hours old", path=path, hours=age / timedelta(hours=1))
    return Finding(Level.WARNING if age > _OLDEST_COPY else Level.OK, "ledger", text)


def _server(config: Config, clock: Clock) -> Finding:
    try:
        open_the_ledger(config, clock, only_reads=True).close()
    except LedgerError as exc:
        return Finding(Level.ERROR, "ledger", str(exc))
    return Finding(Level.OK, "ledger", t("{server} can be read and written", server=config.ledger))


def _disk(folder: Path, free: int) -> Finding:
    text = t("{free:,.0f} MB are free on the disk of {folder}", free=free / _MEGABYTE, folder=folder)
    if free < RESERVE_BYTES:
        return Finding(
            Level.ERROR,
            "ledger",
            t(
                "{text}; a run stops below {reserve:,.0f} MB: free space",
                text=text,
                reserve=RESERVE_BYTES / _MEGABYTE,
            ),
        )
    level = Level.WARNING if free < _LITTLE_BYTES else Level.OK
    return Finding(level, "ledger", text)
