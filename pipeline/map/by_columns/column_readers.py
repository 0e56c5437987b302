"""
Readers of a field's whole column: the commonest forms by columns, other forms text by text.

A text that neither can read is left to the row mapper, which reports what is wrong with it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa

from pipeline.map.faults import Unreadable
from pipeline.map.fields import Field, FieldKind
from pipeline.map.rules import MappingRules
from pipeline.map.values.constraints import Schema, is_implied
from pipeline.map.values.conversion import Convert
from pipeline.map.values.ids import LOST, ROUNDED_ID, SCIENTIFIC
from pipeline.map.values.plain_texts import Mask, PlainTexts, either, mask
from pipeline.map.values.times import has_one_offset
from pipeline.tables.text_columns import Column, column_of, joined, pc

_AMOUNT = {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,12})\.[0-9]{2}$"}
_WHOLE = {"type": "integer", "minimum": 0, "maximum": 999_999_999_999_999}
_YUAN = r"^(?:0|[1-9][0-9]{0,12})(?:\.[0-9]{1,2})?$"
_DIGITS = "^(?:0|[1-9][0-9]{0,14})$"
_MEMBER_ID = {"type": "string", "pattern": "^2088[0-9]{12}$"}
_TIME = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"}
_WRITTEN: dict[FieldKind, Schema] = {FieldKind.TIME: _TIME, FieldKind.INSTANT: {"type": "string"}}
_TIMES = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-5][0-9](?:Z|[+-][0-9]{2}:?[0-9]{2})?$"
# Characters. Parts have this limit of our own, so that the joined text stays below its limit without being measured.
_LONGEST_PART = 256
_MOST_MINUTES = 1 << 16  # converted minutes that are kept
_ROUNDED = {FieldKind.ID: ROUNDED_ID, FieldKind.PART: SCIENTIFIC}
_LOST = dict.fromkeys(_ROUNDED, LOST)
_UNREAD = "\ufffd"


@dataclass(frozen=True, slots=True)
class Reading:
    """
    A column as the body holds it, null for no value.

    At the places in `odd` the texts mean nothing: the row mapper reads these rows.
    """

    texts: Column = field(repr=False)
    odd: Mask | None = None


class ColumnReader(Protocol):
    """A reader of a field whose plain texts do not decide about other fields."""

    @property
    def rule(self) -> Schema:
        """The rule that every plain text keeps."""
        ...

    def read(self, column: Column) -> Reading:
        """Read a column as `CellColumns.texts` returns it."""
        ...

    def marker(self, number: int) -> str:
        """Return a plain text that can be found in a body, unique for its number; from 1000 on it is longer."""
        ...


def reader_of_column(
    described: Field, rule: Schema, rules: MappingRules, convert: Convert | None, *, most_minutes: int = _MOST_MINUTES
) -> ColumnReader | None:
    """
    Return the column reader of a field; None if it has none, so that each of its texts counts as different.

    A reader of times keeps at most `most_minutes` converted minutes.
    """
    match described.kind:
        case FieldKind.ID if is_implied(rule, _MEMBER_ID):
            return _MemberId()
        case FieldKind.TEXT | FieldKind.ID | FieldKind.PART:
            return _text_reader(described.kind, rule, rules)
        case FieldKind.OBJECT if convert and rule.keys() <= {"type", "maxLength"} and "maxLength" in rule:
            return _Object(rule, _OneByOne(convert, rules.charset))
        case _:
            return convert and _converting_reader(
                described, rule, rules, _OneByOne(convert, rules.charset), most_minutes
            )


def _text_reader(kind: FieldKind, rule: Schema, rules: MappingRules) -> ColumnReader | None:
    if not PlainTexts.knows(rule, rules.charset):
        return None
    bound = rule if "maxLength" in rule else {**rule, "maxLength": _LONGEST_PART}
    rounded = (_LOST if rules.sends_suspicious_ids else _ROUNDED).get(kind)
    return _Text(bound, PlainTexts(bound, rules.charset, is_id=kind is FieldKind.ID, rounded=rounded))


def _converting_reader(
    described: Field, rule: Schema, rules: MappingRules, one_by_one: "_OneByOne", most_minutes: int
) -> ColumnReader | None:
    match described.kind:
        case FieldKind.AMOUNT if is_implied(rule, _AMOUNT):
            if rules.units.get(described.name) == "fen":
                return _Numbers(_AMOUNT, _AMOUNT["pattern"], _DIGITS, _in_yuan, "7{:03}3146", one_by_one)
            return _Numbers(_AMOUNT, _AMOUNT["pattern"], _YUAN, _with_cents, "7{:03}31.46", one_by_one)
        case FieldKind.INTEGER if is_implied(rule, _WHOLE):
            return _Numbers(_WHOLE, _DIGITS, _DIGITS, _as_written, "5{:03}555", one_by_one)
        case FieldKind.TIME | FieldKind.INSTANT if is_implied(rule, _WRITTEN[described.kind]):
            has_formats = described.name in rules.formats
            return _Time(rule, one_by_one, rules.timezone, has_formats=has_formats, most_minutes=most_minutes)
    return None


class _OneByOne:
    """Reads the texts of a column one by one: slower than by columns, but much faster than row by row."""

    def __init__(self, convert: Convert, charset: str) -> None:
        self._convert = convert
        self._charset = charset

    def text(self, text: str) -> str | None:
        """Return a text as the body holds it; None if the row mapper must read it."""
        try:
            text.encode(self._charset)
            return None if _UNREAD in text else str(self._convert(text))
        except (Unreadable, UnicodeEncodeError):
            return None

    def finish(self, reading: Reading, column: Column, kept: str) -> Reading:
        """Return the reading with its odd texts read one by one, where the results match the pattern `kept`."""
        odd = reading.odd
        if odd is None or not odd.any():
            return reading
        unlike = column.filter(pa.array(odd)).dictionary_encode()
        made = column_of(map(self.text, unlike.dictionary.to_pylist()))
        made = pc.if_else(pc.match_substring_regex(made, kept), made, None).take(unlike.indices)
        still_odd = odd.copy()
        still_odd[odd] = mask(made.is_null())
        return Reading(pc.replace_with_mask(reading.texts, pa.array(odd), made), still_odd)


class _Text:
    def __init__(self, rule: Schema, plain: PlainTexts) -> None:
        self.rule = rule
        self._plain = plain

    def read(self, column: Column) -> Reading:
        return Reading(column, self._plain.odd(column))

    def marker(self, number: int) -> str:
        return f"q{number:03}Z7"


class _MemberId:
    """Member ids, all of one length. Markers from 1000 on have another last digit, because a fault may show it."""

    rule = _MEMBER_ID

    def read(self, column: Column) -> Reading:
        return Reading(column, mask(pc.invert(pc.match_substring_regex(column, _MEMBER_ID["pattern"]))))

    def marker(self, number: int) -> str:
        return f"2088{471_000_000_000 + number + number // 1000}"


@dataclass(frozen=True, slots=True)
class _Numbers:
    """
    Reads numbers of the form `read_by_columns` with `written`, others one by one.

    `rule` holds for the body's value, and `result` is the pattern of its text. `mark` is the form of the markers.
    """

    rule: Schema
    result: str
    read_by_columns: str
    written: Callable[[Column], Column]
    mark: str
    one_by_one: _OneByOne

    def read(self, column: Column) -> Reading:
        odd = mask(pc.invert(pc.match_substring_regex(column, self.read_by_columns)))
        return self.one_by_one.finish(Reading(self.written(column), odd), column, self.result)

    def marker(self, number: int) -> str:
        return self.mark.format(number)


def _with_cents(column: Column) -> Column:
    """Return amounts in yuan with two decimals."""
    point = pc.find_substring(column, ".")
    # The number of characters from the point on: 0 in 12, 2 in 12.5, 3 in 12.50.
    tail = pc.if_else(pc.equal(point, -1), 0, pc.subtract(pc.binary_length(column), point))
    if pc.all(pc.equal(tail, 3)).as_py():
        return column
    return joined(column, column_of([".00", "00", "0", ""]).take(pc.min_element_wise(tail, 3)))


def _in_yuan(column: Column) -> Column:
    """Return amounts in fen as yuan with two decimals."""
    padded = pc.utf8_lpad(column, 3, "0")
    return joined(pc.utf8_slice_codeunits(padded, 0, -2), ".", pc.utf8_slice_codeunits(padded, -2))


def _as_written(column: Column) -> Column:
    return column


class _Time:
    """
    Reads times of the commonest form by converting each minute once; the seconds stay as they are.

    That needs a day with one offset. Other forms, and all times of a job with its own forms, are read one by one.
    """

    def __init__(
        self, rule: Schema, one_by_one: _OneByOne, zone: ZoneInfo, *, has_formats: bool, most_minutes: int
    ) -> None:
        self.rule = rule
        self._one_by_one = one_by_one
        self._zone = zone
        self._has_formats = has_formats
        self._minute = lru_cache(most_minutes)(self._converted)

    def read(self, column: Column) -> Reading:
        reading = Reading(column, mask(column.is_valid())) if self._has_formats else self._by_minutes(column)
        return self._one_by_one.finish(reading, column, self.rule.get("pattern", ""))

    def _by_minutes(self, column: Column) -> Reading:
        odd = mask(pc.invert(pc.match_substring_regex(column, _TIMES)))
        times = pc.if_else(pa.array(odd), None, column) if odd.any() else column
        offsets = pc.utf8_slice_codeunits(times, 19)
        keys = joined(pc.utf8_slice_codeunits(times, 0, 16), offsets).dictionary_encode()
        minutes = [self._minute(key) for key in keys.dictionary.to_pylist()]
        lost = pa.array([minute is None for minute in minutes], pa.bool_()).take(keys.indices)
        heads, tails = (
            column_of([minute and minute[part] for minute in minutes]).take(keys.indices) for part in (0, 1)
        )
        seconds = pc.utf8_slice_codeunits(times, 16, 19)
        return Reading(joined(heads, seconds, tails), either(odd, mask(lost)))

    def marker(self, number: int) -> str:
        # An unlikely day for real data, and in range in every zone.
        return f"2010-02-03 {number // 60 % 24:02}:{number % 60:02}:06{'Z' if number >= 1000 else ''}"

    def _converted(self, key: str) -> tuple[str, str] | None:
        """Return the text before and after the seconds of a minute; None if its seconds differ in more."""
        first, last = (self._one_by_one.text(f"{key[:16]}:{second}{key[16:]}") for second in ("00", "59"))
        # The limit of valid times may be within the minute.
        if first is None or last is None or first[16:19] != ":00":
            return None
        if not (key[16:] or has_one_offset(key[:10], self._zone)):
            return None
        return first[:16], first[19:]


class _Object:
    """JSON objects that are sent as text: each is checked by itself, and escaped as a JSON string."""

    def __init__(self, rule: Schema, one_by_one: _OneByOne) -> None:
        self.rule = rule
        self._one_by_one = one_by_one

    def read(self, column: Column) -> Reading:
        unlike = column.dictionary_encode()
        written = [self._written(text) for text in unlike.dictionary.to_pylist()]
        texts = column_of(written).take(unlike.indices)
        return Reading(texts, mask(pc.and_(pc.is_null(texts), pc.is_valid(column))))

    def marker(self, number: int) -> str:
        return f'{{"o{number:03}Z":"7"}}'

    def _written(self, text: str) -> str | None:
        if len(text) > self.rule["maxLength"] or text != text.strip():
            return None
        valid = self._one_by_one.text(text)
        return valid and orjson.dumps(valid)[1:-1].decode()
