"""The source of each field: a column of the file, a constant or a default."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.errors import SourceError
from pipeline.language import t
from pipeline.map.columns.headings import Headings, UnclearName
from pipeline.map.columns.words import Filter, Words, words_of
from pipeline.map.fields import PART_OF_BIZ_DATA, field_of, fields_of, is_bare, required_fields
from pipeline.map.rules import MappingRules, nearest
from pipeline.map.values.cells import cell_text
from pipeline.model import Export
from pipeline.redact import shown_heading, shown_headings
from pipeline.tables.text_columns import trimmed


@dataclass(frozen=True, slots=True)
class FieldSources:
    """
    The sources of the fields of one file.

    - `places`: fields and the positions of their columns.
    - `constants`: texts of every row, by field.
    - `otherwise`: field, companion and text. A field without a text gets this one, if the companion is None or has one.
    - `headings`: names of columns, by field. `width`: the number of columns of the file.
    - `nulls`: the null values. `bare`: the fields whose cells are stripped of text prefixes and invisible characters.
    - `words`: the export's words with their meanings, by field. `filter`: the rows that the job wants.
    """

    places: tuple[tuple[str, int], ...]
    constants: Mapping[str, str] = field(repr=False)
    otherwise: tuple[tuple[str, str | None, str], ...] = field(repr=False)
    headings: Mapping[str, str]
    width: int
    nulls: frozenset[str]
    bare: frozenset[str]
    words: Mapping[str, Words] = field(repr=False)
    filter: Filter

    def texts(self, cells: Sequence[str | None]) -> dict[str, str]:
        """Return the texts of a row by field; a field without a value is left out."""
        texts = dict(self.constants)
        for name, position in self.places:
            cell = cells[position]
            if cell and (text := self.text_of(name, cell)):
                texts[name] = text
        for name, companion, text in self.otherwise:
            if companion is None or companion in texts:
                texts.setdefault(name, text)
        return texts

    def fed(self) -> Iterable[str]:
        """Return the fields that may have a text."""
        return dict.fromkeys((*self.headings, *self.constants, *(name for name, _, _ in self.otherwise)))

    def text_of(self, name: str, cell: str) -> str:
        """Return the text of a field's cell; an empty text means no value."""
        text = cell_text(cell, self.nulls, is_bare=name in self.bare)
        words = self.words.get(name)
        return words.get(text, text) if words else text


def check_columns(rules: MappingRules, columns: Sequence[str], name: str) -> None:
    """
    Check that a file has the columns that every row needs.

    Raises SourceError, which names the file, each missing column with the nearest name, and the columns of the file.
    """
    found = _Found(rules, columns)
    faults = [
        *_missing(rules, columns, found),
        *(
            t("{reason}, but {fed} needs one; {advice}", reason=why.reason, fed=fed, advice=why.advice)
            for fed, why in found.unclear_fields.items()
        ),
        *(
            t("{reason}, but the filter needs one; {advice}", reason=why.reason, advice=why.advice)
            for why in found.unclear_filter.values()
        ),
        *_parts_not_encodable(rules, found.fields),
    ]
    if faults:
        there = shown_headings(list(map(trimmed, columns)))
        advice = t(". Give each field its column in [jobs.NAME.columns], or a value in [jobs.NAME.constants]")
        raise SourceError(
            t("{name}: {faults}. The file has these columns: {there}", name=name, faults="; ".join(faults), there=there)
            + (advice if any(_missing_fields(rules, columns, found)) else "")
        )


class _Found:
    """The places of the columns that a job uses, and the names that match several, for its fields and its filter."""

    def __init__(self, rules: MappingRules, columns: Sequence[str]) -> None:
        headings = Headings(columns)
        self.fields, self.unclear_fields = _find(headings, _columns_of_fields(rules, columns))
        self.filter, self.unclear_filter = _find(headings, ((column, column) for column in rules.filter))
        self.fed = {*self.fields, *self.unclear_fields}


class UsedColumns:
    """The columns of a file that a job uses; implements `read.ports.ColumnUse`."""

    def __init__(self, rules: MappingRules) -> None:
        self._rules = rules

    def used(self, columns: Sequence[str]) -> frozenset[int]:
        """Return the positions of the columns that feed a field or the filter."""
        found = _Found(self._rules, columns)
        return frozenset((*found.fields.values(), *found.filter.values()))

    def are_complete(self, columns: Sequence[str]) -> bool:
        """Return whether all columns exist that the job names or that every row needs."""
        return not list(_missing(self._rules, columns, _Found(self._rules, columns)))


def find_sources(rules: MappingRules, columns: Sequence[str]) -> FieldSources:
    """Return the sources of each field, for a file that passed `check_columns`."""
    found = _Found(rules, columns)
    constants = _fixed_texts(rules.export, rules.constants)
    defaults = _fixed_texts(rules.export, rules.defaults)
    return FieldSources(
        places=tuple(found.fields.items()),
        constants={name: text for name, companion, text in constants if companion is None},
        otherwise=(
            *(constant for constant in constants if constant[1] is not None),
            # A default may be the companion of another one.
            *sorted(defaults, key=lambda default: default[1] is not None),
            *_brand(rules),
            *_defaults(rules.export),
        ),
        headings={name: columns[place] for name, place in found.fields.items()},
        width=len(columns),
        nulls=rules.null_values,
        bare=frozenset(name for name in found.fields if is_bare(field_of(rules.export, name))),
        words={name: words_of(meanings) for name, meanings in rules.values.items()},
        filter=Filter(
            tuple((at, frozenset(map(trimmed, rules.filter[name]))) for name, at in found.filter.items()),
            rules.null_values,
        ),
    )


def _fixed_texts(export: Export, texts: Mapping[str, str]) -> list[tuple[str, str | None, str]]:
    """Return a job's constants or defaults: field, companion and text."""
    known = ((field_of(export, name), text.strip()) for name, text in texts.items())
    return [(described.name, described.companion, text) for described, text in known if described and text]


def _brand(rules: MappingRules) -> Iterator[tuple[str, str | None, str]]:
    """Yield the account's brand, which rows need not name."""
    if rules.brand_id is not None:
        yield "brand_id", None, rules.brand_id


def _defaults(export: Export) -> Iterator[tuple[str, str | None, str]]:
    for name, described in fields_of(export).items():
        yield from ((name, companion, text) for companion, text in described.default_where)
        if described.default is not None:
            yield name, None, described.default


def _find(headings: Headings, names: Iterable[tuple[str, str]]) -> tuple[dict[str, int], dict[str, UnclearName]]:
    """Return the places of columns and the unclear names, both by purpose."""
    places: dict[str, int] = {}
    unclear: dict[str, UnclearName] = {}
    for purpose, name in names:
        try:
            place = headings.find(name)
        except UnclearName as error:
            unclear[purpose] = error
        else:
            places |= {} if place is None else {purpose: place}
    return places, unclear


def _columns_of_fields(rules: MappingRules, columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each field that a column may feed, in the schema's order, with the name of that column."""
    own = {name: name for name in fields_of(rules.export)} | _parts_of_biz_data(rules.export, columns)
    named = {name: column for name, column in rules.columns.items() if field_of(rules.export, name)}
    yield from (pair for pair in (own | named).items() if pair[0] in named or pair[0] not in rules.constants)


def _parts_of_biz_data(export: Export, columns: Sequence[str]) -> dict[str, str]:
    """Return the parts of biz_data that have a column. The name after the dot is sent, so its case matters."""
    start = len(PART_OF_BIZ_DATA)
    parts: dict[str, str] = {}
    for column in columns:
        plain = trimmed(column)
        name = plain[:start].casefold() + plain[start:]
        if name.startswith(PART_OF_BIZ_DATA) and field_of(export, name):
            parts[name] = name if name in parts else column
    return parts


def _missing(rules: MappingRules, columns: Sequence[str], found: _Found) -> Iterator[str]:
    """Yield what the job needs and the columns lack."""
    for name, column in rules.columns.items():
        if name not in found.fed:
            yield t(
                'there is no column "{column}" for {name}{hint}',
                column=column,
                name=name,
                hint=_nearest_shown(column, columns),
            )
    for column in rules.filter:
        if column not in {*found.filter, *found.unclear_filter}:
            yield t(
                'there is no column "{column}" for the filter{hint}',
                column=column,
                hint=_nearest_shown(column, columns),
            )
    yield from _missing_fields(rules, columns, found)


def _missing_fields(rules: MappingRules, columns: Sequence[str], found: _Found) -> Iterator[str]:
    fed = {*found.fed, *rules.columns, *rules.constants, *(name for name, _, _ in _brand(rules))}
    fed |= {name.partition(".")[0] for name in fed}  # a part of biz_data feeds biz_data
    for names in required_fields(rules.export):
        if fed.isdisjoint(names):
            default = "" if rules.defaults.keys().isdisjoint(names) else t("; a default only fills empty cells")
            yield t(
                "no column or constant feeds {names}{default}{hint}",
                names=t(" or ").join(names),
                default=default,
                hint=_nearest_shown(names[0], columns),
            )


def _parts_not_encodable(rules: MappingRules, found: Iterable[str]) -> Iterator[str]:
    for name in (*found, *rules.constants):
        try:
            name.encode(rules.charset)
        except UnicodeEncodeError:
            yield t(
                "the name {name} goes into biz_data, but {charset} can't encode it",
                name=shown_heading(name),
                charset=rules.charset,
            )


def _nearest_shown(name: str, columns: Sequence[str]) -> str:
    plain = map(trimmed, columns)
    return nearest(trimmed(name), [column for column in plain if shown_heading(column) == column])
