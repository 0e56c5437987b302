"""Users' ids and secrets that can't be mistaken, and the search for them in all that was said and written."""

import base64
import json
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.simulator.identities import default_identities

USER = "2088990000000077"
OPEN_ID = "oMARKopenidPlanted0077abcdEF"
CARD = "478500000077"
AGREEMENT = "20255109990000000077"
IDS = (USER, OPEN_ID, CARD, AGREEMENT)
# What a platform may say of a user, in a message or even in a code.
ECHO = f"user {USER} (openid {OPEN_ID}, card {CARD}) of agreement {AGREEMENT} is not known"
TOKEN = "201512BBMARKtoken0077MARKtoken"
PROXY_PASSWORD = "MARKproxyPassword0077"

# These hold rows as they were, by contract.
_HOLD_ROWS = {"rows_to_fix.csv", "rows_to_fix.xlsx", "backfill.db", "backfill.db-wal", "backfill.db-shm"}


def secrets(folder: Path) -> tuple[str, ...]:
    """Return every secret that the simulator's accounts may use, private keys line by line."""
    known = default_identities()
    keys = (path.read_text(encoding="ascii") for path in folder.glob("keys/*_key.pem"))
    lines = [line for key in keys if "PRIVATE" in key for line in key.splitlines() if not line.startswith("-----")]
    assert lines
    return (base64.b64encode(known.encrypt_key).decode(), known.apiv3_key.decode(), TOKEN, PROXY_PASSWORD, *lines)


def written(folder: Path) -> dict[str, str]:
    """Return the text of every file that the program wrote below a folder, except where rows stand by contract."""
    files = [path for part in ("reports", "state", "again") for path in (folder / part).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): _text(path) for path in files if path.name not in _HOLD_ROWS}


def _text(path: Path) -> str:
    if path.suffix == ".parquet":
        return json.dumps(pq.read_table(path).to_pylist(), ensure_ascii=False)
    return path.read_bytes().decode("utf-8", "replace")
