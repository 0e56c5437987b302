"""Digests of a row's content, by which the same row is found in another export."""

from collections.abc import Mapping, Sequence

import orjson

from pipeline.map.bind import RowMapper
from pipeline.map.columns.field_sources import find_sources
from pipeline.map.rules import MappingRules
from pipeline.model import Invalid, Payload, Row, digest


class RowContents:
    """
    Digests of the rows of one file, over the columns that feed a field.

    A row has two digests. The first is of its texts, and stays the same if the mapping changes. The second is of its
    values, and stays the same if the texts change form, as from CSV to Parquet.
    """

    def __init__(self, rules: MappingRules, columns: Sequence[str]) -> None:
        self._sources = find_sources(rules, columns)
        self._rows = RowMapper(rules, self._sources)

    def of(self, cells: Sequence[str | None]) -> tuple[bytes, ...]:
        """Return the digests of a row; none for a row without any text."""
        said = {name: cell for name, column in self._sources.places if column < len(cells) and (cell := cells[column])}
        texts = {name: text for name, cell in said.items() if (text := cell.strip())}
        if not texts:
            return ()
        values = {name: text for name, cell in said.items() if (text := self._sources.text_of(name, cell))}
        return digest("texts", _canonical_json(texts)), digest("values", _canonical_json(self._rows.read(values)))

    def mapped(self, cells: tuple[str | None, ...]) -> tuple[Payload, ...] | Invalid:
        """Return the payloads of a row, or why it is invalid."""
        return self._rows.map_wanted(Row(1, cells))


def _canonical_json(values: Mapping[str, object]) -> bytes:
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS, default=str)
