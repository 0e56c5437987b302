"""What stands for the content of a row, so that it is known when another export has it again."""

from collections.abc import Mapping, Sequence

import orjson

from pipeline.map.bind import RowMapper
from pipeline.map.columns.wiring import wire
from pipeline.map.rules import MappingRules
from pipeline.model import Invalid, Row, digest
from pipeline.tables.mapped_chunk import key_of_row


class RowContents:
    """
    Digests of what the rows of one file say in the columns that a field uses.

    One is of the texts as they stand: it outlasts a change of how they are read. The other is of the values that they
    are read as: it outlasts a change of how they are written, as from CSV to Parquet.
    """

    def __init__(self, rules: MappingRules, columns: Sequence[str]) -> None:
        self._wiring = wire(rules, columns)
        self._rows = RowMapper(rules, self._wiring)

    def of(self, cells: Sequence[str | None]) -> tuple[bytes, ...]:
        """Return the digests of a row's content; none where it says nothing by which it could be known."""
        said = {name: cell for name, column in self._wiring.places if column < len(cells) and (cell := cells[column])}
        texts = {name: text for name, cell in said.items() if (text := cell.strip())}
        if not texts:
            return ()
        values = {name: text for name, cell in said.items() if (text := self._wiring.text_of(name, cell))}
        return digest("texts", _plain(texts)), digest("values", _plain(self._rows.read(values)))

    def key_of(self, cells: tuple[str | None, ...]) -> str | None:
        """Return the request key of a row, where it can be told."""
        mapped = self._rows.map_wanted(Row(1, cells))
        return mapped.request_key if isinstance(mapped, Invalid) else key_of_row(mapped)


def _plain(values: Mapping[str, object]) -> bytes:
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS, default=str)
