"""
Limits of the machine: each does one indispensable step and nothing else.

    python -m benchmarks.limits sign COUNT | read FILE TIMES | write FILE | sync COUNT | commit COUNT

Files are written into the working directory.
"""

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

_BLOCK = bytes(4096)
_TEXT = bytes(500)


def sign(count: str) -> None:
    """Sign texts of the size of a request with RSA-2048."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415 - each limit imports only what it needs
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - as above

    from pipeline.simulator.identities import default_identities  # noqa: PLC0415 - as above

    key, padding, algorithm = default_identities().alipay.private, PKCS1v15(), SHA256()
    for _ in range(int(count)):
        key.sign(_TEXT, padding, algorithm)


def read(name: str, times: str) -> None:
    """Read a CSV or Parquet file batch by batch, all columns as text, and drop the batches."""
    for _ in range(int(times)):
        for _ in _parquet(name) if name.endswith(".parquet") else _csv(name):
            pass


def _parquet(name: str) -> Iterator[object]:
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415 - as above

    with ParquetFile(name) as file:
        yield from file.iter_batches()


def _csv(name: str) -> Iterator[object]:
    import pyarrow as pa  # noqa: PLC0415 - as above
    from pyarrow import csv  # noqa: PLC0415 - as above

    with Path(name).open(encoding="utf-8") as text:
        columns = text.readline().strip().split(",")
    as_text = csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()))
    yield from csv.open_csv(name, convert_options=as_text)


def write(name: str) -> None:
    """Copy a CSV file batch by batch."""
    from pyarrow import csv  # noqa: PLC0415 - as above

    with csv.open_csv(name) as batches, csv.CSVWriter("written.csv", batches.schema) as file:
        for batch in batches:
            file.write_batch(batch)


def sync(count: str) -> None:
    """Append blocks to a file and sync after each."""
    with Path("synced").open("wb", buffering=0) as file:
        for _ in range(int(count)):
            file.write(_BLOCK)
            os.fdatasync(file.fileno())


def commit(count: str) -> None:
    """Commit rows one by one, each on disk before the next."""
    connection = sqlite3.connect("committed.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS done (name TEXT PRIMARY KEY, text BLOB) WITHOUT ROWID")
    connection.execute("DELETE FROM done")
    for number in range(int(count)):
        connection.execute("INSERT INTO done VALUES (?, ?)", (f"D{number:012d}", _TEXT))


_ACTS: Mapping[str, Callable[..., None]] = {
    "sign": sign, "read": read, "write": write, "sync": sync, "commit": commit,
}  # fmt: skip

if __name__ == "__main__":
    _ACTS[sys.argv[1]](*sys.argv[2:])
