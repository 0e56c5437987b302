"""The column that feeds each field, and how the column is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.map.by_columns.cell_columns import CellColumns
from pipeline.map.by_columns.column_readers import ColumnReader, reader_of_column
from pipeline.map.columns.field_sources import FieldSources
from pipeline.map.columns.words import Words, meanings_of
from pipeline.map.compose import DECIDING
from pipeline.map.fields import export_schema, field_of
from pipeline.map.rules import MappingRules
from pipeline.map.values.constraints import UnknownKeyword, deciding_fields, rule_at
from pipeline.map.values.conversion import Convert
from pipeline.tables.text_columns import Column


@dataclass(frozen=True, slots=True)
class Feed:
    """
    A field, the position of its column, and how its cells are read.

    Without a `column_reader` each text may decide about other fields. `words` are the export's words for the field.
    """

    name: str
    column: int
    column_reader: ColumnReader | None
    reader: CellColumns
    words: Words = field(default_factory=dict, repr=False)

    def texts(self, cells: Column) -> Column:
        """Return the texts of a column's cells for the field."""
        texts = self.reader.texts(cells)
        return meanings_of(self.words, texts) if self.words else texts

    def reads_like(self, other: "Feed") -> bool:
        """Return whether each cell gives the same text for another field."""
        return self.reader is other.reader and self.words == other.words


def feeds_of(rules: MappingRules, sources: FieldSources, conversions: Mapping[str, Convert]) -> tuple[Feed, ...]:
    """Return the feeds of one file's fields; a field with unknown schema keywords gets no column reader."""

    def column_reader(name: str) -> ColumnReader | None:
        described = field_of(rules.export, name)
        try:
            if described is None or name in DECIDING | deciding_fields(document):
                return None
            rule = rule_at(document, (name,))
        except UnknownKeyword:
            return None
        return reader_of_column(described, rule, rules, conversions.get(name))

    document = export_schema(rules.export)
    read = {is_bare: CellColumns(sources.nulls, is_bare=is_bare) for is_bare in (False, True)}
    return tuple(
        Feed(name, column, column_reader(name), read[name in sources.bare], sources.words.get(name, {}))
        for name, column in sources.places
    )
