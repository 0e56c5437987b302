"""Files as they are stored: compressed, damaged, misnamed, changed."""

import bz2
import gzip
import hashlib
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import fs

from pipeline.errors import SourceError
from pipeline.model import BadRow, CsvFormat, Fault, Row
from pipeline.read import SourceFile, open_source, sha256_of, verify_unchanged

Read = Callable[..., tuple[tuple[str, ...], list[Row | BadRow]]]
Write = Callable[..., SourceFile]

PLAIN = b"a,b\n" + b"1,2\n" * 50_000


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def zipped(data: bytes) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("orders.csv", data)
    return file.getvalue()


def read_all(file: SourceFile) -> str:
    with open_source(file, CsvFormat()) as source:
        for _ in source:
            pass
        return source.sha256


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("orders.csv", PLAIN, id="plain"),
        pytest.param("orders.csv.gz", gzip.compress(PLAIN), id="gzip"),
        pytest.param("orders.csv.gz", gzip.compress(PLAIN[:1001]) + gzip.compress(PLAIN[1001:]), id="two-gzips-in-one"),
        pytest.param("orders.csv.gz", gzip.compress(b"") + gzip.compress(PLAIN), id="nothing-and-a-gzip"),
        pytest.param("orders.csv.zst", zstd(PLAIN), id="zstd"),
        pytest.param("orders.csv.bz2", bz2.compress(PLAIN), id="bz2"),
        pytest.param("part-00000", gzip.compress(PLAIN), id="gzip-without-an-ending"),
        pytest.param("orders.parquet.csv", PLAIN, id="csv-after-all"),
    ],
)
def test_a_file_is_decompressed_by_name_and_bytes(write: Write, name: str, data: bytes) -> None:
    """A file is decompressed by its name and bytes; its hash covers the stored bytes."""
    source = open_source(write(data, name), CsvFormat())
    assert source.sha256 == ""
    assert sum(len(chunk.rows) for chunk in source) == source.rows == 50_000
    assert source.sha256 == hashlib.sha256(data).hexdigest() == sha256_of(write(data, name))


@pytest.mark.parametrize("header", [b"PAR1,b\n1,2\n", b"PK,b\n1,2\n", b"BZh9,b\n1,2\n"], ids=["PAR1", "PK", "BZh9"])
def test_a_column_may_have_the_name_of_a_format(read: Read, header: bytes) -> None:
    """A CSV whose first column is named like a format's first letters is still a CSV."""
    assert read(header)[1] == [Row(1, ("1", "2"))]


GZIP = gzip.compress(PLAIN)
ZSTD = zstd(PLAIN)
BZ2 = bz2.compress(PLAIN)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        pytest.param("o.csv.gz", GZIP[:-9], "o.csv.gz can't be read: Truncated compressed stream", id="gzip-cut-short"),
        pytest.param(
            "o.csv.gz", GZIP[:20], "o.csv.gz can't be read: Truncated compressed stream", id="gzip-head-alone"
        ),
        pytest.param(
            "o.csv.gz",
            GZIP[:-6] + b"\0" + GZIP[-5:],
            "o.csv.gz can't be read: zlib inflate failed: incorrect data check",
            id="gzip-checksum",
        ),
        pytest.param(
            "o.csv.gz",
            GZIP + b"more",
            "o.csv.gz can't be read: zlib inflate failed: incorrect header check",
            id="gzip-and-more",
        ),
        pytest.param(
            "o.csv.zst", ZSTD[:-5], "o.csv.zst can't be read: Truncated compressed stream", id="zstd-cut-short"
        ),
        pytest.param("o.csv.bz2", BZ2[:-5], "o.csv.bz2 can't be read: Truncated compressed stream", id="bz2-cut-short"),
        pytest.param(
            "o.csv.bz2",
            BZ2[:10] + b"\0" + BZ2[11:],
            "o.csv.bz2 can't be read: bz2 decompress failed: invalid bz2 data",
            id="bz2-damaged",
        ),
        pytest.param(
            "o.csv.gz",
            PLAIN,
            "o.csv.gz is damaged or misnamed: it does not begin as gzip does; fetch it again",
            id="gzip-without-its-head",
        ),
        pytest.param(
            "o.parquet",
            PLAIN,
            "o.parquet is damaged or misnamed: it does not begin as Parquet does; fetch it again",
            id="csv-called-parquet",
        ),
        pytest.param(
            "o.csv",
            zipped(PLAIN),
            "o.csv is a ZIP archive; unpack it, or compress it with gzip, zstd or bzip2",
            id="zip",
        ),
        pytest.param(
            "o.csv.gz",
            gzip.compress(GZIP),
            "o.csv.gz holds gzip where text is expected; unpack it first",
            id="gzip-in-gzip",
        ),
        pytest.param(
            "o.parquet.gz",
            gzip.compress(b"PAR1\x15\x04"),
            "o.parquet.gz holds Parquet where text is expected; unpack it first",
            id="parquet-in-gzip",
        ),
        pytest.param(
            "o.csv.gz",
            gzip.compress(b""),
            "o.csv.gz holds nothing but blank lines; export it again, with a header",
            id="nothing-in-gzip",
        ),
    ],
)
def test_a_damaged_file_is_refused_by_name(write: Write, name: str, data: bytes, message: str) -> None:
    """A truncated, damaged or misnamed file raises an error that names the file and the cause."""
    file = write(data, name)
    with pytest.raises(SourceError) as refused:
        read_all(file)
    assert str(refused.value).removesuffix("; nothing was sent from it") == message


def test_a_gzip_bomb_needs_little_memory(write: Write) -> None:
    """100 MB without a line feed, compressed to 100 KB, are one bad row."""
    sink = BytesIO()
    with gzip.GzipFile(fileobj=sink, mode="wb", compresslevel=1) as bomb:
        bomb.write(b"a\n")
        for _ in range(100):
            bomb.write(b"0" * (1 << 20))
        bomb.write(b"\n1\n")
    file = write(sink.getvalue(), "bomb.csv.gz")
    tracemalloc.start()
    rows = [row for chunk in open_source(file, CsvFormat()) for row in chunk.rows]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    too_long = Fault("line_too_long", f"the line is longer than {12 << 20} bytes")
    assert rows == [BadRow(1, too_long), Row(2, ("1",))]
    assert peak < 80 << 20


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"3,4\n")


def rewrite(path: Path) -> None:
    then = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(then, then + 1_000_000_000))


def swap(path: Path) -> None:
    seen = path.stat()
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        pytest.param(append, "8 bytes then, 12 now", id="longer"),
        pytest.param(rewrite, "it was rewritten", id="written-anew"),
        pytest.param(swap, "another file replaced it", id="replaced"),
    ],
)
def test_a_changed_file_is_noticed(write: Write, change: Callable[[Path], None], what: str) -> None:
    """A file that grew, was rewritten or was replaced is refused, at the latest after its end was read."""
    file = write(b"a,b\n1,2\n")
    verify_unchanged(file)
    source = open_source(file, CsvFormat())
    change(Path(file.path))
    message = f"orders.csv changed after it was found: {what}; nothing was sent from it; run again once it is complete"
    with pytest.raises(SourceError) as refused:
        list(source)
    assert str(refused.value) == message
    with pytest.raises(SourceError) as refused:
        verify_unchanged(file)
    assert str(refused.value) == message


@pytest.mark.parametrize("act", [verify_unchanged, sha256_of, read_all])
def test_a_removed_file_is_reported(write: Write, act: Callable[[SourceFile], object]) -> None:
    """A file removed after it was found is an error that names it."""
    file = write(b"a\n1\n", "gone.csv")
    Path(file.path).unlink()
    with pytest.raises(SourceError) as refused:
        act(file)
    assert str(refused.value) == "gone.csv can't be read: No such file or directory; nothing was sent from it"


def test_a_file_in_a_store_is_read_like_a_local_one(write: Write) -> None:
    """A file in a pyarrow file system is hashed, read and checked for changes like a local file."""
    here = write(gzip.compress(PLAIN), "there.csv.gz")
    there = replace(here, filesystem=fs.LocalFileSystem(), fingerprint=replace(here.fingerprint, inode=None))
    assert read_all(there) == sha256_of(there) == sha256_of(here)
    Path(there.path).unlink()
    with pytest.raises(SourceError):
        verify_unchanged(there)


def test_a_source_closes_its_file(write: Write) -> None:
    """Leaving the context closes the file before its end; closing twice does nothing."""
    with open_source(write(gzip.compress(PLAIN), "left.csv.gz"), CsvFormat()) as source:
        next(iter(source))
    source.close()
    with pytest.raises(ValueError, match="closed"):
        list(source)


def test_partitions_become_columns(read: Read) -> None:
    """A hive folder gives its value to every row, bad rows included, unless the file has that column."""
    name = "day=2026-03-31/city=%E5%8C%97/none=__HIVE_DEFAULT_PARTITION__/a=9/orders.csv"
    rule = "does not have one cell for each column of the file"
    assert read(b"a,b\n1,2\n3\n4,5,6\n", name=name) == (
        ("a", "b", "day", "city", "none"),
        [
            Row(1, ("1", "2", "2026-03-31", "北", None)),
            BadRow(
                2,
                Fault("ragged", "1 cell where the header has 2", rule=rule),
                ("3", "\ufffd", "2026-03-31", "北", None),
            ),
            BadRow(
                3,
                Fault("ragged", "3 cells where the header has 2", rule=rule),
                ("4", "5,6\ufffd", "2026-03-31", "北", None),
            ),
        ],
    )
