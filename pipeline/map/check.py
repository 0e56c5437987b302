"""The check of a job's mapping rules, before any file is read."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeline.language import t
from pipeline.map.bind import RowMapper, bind
from pipeline.map.columns.field_sources import find_sources
from pipeline.map.faults import MISSING
from pipeline.map.fields import APIS_OF_EXPORT, FieldKind, field_of
from pipeline.map.rules import UNITS, MappingRules
from pipeline.map.values.time_forms import form_fault
from pipeline.model import Export, Invalid, Row
from pipeline.tables.text_columns import is_blank, trimmed


def check_rules(rules: MappingRules) -> list[str]:
    """
    Return the faults of the rules, one sentence each.

    The settings have already checked that all named fields exist in the export.
    """
    return list(_contradictions(rules)) or [*_bad_constants(rules), *_bad_texts(rules)]


def _contradictions(rules: MappingRules) -> Iterator[str]:
    right = APIS_OF_EXPORT[rules.export]
    if rules.api not in right:
        listed = t(" or ").join(f'"{api}"' for api in right)
        yield t(
            'export "{export}" goes to api {listed}, not to "{api}"', export=rules.export, listed=listed, api=rules.api
        )
    for name in sorted(rules.columns.keys() & rules.constants.keys()):
        yield t("{name} has both a column and a constant; keep one of them", name=name)
    for name, unit in rules.units.items():
        yield from _unit_faults(rules.export, name, unit)
    for name, forms in rules.formats.items():
        yield from _format_faults(rules.export, name, forms)
    for table, names in ((t("a default"), rules.defaults), ("values", rules.values)):
        for name in sorted(names.keys() & rules.constants.keys()):
            yield t("{name} has both {table} and a constant; keep one of them", name=name, table=table)
    for table, texts in (("constants", rules.constants), ("defaults", rules.defaults)):
        yield from (
            t("{table}: {name} is empty", table=table, name=name) for name, text in texts.items() if not text.strip()
        )
    yield from _word_faults(rules)


def _word_faults(rules: MappingRules) -> Iterator[str]:
    """Yield the faults of words that no cell can have."""
    for name, words in rules.values.items():
        if any(map(is_blank, words)):
            yield t("values: a word of {name} is blank; use defaults for empty cells", name=name)
        for word in sorted(rules.null_values.intersection(map(trimmed, words))):
            yield t(
                'values: "{word}" of {name} is a null value; use defaults, or other csv.null_values',
                word=word,
                name=name,
            )


def _unit_faults(export: Export, name: str, unit: str) -> Iterator[str]:
    field = field_of(export, name)
    if field and field.kind is not FieldKind.AMOUNT:
        yield t("units: {name} is not an amount", name=name)
    if unit not in UNITS:
        yield t('units: {name} has the unit "{unit}"; write {units}', name=name, unit=unit, units=t(" or ").join(UNITS))


def _format_faults(export: Export, name: str, forms: Sequence[str]) -> Iterator[str]:
    field = field_of(export, name)
    if field and field.kind not in (FieldKind.TIME, FieldKind.INSTANT):
        yield t("formats: {name} is not a time", name=name)
    for form in forms:
        if fault := form_fault(form):
            yield t('formats: {name} "{form}" {fault}', name=name, form=form, fault=fault)


def _bad_constants(rules: MappingRules) -> Iterator[str]:
    """Yield the faults of a row of constants only, except missing fields, which the columns may fill."""
    mapped = bind(replace(rules, columns={}, defaults={}), ())(Row(1, ()))
    if isinstance(mapped, Invalid):
        yield from (
            t("constants: {message}", message=fault.message) for fault in mapped.faults if fault.code != MISSING
        )


def _bad_texts(rules: MappingRules) -> Iterator[str]:
    """Yield the faults of each default, and of each meaning of a word, by itself."""
    for name, text in rules.defaults.items():
        yield from (t("defaults: {fault}", fault=fault) for fault in _faults_of(rules, name, text))
    for name, words in rules.values.items():
        for text in dict.fromkeys(words.values()):
            yield from (t("values: {fault}", fault=fault) for fault in _faults_of(rules, name, text))


def _faults_of(rules: MappingRules, name: str, text: str) -> list[str]:
    if not text.strip():
        return []
    alone = replace(rules, columns={}, constants={}, values={}, defaults={name: text}, filter={})
    return [fault.message for fault in RowMapper(alone, find_sources(alone, ())).faults_of(name, text.strip())]
