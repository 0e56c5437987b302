"""Where the ledger is kept, from its URL."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pipeline.settings.model import LedgerUrl, PostgresUrl, SqliteUrl
from pipeline.settings.table import Table

DEFAULT_URL = "sqlite:///state/backfill.db"
_SQLITE = "sqlite:///"
_POSTGRES = "postgresql://"


def ledger_url(table: Table, folder: Path) -> LedgerUrl:
    """Return the ledger's place, a file's path taken from `folder`; its fault is told."""
    text = table.text("url") or DEFAULT_URL
    if text.startswith(_SQLITE):
        return SqliteUrl(folder / _sqlite_path(table, text.removeprefix(_SQLITE)))
    if text.startswith(_POSTGRES):
        _check_postgres(table, text)
    else:
        table.fault("url", f"must be {_SQLITE}PATH or {_POSTGRES}USER@HOST/DB")
    return PostgresUrl(text)


def _sqlite_path(table: Table, path: str) -> str:
    if not path or path.endswith("/") or "\0" in path:
        table.fault("url", f"names no file; write {_SQLITE}PATH, such as {DEFAULT_URL}")
    elif path == ":memory:":
        table.fault("url", "a ledger in memory would forget what was delivered; name a file")
    return path.replace("\0", "")


def _check_postgres(table: Table, text: str) -> None:
    try:
        parts = urlsplit(text)
        names_all = bool(parts.hostname) and len(parts.path) > 1 and parts.port != 0
        has_password = parts.password is not None or "password" in parse_qs(parts.query)
    except ValueError:
        names_all = has_password = False
    if has_password:
        table.fault("url", "a password never stands in the config; put it into ~/.pgpass or PGPASSWORD")
    elif not names_all:
        table.fault("url", f"must be {_POSTGRES}USER@HOST/DB, with :PORT behind the host if any")
