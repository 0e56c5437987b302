"""The outcome file as Parquet, written one row group at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.report.record import OUTCOME_COLUMNS, WHOLE_NUMBERS, Record

_GROUP_ROWS = 16_384
_SCHEMA = pa.schema([(name, pa.int64() if name in WHOLE_NUMBERS else pa.string()) for name in OUTCOME_COLUMNS])


@contextmanager
def parquet_file(file: BinaryIO) -> Iterator[Callable[[Record], None]]:
    """Give the function that adds a record; leaving the context in peace writes the last group and the footer."""
    writer = pq.ParquetWriter(file, _SCHEMA, compression="zstd")
    group: list[Record] = []

    def write_group() -> None:
        columns = zip(*group, strict=True)
        arrays = [pa.array(column, kind.type) for column, kind in zip(columns, _SCHEMA, strict=True)]
        writer.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA))
        group.clear()

    def add(record: Record) -> None:
        group.append(record)
        if len(group) == _GROUP_ROWS:
            write_group()

    try:
        yield add
        if group:
            write_group()
        writer.close()
    except BaseException:
        # The file is given up, yet a writer that stays open would close itself later, and noisily.
        with suppress(OSError):
            writer.close()
        raise
