"""The builder of a mapped chunk, by groups of rows or row by row."""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.map.by_columns.template import InvalidRows, filled
from pipeline.model import Api, BadRow, Invalid, Payload
from pipeline.tables.chunk import Chunk
from pipeline.tables.mapped_chunk import PAYLOAD, MappedChunk, key_of_row, line_of
from pipeline.tables.rows import ArrowRows
from pipeline.tables.text_columns import Column, cells_of, column_of, listed, pc

Places = npt.NDArray[np.int64]


class ChunkBuilder:
    """Collects the results of a chunk's rows, each row once."""

    def __init__(self, api: Api, chunk: Chunk) -> None:
        self._api = api
        self._chunk = chunk
        self._blocks: list[pa.RecordBatch] = []
        self._lines: list[tuple[object, ...]] = []
        self._others: dict[int, Invalid | BadRow] = dict(chunk.bad)
        # Request keys of invalid rows, and of rows with several payloads.
        self._own_keys: dict[int, str] = {}
        self._filtered: frozenset[int] = frozenset()
        self._keys_of_filtered: Column = None
        self._is_open = np.ones(len(chunk), np.bool_)
        self._is_open[list(chunk.bad)] = False

    def put(self, places: Places, columns: Mapping[str, Column]) -> None:
        """Put the rows at these places, of one payload each, by columns; missing columns are null."""
        count = len(places)
        known = {**columns, "at": pa.array(places, pa.int32()), "part": pa.array(np.zeros(count, np.int32))}
        arrays = [known[field.name] if field.name in known else pa.nulls(count, field.type) for field in PAYLOAD]
        self._blocks.append(pa.RecordBatch.from_arrays(arrays, schema=PAYLOAD))
        self._is_open[places] = False

    def put_refused(self, places: Places, refusal: InvalidRows, texts: Mapping[str, Column]) -> None:
        """Put invalid rows."""
        keys: Iterable[str | None] = (None,) * len(places)
        if refusal.request_key is not None:
            keys = listed(filled(refusal.request_key, texts, len(places)))
        for place, key in zip(places.tolist(), keys, strict=True):
            self._refuse(place, Invalid(refusal.faults, key))
        self._is_open[places] = False

    def put_filtered(self, places: Places, keys: Column) -> None:
        """Put the rows that the job's filter excludes, with their request keys; call it at most once."""
        self._filtered = frozenset(places.tolist())
        self._keys_of_filtered = keys
        self._is_open[places] = False

    def put_row(self, place: int, mapped: tuple[Payload, ...] | Invalid) -> None:
        """Put a row that was mapped by itself."""
        if isinstance(mapped, Invalid):
            self._refuse(place, mapped)
            return
        self._lines += (line_of(place, part, payload) for part, payload in enumerate(mapped))
        if len(mapped) > 1:
            self._own_keys[place] = key_of_row(mapped)

    def _refuse(self, place: int, invalid: Invalid) -> None:
        self._others[place] = invalid
        if invalid.request_key is not None:
            self._own_keys[place] = invalid.request_key

    def open_places(self) -> list[int]:
        """Return the places of the rows that are not put yet."""
        places: list[int] = np.flatnonzero(self._is_open).tolist()
        return places

    def mapped(self) -> MappedChunk:
        """Return the mapped chunk."""
        payloads = ArrowRows(self._in_order())
        numbers = range(self._chunk.first, self._chunk.first + len(self._chunk))
        return MappedChunk(
            api=self._api,
            numbers=numbers,
            request_keys=self._keys(payloads),
            payloads=payloads,
            others=self._others,
            cells=_Cells(self._chunk).at,
            filtered=self._filtered,
            file_lines=self._chunk.file_lines,
        )

    def _in_order(self) -> pa.RecordBatch:
        """Return all payloads in the order of their rows, which is the order of sending."""
        blocks = self._blocks
        if self._lines or not blocks:
            blocks = [*blocks, ArrowRows.of(PAYLOAD, self._lines).batch]
        columns = [
            pa.concat_arrays(list(columns)) for columns in zip(*(block.columns for block in blocks), strict=True)
        ]
        whole = pa.RecordBatch.from_arrays(columns, schema=PAYLOAD)
        at = whole.column("at").to_numpy()
        if (at[1:] >= at[:-1]).all():
            return whole
        return whole.take(np.argsort(at, kind="stable"))

    def _keys(self, payloads: ArrowRows) -> Column:
        """Return the request key of each row."""
        keys, count = payloads.column("request_key"), len(self._chunk)
        if len(payloads) != count or self._own_keys:
            places = np.full(count, -1)
            places[payloads.numbers("at")] = np.arange(len(payloads))
            keys = keys.take(pa.array(places, mask=places < 0))
        if self._own_keys:
            own = column_of(self._own_keys[place] for place in sorted(self._own_keys))
            keys = pc.replace_with_mask(keys, np.isin(np.arange(count), list(self._own_keys)), own)
        if self._filtered:
            is_filtered = np.isin(np.arange(count), list(self._filtered))
            keys = pc.replace_with_mask(keys, is_filtered, self._keys_of_filtered)
        return keys


class _Cells:
    """The cells of a chunk by row, converted from columns at the first use."""

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk
        self._rows: list[tuple[str | None, ...]] = []

    def at(self, place: int) -> tuple[str | None, ...]:
        """Return the cells of the row at this place."""
        if place in self._chunk.bad:
            return self._chunk.bad[place].cells
        self._rows = self._rows or cells_of(self._chunk.texts)
        return self._rows[place]
