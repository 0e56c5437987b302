"""The ledger's place, from its URL: a file, or a database on a server."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pipeline.language import t
from pipeline.ledger.store.port import Server
from pipeline.settings.table import Table

DEFAULT_PATH = "state/backfill.db"
_SQLITE = "sqlite:///"
DEFAULT_URL = _SQLITE + DEFAULT_PATH
_POSTGRESQL = ("postgresql://", "postgres://")


def read_ledger(table: Table, folder: Path) -> Path | Server:
    """Return the ledger's place; report a faulty URL."""
    return place_of(table.text("url") or DEFAULT_URL, folder, partial(table.fault, "url"))


def place_of(url: str, folder: Path, fault: Callable[[str], None]) -> Path | Server:
    """Return the file, relative to `folder` unless absolute, or the server that a URL names; report its fault."""
    if url.startswith(_POSTGRESQL):
        _check_server(url, fault)
        return Server(url, Path(tempfile.gettempdir()))
    path = url.removeprefix(_SQLITE)
    if path == url:
        fault(t("must be sqlite:///PATH, or postgresql://USER@HOST/DB"))
    elif not path or path.endswith("/") or "\0" in path:
        fault(t("names no file; write {sqlite}PATH, such as {default_url}", sqlite=_SQLITE, default_url=DEFAULT_URL))
    elif path == ":memory:":
        fault(t("a ledger in memory would forget what was delivered; name a file"))
    return folder / path.replace("\0", "")


def _check_server(url: str, fault: Callable[[str], None]) -> None:
    try:
        parts = urlsplit(url)
        is_right = parts.port != 0 and len(parts.path) > 1 and "\0" not in url
        has_password = parts.password is not None or "password" in parse_qs(parts.query)
    except ValueError:
        is_right = has_password = False
    if has_password:
        fault(t("must not hold the password; libpq reads it from PGPASSFILE (~/.pgpass) or PGPASSWORD"))
    elif not is_right:
        fault(t("must be postgresql://USER@HOST/DB or postgresql://USER@HOST:PORT/DB"))
