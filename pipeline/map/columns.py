"""Which column of a file feeds which field."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.errors import SourceError
from pipeline.map.fields import field_of, fields_of, required_fields
from pipeline.map.rules import MappingRules, nearest
from pipeline.model import Export
from pipeline.showing import shown_heading, shown_headings


@dataclass(frozen=True, slots=True)
class Wiring:
    """
    Where the text of each field comes from.

    `places` are fields and the positions of their columns; `constants` the texts of every row; `otherwise` what a
    field is, where another one is there (or in any case) and the row does not say. `headings` are the columns by
    field, and `width` is how many columns the file has.
    """

    places: tuple[tuple[str, int], ...]
    constants: Mapping[str, str] = field(repr=False)
    otherwise: tuple[tuple[str, str | None, str], ...] = field(repr=False)
    headings: Mapping[str, str]
    width: int

    def texts(self, cells: Sequence[str | None]) -> dict[str, str]:
        """Return what a row says: white space around a value is not part of it, and an empty value says nothing."""
        texts = dict(self.constants)
        for name, position in self.places:
            cell = cells[position]
            if cell and (text := cell.strip()):
                texts[name] = text
        for name, companion, text in self.otherwise:
            if companion is None or companion in texts:
                texts.setdefault(name, text)
        return texts


def check_columns(rules: MappingRules, columns: Sequence[str], name: str) -> None:
    """
    Make sure that a file has the columns that every row needs.

    Raises SourceError, which names the file, the columns that are missing with the nearest there is, and the ones
    that are there.
    """
    faults = [*_missing_columns(rules, columns), *_missing_fields(rules, columns), *_doubled_columns(rules, columns)]
    faults += _parts_not_carried(rules, columns)
    if faults:
        raise SourceError(f"{name}: {'; '.join(faults)}. The columns there are: {shown_headings(columns)}")


class UsedColumns:
    """What a job does with the columns of a file, as reading asks."""

    def __init__(self, rules: MappingRules) -> None:
        self._rules = rules

    def used(self, columns: Sequence[str]) -> frozenset[int]:
        """Return the positions of the columns that feed a field."""
        return frozenset(position for _, position in wire(self._rules, columns).places)

    def are_complete(self, columns: Sequence[str]) -> bool:
        """Tell whether no column is missing that the job names, or that every row needs."""
        return not [*_missing_columns(self._rules, columns), *_missing_fields(self._rules, columns)]


def wire(rules: MappingRules, columns: Sequence[str]) -> Wiring:
    """Find the column of each field once, for a file that passed `check_columns`."""
    fed = _columns_of_fields(rules, columns)
    always, otherwise = _sorted_constants(rules)
    return Wiring(
        places=tuple((name, columns.index(column)) for name, column in fed.items()),
        constants=always,
        otherwise=(*otherwise, *_defaults(rules.export)),
        headings=fed,
        width=len(columns),
    )


def _sorted_constants(rules: MappingRules) -> tuple[dict[str, str], list[tuple[str, str | None, str]]]:
    """Part the constants that always count from those that count only where their companion is there."""
    always: dict[str, str] = {}
    with_companion: list[tuple[str, str | None, str]] = []
    for name, raw in rules.constants.items():
        known, text = field_of(rules.export, name), raw.strip()
        if text and known and known.companion:
            with_companion.append((name, known.companion, text))
        elif text and known:
            always[name] = text
    return always, with_companion


def _defaults(export: Export) -> Iterator[tuple[str, str | None, str]]:
    for name, described in fields_of(export).items():
        yield from ((name, companion, text) for companion, text in described.default_where)
        if described.default is not None:
            yield name, None, described.default


def _columns_of_fields(rules: MappingRules, columns: Sequence[str]) -> dict[str, str]:
    """Return the column of each field: the one that the job names, else the one that bears the field's name."""
    own = {column: column for column in columns if field_of(rules.export, column) and column not in rules.constants}
    named = {
        name: column for name, column in rules.columns.items() if column in columns and field_of(rules.export, name)
    }
    return own | named


def _missing_columns(rules: MappingRules, columns: Sequence[str]) -> Iterator[str]:
    for name, column in rules.columns.items():
        if column not in columns:
            yield f'there is no column "{column}", which {name} is to come from{_nearest_shown(column, columns)}'


def _missing_fields(rules: MappingRules, columns: Sequence[str]) -> Iterator[str]:
    fed = {*_columns_of_fields(rules, columns), *rules.columns, *rules.constants}
    fed |= {name.partition(".")[0] for name in fed}  # a part of biz_data feeds biz_data
    for names in required_fields(rules.export):
        if fed.isdisjoint(names):
            yield f"no column or constant feeds {' or '.join(names)}{_nearest_shown(names[0], columns)}"


def _doubled_columns(rules: MappingRules, columns: Sequence[str]) -> Iterator[str]:
    count = Counter(columns)
    for name, column in _columns_of_fields(rules, columns).items():
        if count[column] > 1:
            yield f'{count[column]} columns are called "{column}", so what {name} holds can\'t be told'


def _parts_not_carried(rules: MappingRules, columns: Sequence[str]) -> Iterator[str]:
    for name in (*_columns_of_fields(rules, columns), *rules.constants):
        try:
            name.encode(rules.charset)
        except UnicodeEncodeError:
            yield f"the name {shown_heading(name)} goes into biz_data, and {rules.charset} can't carry it"


def _nearest_shown(name: str, columns: Sequence[str]) -> str:
    return nearest(name, [column for column in columns if shown_heading(column) == column])
