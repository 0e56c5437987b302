"""The sample exports are what their generator makes, so that nobody mends one by hand."""

import gzip
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SAMPLE_DATA = Path(__file__).parents[2] / "sample_data"


def content(path: Path) -> bytes | pa.Table:
    """Return what a file holds; how it is compressed is its library's choice."""
    if path.suffix == ".parquet":
        return pq.read_table(path, partitioning=None)
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def exports(folder: Path) -> dict[str, bytes | pa.Table]:
    files = (path for path in sorted((folder / "exports").rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): content(path) for path in files}


def test_making_the_samples_anew_gives_the_samples_that_are_there(tmp_path: Path) -> None:
    """The generator makes every export that the checkout holds, and no other, with the same content."""
    script = SAMPLE_DATA / "make_sample_data.py"

    subprocess.run([sys.executable, "-B", str(script), str(tmp_path)], check=True)

    assert exports(tmp_path) == exports(SAMPLE_DATA)
