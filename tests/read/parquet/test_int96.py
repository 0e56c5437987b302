"""INT96 times in Parquet, which have neither UTC nor a zone."""

import datetime
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import SourceError
from pipeline.model import CsvFormat, Int96, Row
from pipeline.read import SourceFile, open_source
from tests.cases.inputs import written_by
from tests.read.job_columns import JobColumns

Write = Callable[..., SourceFile]

EVENING = datetime.datetime(2025, 11, 20, 18, 30)  # noqa: DTZ001 - INT96 has no zone
UTC, LOCAL = "2025-11-20T18:30:00+00:00", "2025-11-20 18:30:00"
PARQUET_MR = "parquet-mr version 1.13.1 (build db4183109d5b734ec5930d870cdae161e408ddba)"


@pytest.fixture
def int96(tmp_path: Path) -> Callable[..., bytes]:
    """Return a file with INT96 times, its writer and the keys of its footer."""

    def int96(
        created_by: str | None, keys: dict[str, str] | None = None, column: str = "name", moment: Any = EVENING
    ) -> bytes:
        columns: dict[str, Any] = {"code": ["1"], "points": ["2"], column: pa.array([moment], pa.timestamp("us"))}
        path = tmp_path / "made.parquet"
        with pq.ParquetWriter(
            path, pa.table(columns).schema, use_deprecated_int96_timestamps=True, store_schema=False
        ) as writer:
            writer.write_table(pa.table(columns))
            if keys:
                writer.add_key_value_metadata(keys)
        if created_by:
            written_by(path, created_by)
        return path.read_bytes()

    return int96


def read(file: SourceFile, int96: Int96 | None = None) -> list[Any]:
    with open_source(file, CsvFormat(), int96=int96, uses=JobColumns()) as source:
        return [row.cells[2] for chunk in source for row in chunk.rows if isinstance(row, Row)]


@pytest.mark.parametrize(
    ("created_by", "keys"),
    [
        pytest.param(PARQUET_MR, {"org.apache.spark.version": "3.5.1"}, id="spark"),
        pytest.param(PARQUET_MR, {"org.apache.spark.sql.parquet.row.metadata": "{}"}, id="older-spark"),
        pytest.param("Apache Spark 4.1.0", None, id="spark-by-name"),
        pytest.param(PARQUET_MR, None, id="their-library"),
        pytest.param(PARQUET_MR, {"writer.time.zone": "Asia/Shanghai"}, id="hive"),
        pytest.param(PARQUET_MR, {"writer.model.name": "hive"}, id="hive-by-model"),
        pytest.param("parquet-mr-trino version 440 (build n/a)", None, id="trino"),
        pytest.param("Trino version 476", {"writer.time.zone": "UTC"}, id="trino-by-name"),
    ],
)
def test_times_of_spark_hive_and_trino_are_utc(
    write: Write, int96: Callable[..., bytes], created_by: str, keys: dict[str, str] | None
) -> None:
    """A footer of Spark, Hive or Trino means UTC, whatever the job says."""
    file = write(int96(created_by, keys), "o.parquet")
    assert [read(file), read(file, Int96.UTC), read(file, Int96.LOCAL)] == [[UTC]] * 3


@pytest.mark.parametrize(
    ("created_by", "keys"),
    [
        pytest.param("impala version 4.4.0-RELEASE (build 0)", None, id="impala"),
        pytest.param(None, None, id="arrow"),
        pytest.param(PARQUET_MR, {"writer.model.name": "avro"}, id="another-program-with-their-library"),
        pytest.param("presto version 1", {"spark": "yes"}, id="a-key-that-says-nothing"),
    ],
)
def test_times_of_other_writers_follow_the_job(
    write: Write, int96: Callable[..., bytes], created_by: str | None, keys: dict[str, str] | None
) -> None:
    """For other writers the job decides; if it does not, the error names file and column."""
    file = write(int96(created_by, keys), "o.parquet")
    assert (read(file, Int96.UTC), read(file, Int96.LOCAL)) == ([UTC], [LOCAL])
    with pytest.raises(SourceError) as refused:
        read(file)
    assert str(refused.value) == (
        "o.parquet: column name holds INT96 times, and its footer does not name Spark, Hive or Trino, which write them "
        'in UTC; write int96 = "utc" or int96 = "local" for the job'
    )


def test_an_unused_int96_column_is_accepted(write: Write, int96: Callable[..., bytes]) -> None:
    """INT96 in a column that the job does not use is read as local time."""
    assert read(write(int96("impala version 4.4.0", column="note"), "o.parquet")) == [LOCAL]


@pytest.mark.parametrize("year", [1583, 2262, 2300, 9999])
def test_years_beyond_nanoseconds_are_read(write: Write, int96: Callable[..., bytes], year: int) -> None:
    """A placeholder day such as 9999-12-31 keeps its value."""
    file = write(int96(PARQUET_MR, moment=EVENING.replace(year=year)), "o.parquet")
    assert read(file) == [UTC.replace("2025", str(year))]


def test_other_times_are_not_changed(write: Write) -> None:
    """A 64-bit timestamp without a zone is local time, also in a file of Spark."""
    sink = BytesIO()
    table = pa.table({"code": ["1"], "points": ["2"], "name": pa.array([EVENING])})
    pq.write_table(table.replace_schema_metadata({"org.apache.spark.version": "3.5.1"}), sink)
    assert read(write(sink.getvalue(), "o.parquet"), Int96.UTC) == [LOCAL]
