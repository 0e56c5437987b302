"""The outcome file as Parquet, written one row group at a time."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.report.files.record import OUTCOME_COLUMNS, WHOLE_NUMBERS, Columns

# Rows of one row group.
_GROUP_ROWS = 16_384
_SCHEMA = pa.schema([(name, pa.int64() if name in WHOLE_NUMBERS else pa.string()) for name in OUTCOME_COLUMNS])


@contextmanager
def parquet_file(file: BinaryIO) -> Iterator["_Parquet"]:
    """Yield an outcome file to add rows to; at the end write the last row group and the footer."""
    writer = pq.ParquetWriter(file, _SCHEMA, compression="zstd")
    lines = _Parquet(writer)
    try:
        yield lines
        lines.write_rest()
        writer.close()
    except BaseException:
        # The file is discarded. Close the writer now, because its own later close would print an error.
        with suppress(OSError):
            writer.close()
        raise


@contextmanager
def arrow_part(file: BinaryIO) -> Iterator["_ArrowPart"]:
    """Yield a part of an outcome file to add rows to."""
    with pa.ipc.new_stream(pa.PythonFile(file, "w"), _SCHEMA) as writer:  # type: ignore[arg-type] # as above
        yield _ArrowPart(writer)


class _ArrowPart:
    def __init__(self, writer: pa.RecordBatchStreamWriter) -> None:
        self._writer = writer

    def add(self, columns: Columns) -> None:
        self._writer.write_batch(_batch_of(columns))


def _batch_of(columns: Columns) -> pa.RecordBatch:
    arrays = [pa.array(column, kind.type) for column, kind in zip(columns, _SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA)


class _Parquet:
    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def add(self, columns: Columns) -> None:
        self._add(_batch_of(columns))

    def append(self, part: BinaryIO) -> None:
        for batch in pa.ipc.open_stream(pa.PythonFile(part, "r")):  # type: ignore[arg-type] # a file of Python
            self._add(batch)

    def _add(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._rows += len(batch)
        if self._rows >= _GROUP_ROWS:
            table = pa.Table.from_batches(self._waiting)
            whole = self._rows - self._rows % _GROUP_ROWS
            self._writer.write_table(table[:whole], row_group_size=_GROUP_ROWS)
            self._waiting = table[whole:].to_batches()
            self._rows -= whole

    def write_rest(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_batches(self._waiting))
