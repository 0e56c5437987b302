"""For all tests: their files are kept in memory, and the garbage collector leaves alone what lives to the end."""

import gc
import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_LEAST_BYTES = 4 << 30


def pytest_configure() -> None:
    """Keep files in memory where there is room: a ledger waits for the disk at each commit."""
    if "TMPDIR" not in os.environ and _has_room(_MEMORY):
        tempfile.tempdir = os.environ["TMPDIR"] = str(_MEMORY)


def pytest_collection_finish() -> None:
    """Freeze the modules and the tests: there are a million objects, which each full collection would visit."""
    gc.collect()
    gc.freeze()


def _has_room(folder: Path) -> bool:
    # Containers often have little memory there, and run no program from it.
    return (
        folder.is_dir()
        and shutil.disk_usage(folder).free >= _LEAST_BYTES
        and not os.statvfs(folder).f_flag & os.ST_NOEXEC
    )
