"""Which column feeds which field, and how a whole column of it is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.map.by_columns.cell_columns import CellColumns
from pipeline.map.by_columns.slots import ColumnReader, reader_of_column
from pipeline.map.columns.wiring import Wiring
from pipeline.map.columns.words import Words, meanings_of
from pipeline.map.compose import DECIDING
from pipeline.map.fields import export_schema, field_of
from pipeline.map.rules import MappingRules
from pipeline.map.values.constraints import Unfamiliar, asked_at, looked_at
from pipeline.map.values.conversion import Convert
from pipeline.tables.text_columns import Column


@dataclass(frozen=True, slots=True)
class Feed:
    """
    A field, the position of its column, and how its cells are read.

    Without a slot, each text of it may decide about other fields. `words` are those that mean something else.
    """

    name: str
    column: int
    column_reader: ColumnReader | None
    reader: CellColumns
    words: Words = field(default_factory=dict, repr=False)

    def texts(self, cells: Column) -> Column:
        """Return what a column of cells says to the field."""
        texts = self.reader.said(cells)
        return meanings_of(self.words, texts) if self.words else texts

    def reads_like(self, other: "Feed") -> bool:
        """Return whether a cell means the same text to another field."""
        return self.reader is other.reader and self.words == other.words


def feeds_of(rules: MappingRules, wiring: Wiring, conversions: Mapping[str, Convert]) -> tuple[Feed, ...]:
    """Return what feeds the fields of one file; a field of which the schema asks what is not known has no slot."""

    def column_reader(name: str) -> ColumnReader | None:
        described = field_of(rules.export, name)
        try:
            if described is None or name in DECIDING | looked_at(document):
                return None
            rule = asked_at(document, (name,))
        except Unfamiliar:
            return None
        return reader_of_column(described, rule, rules, conversions.get(name))

    document = export_schema(rules.export)
    read = {is_bare: CellColumns(wiring.nulls, is_bare=is_bare) for is_bare in (False, True)}
    return tuple(
        Feed(name, column, column_reader(name), read[name in wiring.bare], wiring.words.get(name, {}))
        for name, column in wiring.places
    )
