"""Parquet files that unpack to much more than their size."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import SourceError
from pipeline.read import Source, SourceFile, sha256_of
from pipeline.read.parquet.page_sizes import ParquetBounds, measured_pages
from pipeline.read.parquet.reader import ParquetReader
from pipeline.read.ports import EveryColumn

Write = Callable[..., SourceFile]

MIB = 1 << 20
LARGE_PAGES = {"data_page_size": 1 << 30, "dictionary_pagesize_limit": 1 << 30, "compression": "zstd"}


def parquet(columns: Mapping[str, Any], **options: Any) -> bytes:
    file = BytesIO()
    pq.write_table(pa.table(dict(columns)), file, **{**LARGE_PAGES, **options})
    return file.getvalue()


def repeated(value: str, rows: int) -> Any:
    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows), pa.array([value]))


def read(file: SourceFile, bounds: ParquetBounds, chunk_rows: int = 8192) -> list[int]:
    """Return the number of rows of each chunk."""
    reader = ParquetReader(file, int96=None, uses=EveryColumn(), chunk_rows=chunk_rows, bounds=bounds)
    with Source(file, reader) as source:
        return [len(chunk) for chunk in source]


SMALL = ParquetBounds(page_bytes=MIB, dictionary_bytes=MIB, open_bytes=3 * MIB, chunk_bytes=MIB)

TOO_LARGE = "unpacks to 2 MiB, and the limit is 1 MiB; write the file with pages and dictionaries of 1 MiB"


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        pytest.param(
            {"a": ["1"] * 20, "x": ["0" * 100_000] * 20},
            {"use_dictionary": False},
            f"column x has a page that {TOO_LARGE}",
            id="page",
        ),
        pytest.param(
            {"x": ["0" * 100_000] * 20},
            {"use_dictionary": False, "data_page_version": "2.0"},
            f"column x has a page that {TOO_LARGE}",
            id="page-of-the-second-version",
        ),
        pytest.param(
            {"x": [f"{at:0100000}" for at in range(20)]},
            {},
            f"column x has a dictionary that {TOO_LARGE}",
            id="dictionary",
        ),
        pytest.param(
            {name: [os.urandom(400_000).hex()] for name in "abcd"},
            {"use_dictionary": False},
            "the pages of its 4 columns take 3 MiB together, and the limit is 3 MiB (column a has the largest); "
            "write the file with pages and dictionaries of 1 MiB, or with only the columns that the job needs",
            id="all-columns",
        ),
        pytest.param(
            {"x": [[{"y": "0" * 100_000}] * 20]},
            {"use_dictionary": False},
            f"column x.list.element.y has a page that {TOO_LARGE}",
            id="within-a-list",
        ),
    ],
)
def test_a_file_that_unpacks_beyond_a_bound_is_refused(
    write: Write, columns: Mapping[str, Any], options: Mapping[str, Any], message: str
) -> None:
    """A page, a dictionary or a sum of open pages over its bound is reported before it is unpacked."""
    file = write(parquet(columns, **options), "o.parquet")
    with pytest.raises(SourceError) as refused:
        read(file, SMALL)
    assert str(refused.value) == f"o.parquet: {message}"


def test_long_values_make_small_chunks(write: Write) -> None:
    """Long values, hidden by a dictionary or a shared prefix, give chunks of few rows."""
    plain = parquet({"x": ["0" * 100_000] * 30}, use_dictionary=False, data_page_size=1, write_batch_size=1)
    by_dictionary = parquet({"x": repeated("0" * 100_000, 30)})
    among_short = parquet({"x": ["0" * 100_000, *(f"{at:030}" for at in range(3000))] * 2})
    by_prefix = parquet(
        {"x": ["0" * 100_000] * 30},
        use_dictionary=False,
        column_encoding={"x": "DELTA_BYTE_ARRAY"},
    )
    small = [read(write(data, "o.parquet"), SMALL) for data in (plain, by_dictionary, among_short, by_prefix)]
    assert [max(rows) for rows in small] == [10, 10, 10, 10]
    assert [sum(rows) for rows in small] == [30, 30, 6002, 30]


def test_short_values_make_full_chunks(write: Write) -> None:
    """Short values give full chunks over several row groups, with and without dictionaries."""
    columns = {"x": [f"{at:020}" for at in range(5000)], "y": pa.array(range(5000)), "z": ["a", None] * 2500}
    for dictionary in (True, False):
        file = write(parquet(columns, row_group_size=1500, use_dictionary=dictionary), "o.parquet")
        assert read(file, ParquetBounds(), 2000) == [2000, 2000, 1000]


def test_page_sizes_are_those_that_arrow_writes(write: Write) -> None:
    """The largest page and dictionary of each column and row group are found, and the file's hash."""
    data = parquet({"x": ["a" * 996, "b" * 996] * 10, "y": ["c"] * 20}, row_group_size=10, compression="none")
    file = write(data, "o.parquet")
    groups, sha256 = measured_pages(file, ParquetBounds())
    assert [(group.rows, [column.name for column in group.columns]) for group in groups] == [(10, ["x", "y"])] * 2
    assert [(c.dictionary_bytes, c.dictionary_values) for c in groups[0].columns] == [(2000, 2), (5, 1)]
    assert sha256 == sha256_of(file)


# Prints the number of rows read and the peak memory in KiB.
_MEASURE = """
import datetime, pathlib, sys
from pipeline.model import CsvFormat
from pipeline.read import find_inputs, open_source
file = find_inputs([sys.argv[1]], base=pathlib.Path("/"), date=datetime.date(2026, 3, 31))[0]
print(sum(len(chunk) for chunk in open_source(file, CsvFormat())))
print(pathlib.Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


def random_text(size: int, count: int) -> list[str]:
    return [os.urandom(size // 2).hex() for _ in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("columns", "options"),
    [
        pytest.param(lambda: {name: repeated("0" * 20, 1_000_000) for name in "abcd"}, {}, id="equal-rows"),
        pytest.param(lambda: {"x": repeated("0" * MIB, 300)}, {}, id="a-long-value-in-a-dictionary"),
        pytest.param(
            lambda: {"x": repeated("0" * MIB, 100).dictionary_decode()},
            {"use_dictionary": False, "column_encoding": {"x": "DELTA_BYTE_ARRAY"}},
            id="a-long-beginning-that-values-share",
        ),
        pytest.param(lambda: {"x": random_text(64, 900_000)}, {"use_dictionary": False}, id="one-page"),
        pytest.param(
            lambda: {name: random_text(64, 230_000) for name in "abcde"}, {"use_dictionary": False}, id="all-pages"
        ),
        pytest.param(lambda: {"x": random_text(8 * MIB, 7)}, {"use_dictionary": False}, id="a-few-values"),
        pytest.param(lambda: {name: random_text(64, 220_000) for name in "ab"}, {}, id="dictionaries"),
    ],
)
def test_reading_takes_less_than_300_mib(
    tmp_path: Path, columns: Callable[[], Mapping[str, Any]], options: Mapping[str, Any]
) -> None:
    """Reading any accepted file stays below 300 MiB, also at the bounds."""
    made = columns()
    path = tmp_path / "o.parquet"
    path.write_bytes(parquet(made, row_group_size=1 << 30, **options))
    command = [sys.executable, "-c", _MEASURE, str(path)]
    rows, peak_kib = map(int, subprocess.run(command, capture_output=True, check=True).stdout.split())
    assert rows == len(next(iter(made.values())))
    assert peak_kib < 300 * 1024
