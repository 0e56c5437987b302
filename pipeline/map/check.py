"""Whether what a job says of its rows can be, before any file is read."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeline.map.bind import RowMapper, bind
from pipeline.map.columns.wiring import wire
from pipeline.map.faults import MISSING
from pipeline.map.fields import API_OF_EXPORT, Kind, field_of
from pipeline.map.rules import UNITS, MappingRules
from pipeline.map.values.time_forms import form_fault
from pipeline.model import Export, Invalid, Row
from pipeline.tables.text_columns import is_blank


def check_rules(rules: MappingRules) -> list[str]:
    """
    Return what can't be, whatever the file: a sentence each.

    Columns, units, constants, values and defaults are of fields that the export has; the config is refused where they
    are not.
    """
    return list(_contradictions(rules)) or [*_bad_constants(rules), *_bad_texts(rules)]


def _contradictions(rules: MappingRules) -> Iterator[str]:
    right = API_OF_EXPORT[rules.export]
    if rules.api is not right:
        yield f'export "{rules.export}" goes to api "{right}", not to "{rules.api}"'
    for name in sorted(rules.columns.keys() & rules.constants.keys()):
        yield f"{name} has both a column and a constant; keep one of them"
    for name, unit in rules.units.items():
        yield from _unit_faults(rules.export, name, unit)
    for name, forms in rules.formats.items():
        yield from _format_faults(rules.export, name, forms)
    for name in sorted(rules.defaults.keys() & rules.constants.keys()):
        yield f"{name} has both a default and a constant; keep one of them"
    for name in sorted(rules.values.keys() & rules.constants.keys()):
        yield f"{name} has both values and a constant; keep one of them"
    yield from (f"constants: {name} is empty" for name, text in rules.constants.items() if not text.strip())
    yield from (f"defaults: {name} is empty" for name, text in rules.defaults.items() if not text.strip())
    for name, words in rules.values.items():
        if any(map(is_blank, words)):
            yield f"values: a word of {name} is blank; use defaults for empty cells"


def _unit_faults(export: Export, name: str, unit: str) -> Iterator[str]:
    field = field_of(export, name)
    if field and field.kind is not Kind.AMOUNT:
        yield f"units: {name} is no amount"
    if unit not in UNITS:
        yield f'units: {name} is in "{unit}", which is none of {", ".join(UNITS)}'


def _format_faults(export: Export, name: str, forms: Sequence[str]) -> Iterator[str]:
    field = field_of(export, name)
    if field and field.kind not in (Kind.TIME, Kind.INSTANT):
        yield f"formats: {name} is no time"
    for form in forms:
        if fault := form_fault(form):
            yield f'formats: {name} "{form}" {fault}'


def _bad_constants(rules: MappingRules) -> Iterator[str]:
    """Map a row that holds nothing but the constants; what is missing then is for the columns to say."""
    mapped = bind(replace(rules, columns={}, defaults={}), ())(Row(1, ()))
    if isinstance(mapped, Invalid):
        yield from (f"constants: {fault.message}" for fault in mapped.faults if fault.code != MISSING)


def _bad_texts(rules: MappingRules) -> Iterator[str]:
    """Read each default and each meaning of a word by itself."""
    for name, text in rules.defaults.items():
        yield from (f"defaults: {fault}" for fault in _faults_of(rules, name, text))
    for name, words in rules.values.items():
        for text in dict.fromkeys(words.values()):
            yield from (f"values: {fault}" for fault in _faults_of(rules, name, text))


def _faults_of(rules: MappingRules, name: str, text: str) -> list[str]:
    if not text.strip():
        return []
    alone = replace(rules, columns={}, constants={}, values={}, defaults={name: text}, filter={})
    return [fault.message for fault in RowMapper(alone, wire(alone, ())).faults_of(name, text.strip())]
