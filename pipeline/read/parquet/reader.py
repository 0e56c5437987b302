"""The reader of a Parquet file."""

from collections.abc import Iterator
from functools import cached_property
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import SourceError
from pipeline.language import t
from pipeline.model import BadRow, Int96
from pipeline.read.files.source_file import SourceFile, as_source_errors, open_bytes
from pipeline.read.parquet.int96 import int96_columns, is_int96_in_utc
from pipeline.read.parquet.page_sizes import GroupPages, ParquetBounds, measured_pages
from pipeline.read.parquet.text import column_texts
from pipeline.read.ports import ColumnUse
from pipeline.tables.chunk import Chunk
from pipeline.tables.text_columns import cells_of, pc

_BUFFER_BYTES = 1 << 20
_BOUNDS = ParquetBounds()
_TEXTS = (pa.string(), pa.large_string(), pa.binary())
_MOMENT = pa.timestamp("us", "UTC")


class ParquetReader:
    """
    Reads one Parquet file as text; see `Reader`.

    Chunks have up to `chunk_rows` rows, at any size of row groups. `int96` says how INT96 times count if the footer
    does not show it. With `groups` only the row groups with such numbers are read, and there is no hash.
    """

    encoding: str | None = None
    delimiter: str | None = None

    def __init__(
        self,
        file: SourceFile,
        *,
        int96: Int96 | None,
        uses: ColumnUse,
        chunk_rows: int,
        bounds: ParquetBounds = _BOUNDS,
        groups: range | None = None,
    ) -> None:
        self._sha256 = ""
        self._file = file
        self._chunk_rows = chunk_rows
        self._bounds = bounds
        self._groups = groups
        self._bytes = open_bytes(file)
        try:
            with as_source_errors(file.name):
                self._parquet = self._opened()
                self.columns = tuple(self._parquet.schema_arrow.names)
                used = {self.columns[at] for at in uses.used(self.columns)}
                self._moments = _moments(file.name, self._parquet, int96, used)
        except BaseException:
            self.close()
            raise

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows; see `Reader`."""
        groups, self._sha256 = measured_pages(self._file, self._bounds, self._groups)
        with as_source_errors(self._file.name):
            for batch in self._batches(groups):
                if batch.num_rows:
                    yield self._chunk(batch)

    def sha256(self) -> str:
        """Return the SHA-256 of the file, in hex."""
        return self._sha256

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._bytes.close()

    def _opened(self, **options: Any) -> pq.ParquetFile:
        return pq.ParquetFile(
            self._bytes,
            buffer_size=_BUFFER_BYTES,
            pre_buffer=False,
            page_checksum_verification=True,
            # Arrow's default, nanoseconds, ends in the year 2262.
            coerce_int96_timestamp_unit="us",
            **options,
        )

    def _batches(self, groups: list[GroupPages]) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches, of neighbouring row groups together if their batches have the same size."""
        first = 0 if self._groups is None else self._groups.start
        sizes = (self._rows_at_once(number, group) for number, group in enumerate(groups, first))
        for rows, several in groupby(enumerate(sizes, first), key=lambda numbered: numbered[1]):
            yield from self._parquet.iter_batches(rows, [group for group, _ in several], use_threads=False)

    def _rows_at_once(self, number: int, group: GroupPages) -> int:
        """Return how many rows of a row group make a chunk; large values allow fewer."""
        longest = self._longest_in_dictionaries(number, group)
        of_row = 0
        for column in group.columns:
            values_of_row = max(1, -(-column.value_count // max(1, group.rows)))
            of_row += max(column.value_bytes, longest[column.name]) * values_of_row
        return max(1, min(self._chunk_rows, self._bounds.chunk_bytes // max(1, of_row)))

    def _longest_in_dictionaries(self, number: int, group: GroupPages) -> dict[str, int]:
        """
        Return, by column, the bytes of the longest value in its dictionary, because all rows may have that value.

        For small dictionaries, and for types of fixed size, the average is used. Large dictionaries of text are read.
        """
        longest = {column.name: column.dictionary_bytes // max(1, column.dictionary_values) for column in group.columns}
        small = self._bounds.chunk_bytes // self._chunk_rows
        large = [c.name for c in group.columns if c.dictionary_bytes > small and c.name in self._texts]
        for name in large if group.rows else ():
            # One at a time, so that only one is in memory.
            batch = next(self._dictionaries.iter_batches(1, [number], columns=[name], use_threads=False))
            longest[name] = _longest(batch.column(0))
        return longest

    @cached_property
    def _texts(self) -> list[str]:
        return [field.name for field in self._parquet.schema_arrow if field.type in _TEXTS]

    @cached_property
    def _dictionaries(self) -> pq.ParquetFile:
        """The same file, opened so that text columns keep their dictionaries."""
        return self._opened(read_dictionary=self._texts)

    def _chunk(self, batch: pa.RecordBatch) -> Chunk:
        # INT96 moments have no zone in Arrow.
        values = (
            column.cast(_MOMENT) if name in self._moments else column
            for name, column in zip(self.columns, batch.columns, strict=True)
        )
        columns = list(map(column_texts, self.columns, values))
        texts = tuple(column.values for column in columns)
        faults = {at: fault for column in reversed(columns) for at, fault in column.faults.items()}
        cells = cells_of(text.take(pa.array(faults, pa.int64())) for text in texts) if faults else ()
        bad = {at: BadRow(at + 1, fault, of_row) for (at, fault), of_row in zip(faults.items(), cells, strict=True)}
        return Chunk(self.columns, 1, texts, bad)


def _moments(name: str, parquet: pq.ParquetFile, int96: Int96 | None, used: set[str]) -> frozenset[str]:
    """
    Return the columns whose INT96 times are in UTC; the others hold local times.

    Raises `SourceError` if that is unknown for a column that the job uses.
    """
    columns = int96_columns(parquet)
    if is_int96_in_utc(parquet) or int96 is Int96.UTC:
        return columns
    if int96 is None and (matter := sorted(columns & used)):
        raise SourceError(
            t(
                "{name}: column {column} holds INT96 times, and its footer does not name Spark, Hive or Trino, "
                'which write them in UTC; write int96 = "utc" or int96 = "local" for the job',
                name=name,
                column=matter[0],
            )
        )
    return frozenset()


def _longest(column: Any) -> int:
    values = column.dictionary if isinstance(column, pa.DictionaryArray) else column
    return pc.max(pc.binary_length(values)).as_py() or 0
