"""Which column feeds which field, and how a whole column of it is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.map.columns import Wiring
from pipeline.map.compose import DECIDING
from pipeline.map.constraints import Unfamiliar, asked_at, looked_at
from pipeline.map.fields import export_schema, field_of
from pipeline.map.plain import said
from pipeline.map.rules import MappingRules
from pipeline.map.slots import Slot, slot_of
from pipeline.map.values import Convert
from pipeline.map.words import Words, meanings_of
from pipeline.texts import Column


@dataclass(frozen=True, slots=True)
class Feed:
    """
    A field and the position of its column.

    Without a slot, each text of it may decide about other fields. `words` are those that mean something else.
    """

    name: str
    column: int
    slot: Slot | None
    words: Words = field(default_factory=dict, repr=False)

    def texts(self, cells: Column) -> Column:
        """Return what a column of cells says to the field."""
        texts = said(cells)
        return meanings_of(self.words, texts) if self.words else texts


def feeds_of(
    rules: MappingRules, wiring: Wiring, conversions: Mapping[str, Convert], float_columns: frozenset[str]
) -> tuple[Feed, ...]:
    """Return what feeds the fields of one file; a field of which the schema asks what is not known has no slot."""

    def slot(name: str) -> Slot | None:
        described = field_of(rules.export, name)
        try:
            if described is None or name in DECIDING | looked_at(document):
                return None
            rule = asked_at(document, (name,))
        except Unfamiliar:
            return None
        return slot_of(
            described,
            rule,
            convert=conversions.get(name),
            zone=rules.timezone,
            unit=rules.units.get(name, "yuan"),
            is_float=wiring.headings.get(name) in float_columns,
            charset=rules.charset,
        )

    document = export_schema(rules.export)
    return tuple(Feed(name, column, slot(name), wiring.words.get(name, {})) for name, column in wiring.places)
