"""Ids that a spreadsheet rounded in `rows_to_fix`, found by comparison with the original row."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal

from pipeline.language import t
from pipeline.map.columns.field_sources import FieldSources, find_sources
from pipeline.map.fields import field_of
from pipeline.map.rules import MappingRules
from pipeline.model import INEXACT, Fault
from pipeline.redact import masked, shown_heading

ID_ROUNDED = "id_rounded"

_ENDS_OF_IDS = ("_no", "_id", "_code", "openid")
# The marks around a text that keep a spreadsheet from reading it as a number.
_GUARDS = re.compile(r"""^=\s*"(.*)"$|^['`](.*)$""", re.DOTALL)
_NUMBER = re.compile(r"[+-]?[0-9]{1,128}(?:[.,][0-9]{0,128})?(?:[eE][+-]?[0-9]{1,3})?")
_IN_THOUSANDS = re.compile(r"[0-9]{1,3}(?:([,. '’\u00a0\u202f])[0-9]{3})(?:\1[0-9]{3})+(?:[.,]0*)?")
_FLOAT = re.compile(r"([0-9]{1,15})\.0+")
_TOO_NARROW = re.compile(r"#{2,}")
# A spreadsheet keeps 15 digits; a program that uses floats keeps up to 17.
_KEPT_DIGITS = (15, 16, 17)


@dataclass(frozen=True, slots=True)
class RoundedId:
    """A rounded id: the position of its column, the original id, and the fault."""

    column: int
    original: str = field(repr=False)
    fault: Fault


class RoundedIds:
    """Compares the ids of fixed rows with those of their origins, by field, in any order of columns."""

    def __init__(self, rules: MappingRules, columns: Sequence[str]) -> None:
        self._rules = rules
        self._sources = find_sources(rules, columns)
        self._places = dict(_ids(rules, self._sources))
        self._origins: dict[tuple[str, ...], dict[str, int]] = {}

    def find(
        self, cells: Sequence[str | None], columns: tuple[str, ...], origin: Sequence[str | None]
    ) -> list[RoundedId]:
        """Return the ids of a row that differ only by rounding from its origin, whose file has these columns."""
        if columns not in self._origins:
            self._origins[columns] = dict(_ids(self._rules, find_sources(self._rules, columns)))
        before = self._origins[columns]
        found = []
        for name, column in self._places.items():
            was = origin[before[name]] if name in before and before[name] < len(origin) else None
            now = cells[column] if column < len(cells) else None
            if was and now and is_rounded(was, now):
                found.append(RoundedId(column, was, self._fault(name, now)))
        return found

    def _fault(self, name: str, now: str) -> Fault:
        heading = self._sources.headings.get(name, name)
        label = name if heading == name else t("{name} (column {heading})", name=name, heading=shown_heading(heading))
        return Fault(
            ID_ROUNDED,
            t(
                "{label} {now} is the original id as a spreadsheet rounded it; rows_to_fix of this run has the "
                "original: format the column as text",
                label=label,
                now=masked(now, is_private=True),
            ),
        )


def _ids(rules: MappingRules, sources: FieldSources) -> Iterator[tuple[str, int]]:
    """Yield the fields that hold ids, keys or codes, with the positions of their columns."""
    for name, column in sources.places:
        known = field_of(rules.export, name)
        if known is not None and name.endswith(_ENDS_OF_IDS):
            yield name, column


def is_rounded(was: str, now: str) -> bool:
    """
    Return whether `now` is what a spreadsheet, or a program that uses floats, writes for the id `was`.

    It writes one of these:

    - the same number in another form: `2.5E+3`, `123.0`, `123` for `00123`;
    - the number with fewer digits: `2.02354E+19`, or zeros after the 15th digit;
    - `###`, for a column that is too narrow.
    """
    was, now = _bare(was), _bare(now)
    if now in (was, _without_zeros(was)):
        return False
    if _TOO_NARROW.fullmatch(now):
        return True
    number, seen = _number(was), _number(now)
    if number is None or seen is None:
        return False
    return number == seen or seen in _roundings(number, now)


def _bare(text: str) -> str:
    text = text.strip().removeprefix(INEXACT)
    found = _GUARDS.match(text)
    return text if found is None else (found[1] or found[2] or "").strip()


def _without_zeros(text: str) -> str:
    """Return an id like `123.0` as the whole number that it was, if a float holds all of its digits."""
    found = _FLOAT.fullmatch(text)
    return found[1] if found else text


def _number(text: str) -> Decimal | None:
    if _IN_THOUSANDS.fullmatch(text):
        separator = next(letter for letter in text if not letter.isdigit())
        text = text.replace(separator, "")
    return Decimal(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


def _roundings(number: Decimal, now: str) -> set[Decimal]:
    """Return the roundings of a number to the digits that a text like `now` keeps."""
    mantissa, _, exponent = now.upper().partition("E")
    digits = (max(1, sum(map(str.isdigit, mantissa))),) if exponent else _KEPT_DIGITS
    modes = (ROUND_HALF_UP, ROUND_DOWN)
    kept = {Context(prec=some, rounding=mode).create_decimal(number) for some in digits for mode in modes}
    return kept if exponent else kept | {Decimal(float(number))}
