"""How a whole column of a field is read: the commonest forms at once, all others left to the row mapper."""

from dataclasses import dataclass, field
from typing import Protocol
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa

from pipeline.map.constraints import Rule, asks_no_more
from pipeline.map.faults import Unreadable
from pipeline.map.fields import Field, Kind
from pipeline.map.plain import Mask, PlainTexts, either, mask
from pipeline.map.times import is_steady
from pipeline.map.values import Convert
from pipeline.texts import Column, column_of, joined, pc

_AMOUNT = {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,12})\.[0-9]{2}$"}
_WHOLE = {"type": "integer", "minimum": 0, "maximum": 999_999_999_999_999}
_DIGITS = "^(?:0|[1-9][0-9]{0,14})$"
_TIME = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"}
_WRITTEN: dict[Kind, Rule] = {Kind.TIME: _TIME, Kind.INSTANT: {"type": "string"}}
_TIMES = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-5][0-9](?:Z|[+-][0-9]{2}:?[0-9]{2})?$"
# A part of another text has a bound of our own, so that the whole keeps its own without being measured.
_LONGEST_PART = 256
_MOST_MINUTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Reading:
    """
    A column as it was read: what stands in the body for each text, null where there is none.

    At the places that are `odd` it says nothing: what the row mapper makes of such a text is not known here.
    """

    texts: Column = field(repr=False)
    odd: Mask | None = None


class Slot(Protocol):
    """A field whose text, as long as it is plain, decides about nothing but itself."""

    @property
    def rule(self) -> Rule:
        """What each text keeps that is read as plain."""
        ...

    def read(self, column: Column) -> Reading:
        """Read what a column says, as `said` returns it."""
        ...

    def marker(self, number: int) -> str:
        """Return a plain text that is found again in a body: each number has its own, from 1000 on it is longer."""
        ...


def slot_of(
    described: Field, rule: Rule, *, convert: Convert | None, zone: ZoneInfo, unit: str, is_float: bool, charset: str
) -> Slot | None:
    """Return how a field is read by columns; None where it can't be, so that its texts decide."""
    match described.kind:
        case Kind.TEXT if convert is None and PlainTexts.knows(rule, charset):
            return _Text(rule if "maxLength" in rule else {**rule, "maxLength": _LONGEST_PART}, charset)
        case Kind.AMOUNT if asks_no_more(rule, _AMOUNT):
            return _Fen(is_float=is_float) if unit == "fen" else _Yuan()
        case Kind.INTEGER if asks_no_more(rule, _WHOLE):
            return _Whole(is_float=is_float)
        case Kind.TIME | Kind.INSTANT if convert and asks_no_more(rule, _WRITTEN[described.kind]):
            return _Time(rule, convert, zone)
        case Kind.OBJECT if convert and rule.keys() <= {"type", "maxLength"} and "maxLength" in rule:
            return _Object(rule, convert, charset)
    return None


class _Text:
    def __init__(self, rule: Rule, charset: str) -> None:
        self.rule = rule
        self._plain = PlainTexts(rule, charset)

    def read(self, column: Column) -> Reading:
        return Reading(column, self._plain.odd(column))

    def marker(self, number: int) -> str:
        return f"q{number:03}Z7"


class _Yuan:
    rule = _AMOUNT
    _forms = r"^(?:0|[1-9][0-9]{0,12})(?:\.[0-9]{1,2})?$"

    def read(self, column: Column) -> Reading:
        odd = mask(pc.invert(pc.match_substring_regex(column, self._forms)))
        point = pc.find_substring(column, ".")
        # How many letters there are from the point on: none in 12, two in 12.5, three in 12.50.
        tail = pc.if_else(pc.equal(point, -1), 0, pc.subtract(pc.binary_length(column), point))
        if pc.all(pc.equal(tail, 3)).as_py():
            return Reading(column, odd)
        ends = column_of([".00", "00", "0", ""]).take(pc.min_element_wise(tail, 3))
        return Reading(joined(column, ends), odd)

    def marker(self, number: int) -> str:
        return f"7{number:03}31.46"


class _Fen:
    rule = _AMOUNT

    def __init__(self, *, is_float: bool) -> None:
        self._is_float = is_float

    def read(self, column: Column) -> Reading:
        whole = _without_point(column) if self._is_float else column
        odd = mask(pc.invert(pc.match_substring_regex(whole, _DIGITS)))
        padded = pc.utf8_lpad(whole, 3, "0")
        yuan, fen = pc.utf8_slice_codeunits(padded, 0, -2), pc.utf8_slice_codeunits(padded, -2)
        return Reading(joined(yuan, ".", fen), odd)

    def marker(self, number: int) -> str:
        return f"7{number:03}3146"


class _Whole:
    rule = _WHOLE

    def __init__(self, *, is_float: bool) -> None:
        self._is_float = is_float

    def read(self, column: Column) -> Reading:
        whole = _without_point(column) if self._is_float else column
        return Reading(whole, mask(pc.invert(pc.match_substring_regex(whole, _DIGITS))))

    def marker(self, number: int) -> str:
        return f"5{number:03}555"


class _Time:
    """Times are converted minute by minute: where the clocks ran steadily all day, seconds stay as they are."""

    def __init__(self, rule: Rule, convert: Convert, zone: ZoneInfo) -> None:
        self.rule = rule
        self._convert = convert
        self._zone = zone
        self._minutes: dict[str, tuple[str, str] | None] = {}

    def read(self, column: Column) -> Reading:
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
        return f"{2100 + number}-02-03 04:05:06{'Z' if number >= 1000 else ''}"

    def _minute(self, key: str) -> tuple[str, str] | None:
        """Return what stands before and after the seconds of a minute; None where they can't be told from it."""
        if key not in self._minutes:
            if len(self._minutes) >= _MOST_MINUTES:
                self._minutes.clear()
            self._minutes[key] = self._converted(key)
        return self._minutes[key]

    def _converted(self, key: str) -> tuple[str, str] | None:
        try:
            text: str = self._convert(f"{key[:16]}:00{key[16:]}")
        except Unreadable:
            return None
        if text[16:19] != ":00" or not (key[16:] or is_steady(key[:10], self._zone)):
            return None
        return text[:16], text[19:]


class _Object:
    """JSON objects that are sent as texts: each is looked at by itself, and written as JSON writes it within a text."""

    def __init__(self, rule: Rule, convert: Convert, charset: str) -> None:
        self.rule = rule
        self._convert = convert
        self._charset = charset

    def read(self, column: Column) -> Reading:
        unlike = column.dictionary_encode()
        written = [self._written(text) for text in unlike.dictionary.to_pylist()]
        texts = column_of(written).take(unlike.indices)
        return Reading(texts, mask(pc.and_(pc.is_null(texts), pc.is_valid(column))))

    def marker(self, number: int) -> str:
        return f'{{"o{number:03}Z":"7"}}'

    def _written(self, text: str) -> str | None:
        if len(text) > self.rule["maxLength"] or text != text.strip() or "\ufffd" in text:
            return None
        try:
            self._convert(text)
            text.encode(self._charset)
        except (Unreadable, UnicodeEncodeError):
            return None
        return orjson.dumps(text)[1:-1].decode()


def _without_point(column: Column) -> Column:
    """Return whole numbers as they are written without a float's point."""
    return pc.replace_substring_regex(column, r"\.0$", "")
