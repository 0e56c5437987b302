"""Opens the ledger's file, and turns SQLite's errors into messages that say what to do."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from pipeline.errors import LedgerError
from pipeline.language import later, t
from pipeline.ledger.store.port import Damaged
from pipeline.ledger.store.schema import APPLICATION_ID, MIGRATIONS, VERSION

T = TypeVar("T")

# How long a process waits for a locked file.
BUSY_SECONDS = 20.0
# The size to which the write-ahead log is cut back once it was written to the file.
LOG_BYTES = 64 << 20
# Attempts to switch a new file to a write-ahead log, while other processes switch it too.
_SWITCHES = 100
# 40 MiB of pages in memory, for each of two connections.
_CACHE = "PRAGMA cache_size = -40960"
# Errors that the user can fix: the file's name, its permissions, or another process.
_USERS_FAULTS = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_NOTADB")
_GIVE_ACCESS = later("give this user write access to the file and its folder")


@contextmanager
def with_clear_errors(path: Path, *, if_damaged: str | None = None) -> Iterator[None]:
    """
    Raise LedgerError, with the cause and the next step, for each error of SQLite inside.

    `if_damaged` is the next step for a damaged file, if that file is not the ledger itself.
    """
    try:
        yield
    except (sqlite3.Error, Damaged) as exc:
        name = _error_name(exc)
        raise LedgerError(_sentence(path, exc, name, if_damaged), users_fault=name.startswith(_USERS_FAULTS)) from exc


def _error_name(exc: sqlite3.Error | Damaged) -> str:
    if isinstance(exc, Damaged):
        return "SQLITE_CORRUPT"
    if str(exc).startswith("Could not decode to UTF-8"):
        # Python gives this error no code, and its text has the data that was read, which may name a user.
        return "SQLITE_CORRUPT"
    return getattr(exc, "sqlite_errorname", None) or ""


def _sentence(path: Path, exc: sqlite3.Error | Damaged, name: str, if_damaged: str | None) -> str:
    advice = {
        "SQLITE_FULL": t("the disk is full; free space and resume the run: what was delivered is kept"),
        "SQLITE_READONLY": t("it can't be written; {give_access}", give_access=t(_GIVE_ACCESS)),
        "SQLITE_CANTOPEN": t("it can't be opened; check that the folder exists and that this user may write there"),
        "SQLITE_BUSY": t("another process keeps it locked; wait for that process or end it, then try again"),
        "SQLITE_LOCKED": t("another process keeps it locked; wait for that process or end it, then try again"),
        "SQLITE_NOTADB": t("the file is no ledger; name another one in [ledger] url"),
        "SQLITE_CORRUPT": t("the file is damaged; restore it from a backup, as docs/backup.md says"),
        "SQLITE_IOERR": t("the disk reports an error; check it, then resume the run"),
    }
    if if_damaged is not None:
        advice |= {"SQLITE_NOTADB": if_damaged, "SQLITE_CORRUPT": if_damaged}
    sentence = next((text for prefix, text in advice.items() if name.startswith(prefix)), str(exc))
    return t("ledger {path}: {sentence} ({value})", path=path, sentence=sentence, value=name or type(exc).__name__)


def connect(path: Path, *, durable: bool = True) -> sqlite3.Connection:
    """
    Open a connection in autocommit mode, usable from any one thread at a time.

    With `durable` a commit returns once it is on disk. Without it a commit survives the death of the process, but not
    of the machine.
    """
    connection = _connected(path.absolute().as_uri())
    if not path.exists() or not path.stat().st_size:
        # Free pages can then be returned to the disk a few at a time. In an existing file it has no effect.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _write_ahead(connection)
    # NORMAL does not sync each commit, and still keeps the file intact when the machine loses power.
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    connection.execute(_CACHE)
    connection.execute("PRAGMA temp_store = FILE")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """
    Switch the file to a write-ahead log, if it has none.

    If two processes switch a new file at once, SQLite refuses one of them without waiting, to avoid a deadlock. That
    one waits here until the file is free, and finds it switched.
    """
    switch = "PRAGMA journal_mode = WAL"
    for _ in range(_SWITCHES):
        try:
            connection.execute(switch)
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
        else:
            return
    connection.execute(switch)


class Connect(Protocol):
    """Opens a file; `connect`, unless a test replaces it."""

    def __call__(self, path: Path, *, durable: bool = True) -> sqlite3.Connection:
        """Open a connection in autocommit mode."""
        ...


def open_ledger(path: Path, connect: Connect = connect) -> sqlite3.Connection:
    """
    Open the ledger for writing. Create it if there is none, readable only by its owner; migrate it to this version.

    Raises LedgerError if the file is no ledger, newer than this program, damaged, locked or not writable.
    """
    with with_clear_errors(path):
        make_file(path)
        _check_identity(path)
        connection = connect(path)
        try:
            _migrate(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """
    Open the ledger read-only; if there is none, return an empty one in memory.

    Raises LedgerError as `open_ledger` does, and if an older version of this program wrote the file.
    """
    try:
        is_there = path.stat().st_size > 0
    except FileNotFoundError:
        is_there = False
    except OSError as exc:
        raise LedgerError(
            t(
                "ledger {path}: {reason}; check [ledger] url and the folder's permissions",
                path=path,
                reason=exc.strerror,
            )
        ) from exc
    if not is_there:
        return empty_ledger()
    if _check_identity(path) < VERSION:
        raise LedgerError(
            t(
                "ledger {path}: it was written by an older backfill; `backfill runs` brings it up to date, where "
                "it can be written",
                path=path,
            )
        )
    connection = _read_only(path)
    connection.execute(_CACHE)
    return connection


def empty_ledger() -> sqlite3.Connection:
    """Return an empty ledger in memory."""
    empty = sqlite3.connect(":memory:", isolation_level=None)
    _migrate(empty)
    return empty


def is_writable(path: Path) -> bool:
    """Return whether an existing ledger can be written. SQLite also creates files beside it."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _read_only(path: Path) -> sqlite3.Connection:
    """
    Return a read-only connection. Raises LedgerError if the newest lines can't be read without writing.

    SQLite reads a write-ahead log through a file beside it (`-shm`), which it creates if there is none. If it may not
    create one and there is no log, no process writes to the file: then it is read as it is.
    """
    uri = path.absolute().as_uri()
    connection = _connected(f"{uri}?mode=ro")
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as exc:
        connection.close()
        if exc.sqlite_errorcode != sqlite3.SQLITE_CANTOPEN or is_writable(path):
            raise
    else:
        return connection
    log = wal_path(path)
    if log.exists() and log.stat().st_size:
        raise LedgerError(
            t(
                "ledger {path}: it can't be written, and its newest lines lie in {log}, which SQLite can't read "
                "there. Copy {file} and {log} into a folder that can be written, and name that in [ledger] url",
                path=path,
                log=log.name,
                file=path.name,
            )
        )
    return open_without_log(path)


def open_without_log(path: Path) -> sqlite3.Connection:
    """Open a file as it is on disk, read-only, without its write-ahead log and without locks."""
    return _connected(f"{path.absolute().as_uri()}?immutable=1")


def _connected(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def wal_path(path: Path) -> Path:
    """Return the path of the write-ahead log of a file."""
    return path.with_name(path.name + "-wal")


def make_file(path: Path) -> None:
    """Create the file and its folder, if there is none; raise LedgerError if that is not possible."""
    if path.is_dir():
        raise LedgerError(t("ledger {path}: that is a folder; name a file in [ledger] url", path=path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The ledger has the bodies of requests until these are confirmed: only its owner may read them.
        path.touch(mode=0o600, exist_ok=True)
    except OSError as exc:
        raise LedgerError(
            t(
                "ledger {path}: {reason}; check [ledger] url and the folder's permissions",
                path=path,
                reason=exc.strerror,
            )
        ) from exc
    # SQLite would open it, and leave a log that stays read-only after the file's permissions are fixed.
    if not os.access(path, os.W_OK):
        raise LedgerError(
            t("ledger {path}: it can't be written; {give_access}", path=path, give_access=t(_GIVE_ACCESS))
        )


def _check_identity(path: Path) -> int:
    """Return the version of the file; raise LedgerError if it is no ledger, or newer than this program."""
    # Read-only: a file of another program must not even be switched to a write-ahead log.
    with closing(_read_only(path)) as connection:
        # In one transaction: another process may create the tables meanwhile.
        connection.execute("BEGIN")
        application, version, tables = (
            connection.execute(query).fetchone()[0]
            for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        )
    is_new = tables == 0
    if not is_new and application != APPLICATION_ID:
        raise LedgerError(
            t("ledger {path}: the file is a database of another program; name another one in [ledger] url", path=path)
        )
    if version > VERSION:
        raise LedgerError(
            t(
                "ledger {path}: it was written by a newer backfill (ledger version {version}, this program knows "
                "{known}); install that version or newer",
                path=path,
                version=version,
                known=VERSION,
            )
        )
    return int(version)


def _migrate(connection: sqlite3.Connection) -> None:
    while True:
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Read inside the transaction: another process may have migrated the file meanwhile.
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version < VERSION:
                for statement in MIGRATIONS[version].split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        if version >= VERSION:
            return
