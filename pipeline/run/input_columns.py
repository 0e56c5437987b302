"""The columns of an input: what feeds the fields of a job, with sample values, and what feeds nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from itertools import islice

from pipeline.language import t
from pipeline.map import MappingRules, UsedColumns
from pipeline.map.columns.field_sources import find_sources
from pipeline.map.fields import field_of, fields_of
from pipeline.model import Export
from pipeline.read import Chunk
from pipeline.redact import shown_heading
from pipeline.tables.text_columns import Column, listed
from pipeline.write.answers.masking import safe_text

OF_ANY_CONTENT = frozenset({"ext_info", "biz_data"})
"""Fields that may hold the id of a user, though none of theirs is private by itself."""
SAMPLE_ROWS = 100
"""Rows of an input that are read for sample values."""

_SAMPLES = 3
_SAMPLE_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class MappedColumn:
    """A column that feeds a field, with the first different values."""

    field: str
    column: str
    samples: tuple[str, ...] = dataclass_field(repr=False)


@dataclass(frozen=True, slots=True)
class InputColumns:
    """
    The columns of a job's first input.

    `mapped` feed fields, `filter` the job's filter, `unused` nothing. `constants` and `absent` name fields: those with
    a constant, and optional ones without a value.
    """

    file: str
    mapped: tuple[MappedColumn, ...]
    filter: tuple[str, ...]
    constants: tuple[str, ...]
    absent: tuple[str, ...]
    unused: tuple[str, ...]


def columns_of(
    name: str, columns: Sequence[str], first: Chunk | None, rules: MappingRules, *, show_ids: bool
) -> InputColumns:
    """Return the columns of an input that has all columns which the job needs; `first` are its first rows, if any."""
    sources = find_sources(rules, columns)
    used = UsedColumns(rules).used(columns)
    mapped = [
        MappedColumn(
            field,
            shown_heading(columns[at]),
            () if first is None else _samples(first.texts[at], rules.export, field, show_ids=show_ids),
        )
        for field, at in sources.places
    ]
    of_fields = {at for _, at in sources.places}
    return InputColumns(
        file=name,
        mapped=tuple(mapped),
        filter=tuple(shown_heading(columns[at]) for at in sorted(used - of_fields)),
        constants=tuple(sources.constants),
        absent=_absent(rules.export, sources.fed()),
        unused=tuple(shown_heading(column) for at, column in enumerate(columns) if at not in used),
    )


def _absent(export: Export, fed: Iterable[str]) -> tuple[str, ...]:
    having = {name for field in fed for name in (field, field.partition(".")[0])}
    return tuple(name for name in fields_of(export) if name not in having)


def _samples(column: Column, export: Export, field: str, *, show_ids: bool) -> tuple[str, ...]:
    described = field_of(export, field)
    is_private = not show_ids and (described is None or described.is_private or field in OF_ANY_CONTENT)
    texts = (text for text in listed(column.slice(0, SAMPLE_ROWS)) if text and text.strip())
    shown = dict.fromkeys(_shown(text, is_private=is_private, show_ids=show_ids) for text in texts)
    return tuple(islice(shown, _SAMPLES))


def _shown(text: str, *, is_private: bool, show_ids: bool) -> str:
    if is_private:
        return t("<{count} characters>", count=len(text))
    return text[:_SAMPLE_CHARACTERS] if show_ids else safe_text(text, limit=_SAMPLE_CHARACTERS)


def shown_columns(columns: InputColumns) -> Sequence[str]:
    """Return the columns of an input as lines of text."""
    width = max((len(mapped.field) for mapped in columns.mapped), default=0)
    lines = [
        f"{mapped.field:<{width}} = {mapped.column}: {', '.join(mapped.samples) or t('(empty)')}"
        for mapped in columns.mapped
    ]
    others = {
        t("columns of the filter"): columns.filter,
        t("fields with a constant"): columns.constants,
        t("fields without a value"): columns.absent,
        t("unused columns"): columns.unused,
    }
    for name, words in others.items():
        if words:
            lines.append(f"{name}: {', '.join(words)}")
    return lines
