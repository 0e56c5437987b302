"""A Parquet file as a source of rows."""

from collections.abc import Iterator
from contextlib import closing
from types import TracebackType
from typing import IO, Self, cast

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.model import BadRow, Row
from pipeline.read.columns import checked_columns, partition_columns
from pipeline.read.parquet_text import column_texts, is_float
from pipeline.read.source import Chunk
from pipeline.read.source_file import SourceFile, blaming, open_bytes, sha256_of, verify_unchanged

_BUFFER_BYTES = 1 << 20


class ParquetSource:
    """
    The rows of one Parquet file as text; see `Source`.

    It is read in pieces of `chunk_rows`, column by column through small buffers, whatever the size of its row groups.
    """

    def __init__(self, file: SourceFile, *, chunk_rows: int) -> None:
        self.rows = 0
        self.sha256 = ""
        self._file = file
        self._chunk_rows = chunk_rows
        self._bytes = open_bytes(file)
        try:
            with blaming(file.name):
                self._parquet = pq.ParquetFile(
                    cast("IO[bytes]", self._bytes),
                    buffer_size=_BUFFER_BYTES,
                    pre_buffer=False,
                    page_checksum_verification=True,
                )
                schema = self._parquet.schema_arrow
                own = checked_columns(file.name, schema.names)
        except BaseException:
            self.close()
            raise
        partitions = partition_columns(own, file.partitions)
        self.columns = (*own, *partitions)
        self.float_columns = frozenset(field.name for field in schema if is_float(field.type))
        self._constants = tuple(partitions.values())

    def __iter__(self) -> Iterator[Chunk]:
        with closing(self):
            with blaming(self._file.name):
                for batch in self._parquet.iter_batches(self._chunk_rows, use_threads=False):
                    yield Chunk(self.columns, self._rows(batch))
            self.sha256 = sha256_of(self._file)
            verify_unchanged(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; more than once does no harm."""
        self._bytes.close()

    def _rows(self, batch: pa.RecordBatch) -> list[Row | BadRow]:
        columns = [column_texts(field.name, batch.column(at)) for at, field in enumerate(batch.schema)]
        faults = {at: fault for column in reversed(columns) for at, fault in column.faults.items()}
        first = self.rows + 1
        rows: list[Row | BadRow] = [
            Row(number, (*cells, *self._constants))
            for number, cells in enumerate(zip(*(column.values for column in columns), strict=True), first)
        ]
        for at, fault in faults.items():
            rows[at] = BadRow(first + at, fault, rows[at].cells)
        self.rows += len(rows)
        return rows
