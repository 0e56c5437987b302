"""A Parquet file as a source of rows."""

from collections.abc import Iterator
from contextlib import closing
from types import TracebackType
from typing import IO, Self, cast

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.chunk import Chunk
from pipeline.model import BadRow
from pipeline.read.columns import checked_columns, partition_columns
from pipeline.read.parquet_text import column_texts, is_float
from pipeline.read.source_file import SourceFile, blaming, open_bytes, sha256_of, verify_unchanged
from pipeline.texts import cells_of, repeated

_BUFFER_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 23


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
        self.partitions = len(partitions)
        self.float_columns = frozenset(field.name for field in schema if is_float(field.type))
        self._constants = tuple(partitions.values())

    def __iter__(self) -> Iterator[Chunk]:
        with closing(self):
            with blaming(self._file.name):
                for batch in self._parquet.iter_batches(self._rows_at_once(), use_threads=False):
                    if batch.num_rows:
                        yield self._chunk(batch)
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

    def _rows_at_once(self) -> int:
        """Return how many rows make a chunk: fewer where they are large."""
        metadata = self._parquet.metadata
        groups = (metadata.row_group(at) for at in range(metadata.num_row_groups))
        largest = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=0)
        return max(1, min(self._chunk_rows, _CHUNK_BYTES // max(1, largest)))

    def _chunk(self, batch: pa.RecordBatch) -> Chunk:
        columns = [column_texts(field.name, batch.column(at)) for at, field in enumerate(batch.schema)]
        constants = (repeated(text, batch.num_rows) for text in self._constants)
        texts = (*(column.values for column in columns), *constants)
        faults = {at: fault for column in reversed(columns) for at, fault in column.faults.items()}
        cells = cells_of(text.take(pa.array(faults, pa.int64())) for text in texts) if faults else ()
        first = self.rows + 1
        bad = {at: BadRow(first + at, fault, of_row) for (at, fault), of_row in zip(faults.items(), cells, strict=True)}
        self.rows += batch.num_rows
        return Chunk(self.columns, first, texts, bad)
