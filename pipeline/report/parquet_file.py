"""The outcome file as Parquet, written one row group at a time."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import repeat
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.model import Alike
from pipeline.report.record import OUTCOME_COLUMNS, WHOLE_NUMBERS, Record, around, record

_GROUP_ROWS = 16_384
_SCHEMA = pa.schema([(name, pa.int64() if name in WHOLE_NUMBERS else pa.string()) for name in OUTCOME_COLUMNS])


@contextmanager
def parquet_file(file: BinaryIO) -> Iterator["_Parquet"]:
    """Give the file to add records to; leaving the context in peace writes the last group and the footer."""
    writer = pq.ParquetWriter(file, _SCHEMA, compression="zstd")
    lines = _Parquet(writer)
    try:
        yield lines
        lines.write_group()
        writer.close()
    except BaseException:
        # The file is given up, yet a writer that stays open would close itself later, and noisily.
        with suppress(OSError):
            writer.close()
        raise


class _Parquet:
    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._group: list[Record] = []

    def add(self, line: Record) -> None:
        self._group.append(line)
        if len(self._group) == _GROUP_ROWS:
            self.write_group()

    def add_alike(self, run_id: str, job: str, alike: Alike) -> None:
        if len(alike.source_rows) < _GROUP_ROWS // 16:
            for outcome in alike.outcomes():
                self.add(record(run_id, job, outcome))
            return
        self.write_group()
        before, after = around(run_id, job, alike)
        keys = [key or "" for key in alike.request_keys]
        self._write([*(repeat(cell, len(keys)) for cell in before), alike.source_rows, keys,
                     *(repeat(cell, len(keys)) for cell in after)])  # fmt: skip

    def write_group(self) -> None:
        if self._group:
            self._write(list(zip(*self._group, strict=True)))
            self._group.clear()

    def _write(self, columns: Iterable[Iterable[str | int | None]]) -> None:
        arrays = [pa.array(column, kind.type) for column, kind in zip(columns, _SCHEMA, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA))
