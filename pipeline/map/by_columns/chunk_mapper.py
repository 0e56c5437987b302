"""
Map a chunk: read columns, group rows that are alike, learn a template for each group, and fill it.

Rows are alike if they have texts in the same columns, and equal texts where these decide about other fields or are not
plain. The row mapper maps one row of a group. The plain texts of the other rows are then filled in by columns. Rows in
groups that are too small, or without a template, are mapped one by one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.map.bind import RowMapper
from pipeline.map.by_columns.chunk_builder import ChunkBuilder, Places
from pipeline.map.by_columns.feeds import Feed, feeds_of
from pipeline.map.by_columns.learner import Learner
from pipeline.map.by_columns.template import InvalidRows, Template
from pipeline.map.columns.field_sources import find_sources
from pipeline.map.rules import MappingRules
from pipeline.map.values.plain_texts import Mask
from pipeline.tables.chunk import Chunk
from pipeline.tables.mapped_chunk import MappedChunk
from pipeline.tables.text_columns import Column, column_of, pc

# True for a plain text, False for none; the text itself if it decides about other fields or is not plain.
CellKind = str | bool | None
Likeness = tuple[CellKind, ...]

# Templates that are kept. The number is small because a likeness may hold long texts.
_MOST_KNOWN = 256


def bind_chunks(
    rules: MappingRules,
    columns: Sequence[str],
    *,
    worth_learning: int = 16,
    most_known: int = _MOST_KNOWN,
    learner: type[Learner] = Learner,
) -> Callable[[Chunk], MappedChunk]:
    """
    Return the function that maps the chunks of one file, with the same result for each row as `bind`.

    In a group of fewer than `worth_learning` rows each row is mapped by itself. At most
    `most_known` templates are kept; `learner` makes them.
    """
    return _ChunkMapper(rules, columns, worth_learning, most_known, learner).map


@dataclass(frozen=True, slots=True)
class _Column:
    """The column of a field: its texts as the body holds them, and the kind of each row's cell."""

    feed: Feed
    texts: Column = field(repr=False)
    kinds: Sequence[CellKind] = field(repr=False)
    kind_of_row: Places | None

    def is_plain(self) -> Mask:
        """Return the mask of rows with a plain text."""
        is_plain = np.array([kind is True for kind in self.kinds])
        return np.full(len(self.texts), is_plain[0]) if self.kind_of_row is None else is_plain[self.kind_of_row]


class _ChunkMapper:
    def __init__(
        self,
        rules: MappingRules,
        columns: Sequence[str],
        worth_learning: int,
        most_known: int,
        learner: type[Learner],
    ) -> None:
        sources = find_sources(rules, columns)
        self._rows = RowMapper(rules, sources)
        self._api = rules.api
        self._worth_learning = worth_learning
        self._filter = sources.filter
        self._has_key = self._rows.key in sources.fed()
        self._feeds = feeds_of(rules, sources, self._rows.conversions)
        self._most_known = most_known
        self._learner = learner(rules, self._rows)
        self._known: dict[Likeness, Template | InvalidRows | None] = {}

    def map(self, chunk: Chunk) -> MappedChunk:
        """Map one chunk."""
        builder = ChunkBuilder(self._api, chunk)
        columns = [_read(feed, chunk.texts[feed.column]) for feed in self._feeds]
        self._put_filtered(chunk, columns, builder)
        for places in _alike(columns, np.array(builder.open_places(), np.int64), self._worth_learning):
            self._map_alike(chunk, columns, places, builder)
        for row in chunk.rows_at(builder.open_places()):
            builder.put_row(row.number - chunk.first, self._rows.map_wanted(row))
        return builder.mapped()

    def _put_filtered(self, chunk: Chunk, columns: Sequence[_Column], builder: ChunkBuilder) -> None:
        """Put the rows that the job's filter excludes. Bad rows are not excluded: their content is unknown."""
        unwanted = self._filter.unwanted(chunk.texts)
        if unwanted is None:
            return
        unwanted[list(chunk.bad)] = False
        places = np.flatnonzero(unwanted)
        if len(places):
            builder.put_filtered(places, self._keys(chunk, columns, places))

    def _keys(self, chunk: Chunk, columns: Sequence[_Column], places: Places) -> Column:
        """Return the request keys of the rows at these places. Keys that are not plain are read row by row."""
        if not self._has_key:
            return pa.nulls(len(places), pa.string())
        key = next((column for column in columns if column.feed.name == self._rows.key), None)
        is_plain = np.zeros(len(places), np.bool_) if key is None else key.is_plain()[places]
        others = chunk.rows_at(places[~is_plain].tolist())
        keys = pa.nulls(len(places), pa.string()) if key is None else key.texts.take(pa.array(places))
        return pc.replace_with_mask(keys, ~is_plain, column_of(self._rows.key_of(row.cells) for row in others))

    def _map_alike(self, chunk: Chunk, columns: Sequence[_Column], places: Places, builder: ChunkBuilder) -> None:
        template = self._known_or_learned(chunk, columns, int(places[0]))
        if template is None:
            return
        filled_with = template.filled_with()
        texts = {c.feed.name: c.texts for c in columns if c.feed.column_reader and c.feed.name in filled_with}
        if len(places) < len(chunk):
            texts = {name: column.take(pa.array(places)) for name, column in texts.items()}
        if isinstance(template, InvalidRows):
            builder.put_refused(places, template, texts)
            return
        at_fault = template.refunds_of_themselves(texts, len(places))
        if at_fault is None:
            builder.put(places, template.render(texts, len(places)))
        elif not at_fault.all():
            self._map_alike(chunk, columns, places[~at_fault], builder)

    def _known_or_learned(self, chunk: Chunk, columns: Sequence[_Column], at: int) -> Template | InvalidRows | None:
        likeness = tuple(c.kinds[0 if c.kind_of_row is None else c.kind_of_row[at]] for c in columns)
        if likeness not in self._known:
            if len(self._known) >= self._most_known:
                self._known.clear()
            (row,) = chunk.rows_at([at])
            # A column may feed several fields. Its text is a gap only if it is plain for each of them.
            fixed = {c.feed.column for c, kind in zip(columns, likeness, strict=True) if kind is not True}
            gaps = [c.feed for c in columns if c.feed.column not in fixed]
            self._known[likeness] = self._learner.learn(row.cells, gaps)
        return self._known[likeness]


def _read(feed: Feed, cells: Column) -> _Column:
    if feed.column_reader is None:
        kinds = cells.dictionary_encode(null_encoding="encode")
        return _Column(feed, cells, kinds.dictionary.to_pylist(), _codes(kinds.indices))
    column = feed.texts(cells)
    reading = feed.column_reader.read(column)
    if reading.odd is not None and reading.odd.any():
        # The original cells, because what is around a value may matter to the row mapper.
        odd = cells.filter(pa.array(reading.odd)).dictionary_encode()
        codes = _codes(column.is_valid())
        codes[reading.odd] = _codes(odd.indices) + 2
        return _Column(feed, reading.texts, (False, True, *odd.dictionary.to_pylist()), codes)
    if 0 < column.null_count < len(column):
        return _Column(feed, reading.texts, (False, True), _codes(column.is_valid()))
    return _Column(feed, reading.texts, (not column.null_count,), None)


def _codes(values: Any) -> Places:
    codes: Places = values.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _alike(columns: Iterable[_Column], places: Places, least: int) -> Iterator[Places]:
    """Yield the places of each group of alike rows that has at least `least` rows."""
    likeness = np.zeros(len(places), np.int64)
    for column in columns:
        if column.kind_of_row is not None and len(column.kinds) > 1:
            both = likeness * len(column.kinds) + column.kind_of_row[places]
            likeness = _codes(pa.array(both).dictionary_encode().indices)
    if likeness.max(initial=0) < 1 << 16:
        # numpy sorts numbers of 2 bytes by counting, several times as fast.
        likeness = likeness.astype(np.uint16)
    order = np.argsort(likeness, kind="stable")
    bounds = np.concatenate(([0], np.flatnonzero(np.diff(likeness[order])) + 1, [len(places)]))
    for group in np.flatnonzero(np.diff(bounds) >= least):
        yield places[order[bounds[group] : bounds[group + 1]]]
