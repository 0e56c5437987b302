"""The sample exports equal the generator's output, so that nobody edits one by hand."""

import gzip
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SAMPLE_DATA = Path(__file__).parents[2] / "sample_data"


def content(path: Path) -> bytes | pa.Table:
    """Return the decompressed content of a file, because the compression depends on the library's version."""
    if path.suffix == ".parquet":
        return pq.read_table(path, partitioning=None)
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def exports(folder: Path) -> dict[str, bytes | pa.Table]:
    files = (path for path in sorted((folder / "exports").rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): content(path) for path in files}


def test_the_generator_makes_the_same_samples(tmp_path: Path) -> None:
    """The generator makes exactly the exports of the checkout, with the same content."""
    script = SAMPLE_DATA / "make_sample_data.py"

    subprocess.run([sys.executable, "-B", str(script), str(tmp_path)], check=True)

    assert exports(tmp_path) == exports(SAMPLE_DATA)
