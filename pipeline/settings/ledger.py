"""The ledger's file, from its URL."""

from pathlib import Path

from pipeline.language import t
from pipeline.settings.table import Table

DEFAULT_URL = "sqlite:///state/backfill.db"
_SQLITE = "sqlite:///"


def read_ledger_path(table: Table, folder: Path) -> Path:
    """Return the path of the ledger's file, relative to `folder` unless absolute; report a faulty URL."""
    url = table.text("url") or DEFAULT_URL
    path = url.removeprefix(_SQLITE)
    if url.startswith("postgresql:"):
        table.fault(
            "url", t("a ledger in PostgreSQL is not supported in this version; write {sqlite}PATH", sqlite=_SQLITE)
        )
    elif path == url:
        table.fault("url", t("must be {sqlite}PATH", sqlite=_SQLITE))
    elif not path or path.endswith("/") or "\0" in path:
        table.fault(
            "url",
            t("names no file; write {sqlite}PATH, such as {default_url}", sqlite=_SQLITE, default_url=DEFAULT_URL),
        )
    elif path == ":memory:":
        table.fault("url", t("a ledger in memory would forget what was delivered; name a file"))
    return folder / path.replace("\0", "")
