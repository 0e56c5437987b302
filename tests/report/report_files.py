"""The files of a report, and a disk that is full."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

import pyarrow.parquet as pq


def report_files(folder: Path) -> dict[str, object]:
    """Return the files of a report: bytes, the table of a Parquet file, the members of a workbook."""
    found: dict[str, object] = {}
    for path in folder.iterdir():
        if path.suffix == ".xlsx":
            with ZipFile(path) as archive:
                found[path.name] = {name: archive.read(name) for name in archive.namelist()}
        else:
            found[path.name] = pq.read_table(path) if path.suffix == ".parquet" else path.read_bytes()
    return found


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """
    Limit the files of this process to a size in bytes: further writes fail as on a full disk.

    It holds for processes that it starts, too.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
