"""The tables of a job whose keys or texts come from its export: `values` and `filter`."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from pipeline.language import t
from pipeline.settings.structure import kind_of
from pipeline.settings.table import Table


def read_values(table: Table) -> Mapping[str, Mapping[str, str]]:
    """Return the meaning of the export's words, by field and word; report words without a usable meaning."""
    return MappingProxyType({field: _meanings(words) for field, words in _fields(table) if words.values})


def read_filter(table: Table) -> Mapping[str, tuple[str, ...]]:
    """Return the texts that a wanted row may have, by column; report entries that are no list of texts."""
    texts = {column: _texts(table, column, wanted) for column, wanted in table.values.items()}
    return MappingProxyType({column: wanted for column, wanted in texts.items() if wanted})


def _fields(table: Table) -> Iterator[tuple[str, Table]]:
    """Yield fields and their tables. TOML turns a dotted key such as biz_data.city into a table within a table."""
    for inner in table.tables():
        parts = {name: value for name, value in inner.values.items() if isinstance(value, dict)}
        yield from ((f"{inner.name}.{part}", inner.table(part)) for part in parts)
        words = {word: value for word, value in inner.values.items() if word not in parts}
        yield inner.name, Table(inner.file, inner.path, words, inner.faults)


def _meanings(words: Table) -> Mapping[str, str]:
    meanings: dict[str, str] = {}
    for word, meaning in words.values.items():
        if isinstance(meaning, str | int):
            meanings[word] = text_of(meaning)
        else:
            words.fault(
                word,
                t("must be text in quotes, a whole number, true or false; it is {meaning}", meaning=kind_of(meaning)),
            )
    return MappingProxyType(meanings)


def _texts(table: Table, column: str, wanted: Any) -> tuple[str, ...]:
    others = [kind_of(text) for text in wanted if not isinstance(text, str)] if isinstance(wanted, list) else []
    if isinstance(wanted, list) and wanted and not others:
        return tuple(wanted)
    found = (
        t("holds {others}", others=others[0])
        if others
        else t("is empty")
        if wanted == []
        else t("is {wanted}", wanted=kind_of(wanted))
    )
    table.fault(column, t('must be a list of texts in quotes, such as ["已完成"]; it {found}', found=found))
    return ()


def text_of(value: str | int) -> str:
    """Return a config value as the text that a cell would hold."""
    return str(value).lower() if isinstance(value, bool) else str(value)
