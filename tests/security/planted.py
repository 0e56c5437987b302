"""Unmistakable user ids and secrets, and the texts of all written files to search for them."""

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
# A message of a platform about a user; it may even be in a code.
ECHO = f"user {USER} (openid {OPEN_ID}, card {CARD}) of agreement {AGREEMENT} is not known"
TOKEN = "201512BBMARKtoken0077MARKtoken"
PROXY_PASSWORD = "MARKproxyPassword0077"

# These files hold rows unchanged, by contract.
_HOLD_ROWS = {"rows_to_fix.csv", "rows_to_fix.xlsx", "backfill.db", "backfill.db-wal", "backfill.db-shm"}


def secrets(folder: Path) -> tuple[str, ...]:
    """Return all secrets of the simulator's accounts, private keys line by line."""
    known = default_identities()
    keys = (path.read_text(encoding="ascii") for path in folder.glob("keys/*_key.pem"))
    lines = [line for key in keys if "PRIVATE" in key for line in key.splitlines() if not line.startswith("-----")]
    assert lines
    return (base64.b64encode(known.encrypt_key).decode(), known.apiv3_key.decode(), TOKEN, PROXY_PASSWORD, *lines)


def written(folder: Path) -> dict[str, str]:
    """Return the text of each file that the program wrote in a folder, except those that hold rows by contract."""
    files = [path for part in ("reports", "state", "again") for path in (folder / part).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): _text(path) for path in files if path.name not in _HOLD_ROWS}


def _text(path: Path) -> str:
    if path.suffix == ".parquet":
        return json.dumps(pq.read_table(path).to_pylist(), ensure_ascii=False)
    return path.read_bytes().decode("utf-8", "replace")
