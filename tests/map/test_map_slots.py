"""A column is read as its texts are one by one, or it says at which places it can't tell."""

import re
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.map import slots
from pipeline.map.constraints import asked_at
from pipeline.map.faults import Unreadable
from pipeline.map.fields import Field, Kind, export_schema
from pipeline.map.plain import PlainTexts, said
from pipeline.map.slots import Reading, Slot, slot_of
from pipeline.map.values import Convert, conversion
from pipeline.model import Export
from pipeline.texts import column_of, listed

SHANGHAI = ZoneInfo("Asia/Shanghai")
RULES = {
    "an id": asked_at(export_schema(Export.ORDERS), ("out_biz_no",)),
    "an id of points": asked_at(export_schema(Export.POINTS), ("openid",)),
    "a card code": asked_at(export_schema(Export.POINTS), ("user_card_code",)),
    "a request number": asked_at(export_schema(Export.POINTS), ("out_request_no",)),
}
RULE_OF_KIND: dict[Kind, dict[str, Any]] = {
    Kind.AMOUNT: {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,12})\.[0-9]{2}$"},
    Kind.TIME: {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"},
    Kind.INSTANT: {"type": "string"},
    Kind.INTEGER: {"type": "integer", "minimum": 0, "maximum": 9007199254740991},
    Kind.OBJECT: {"type": "string", "maxLength": 64},
}
FIGURES = st.text("0123456789.", min_size=1, max_size=18) | st.decimals(0, 10**9, places=2).map(str)
TIMES = st.builds(
    "{0}{1}{2}{3}".format,
    st.dates().map(str),
    st.sampled_from([" ", "T", "  "]),
    st.sampled_from(["00:00:00", "02:30:59", "12:00:60", "23:59:59", "24:00:00", "12:60:00", "1:00:00"]),
    st.sampled_from(["", "", "Z", "+08:00", "-0930", " +08:00", ".5", "+08:60", "+24:00"]),
)
OBJECTS = st.dictionaries(st.text(max_size=3), st.text(max_size=9)).map(lambda value: orjson.dumps(value).decode())
TEXTS = {
    Kind.AMOUNT: FIGURES,
    Kind.INTEGER: FIGURES,
    Kind.TIME: TIMES,
    Kind.INSTANT: TIMES,
    Kind.OBJECT: OBJECTS | st.sampled_from(["[]", "x", '{"a":\t1}', '{"a":"\ufffd"}', '{"a":1}\u3000']),
}


def reader(kind: Kind, unit: str, zone: ZoneInfo, *, is_float: bool) -> tuple[Slot, Convert]:
    convert = conversion(Field("x", kind), zone=zone, unit=unit, is_float=is_float)
    slot = slot_of(
        Field("x", kind), RULE_OF_KIND[kind], convert=convert, zone=zone, unit=unit, is_float=is_float, charset="utf-8"
    )
    assert slot is not None
    assert convert is not None
    return slot, convert


def plain(reading: Reading, texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return the texts that are not odd, each with what was read of it."""
    odd = [False] * len(texts) if reading.odd is None else reading.odd.tolist()
    return [(text, read) for text, read, is_odd in zip(texts, listed(reading.texts), odd, strict=True) if not is_odd]


def converted(convert: Convert, text: str) -> str:
    try:
        value = convert(text)
    except Unreadable as error:
        return f"unreadable: {error.rule}"
    return orjson.dumps(value).decode().strip('"') if isinstance(value, str) else str(value)


@settings(deadline=None, max_examples=200)
@given(
    data=st.data(),
    unit=st.sampled_from(["yuan", "fen"]),
    zone=st.sampled_from(["Asia/Shanghai", "UTC", "Europe/Berlin", "Europe/Amsterdam", "Asia/Kathmandu"]),
    is_float=st.booleans(),
)
@pytest.mark.parametrize("kind", TEXTS)
def test_what_a_column_says_is_what_each_text_says(
    data: st.DataObject, kind: Kind, unit: str, zone: str, is_float: bool
) -> None:
    """A text that is not odd is written in the body as the row mapper converts it."""
    texts = [text for text in data.draw(st.lists(TEXTS[kind], min_size=1, max_size=4)) if text == text.strip()]
    slot, convert = reader(kind, unit, ZoneInfo(zone), is_float=is_float)

    read = plain(slot.read(column_of(texts)), texts)

    assert [one for _, one in read] == [converted(convert, text) for text, _ in read]


@pytest.mark.parametrize(
    ("kind", "unit", "is_float", "text", "read"),
    [
        pytest.param(Kind.AMOUNT, "yuan", False, "12", "12.00", id="yuan"),
        pytest.param(Kind.AMOUNT, "yuan", False, "12.5", "12.50", id="one-decimal"),
        pytest.param(Kind.AMOUNT, "yuan", False, "0.05", "0.05", id="two-decimals"),
        pytest.param(Kind.AMOUNT, "yuan", True, "12.0", "12.00", id="float-of-yuan"),
        pytest.param(Kind.AMOUNT, "fen", False, "5", "0.05", id="one-fen-digit"),
        pytest.param(Kind.AMOUNT, "fen", False, "1250", "12.50", id="fen"),
        pytest.param(Kind.AMOUNT, "fen", True, "1250.0", "12.50", id="float-of-fen"),
        pytest.param(Kind.INTEGER, "yuan", False, "120", "120", id="whole"),
        pytest.param(Kind.INTEGER, "yuan", True, "120.0", "120", id="float-that-is-whole"),
        pytest.param(Kind.TIME, "yuan", False, "2024-05-01 12:00:07", "2024-05-01 12:00:07", id="time"),
        pytest.param(Kind.TIME, "yuan", False, "2024-05-01T12:00:07Z", "2024-05-01 20:00:07", id="time-with-offset"),
        pytest.param(Kind.INSTANT, "yuan", False, "2024-05-01 12:00:07", "2024-05-01T04:00:07.000000Z", id="instant"),
        pytest.param(Kind.OBJECT, "yuan", False, '{"a":"\\\\"}', '{\\"a\\":\\"\\\\\\\\\\"}', id="object"),
    ],
)
def test_the_commonest_forms_are_read_by_columns(kind: Kind, unit: str, is_float: bool, text: str, read: str) -> None:
    """What most exports hold is never odd, alone or among other texts, and nothing stays nothing."""
    slot, _ = reader(kind, unit, SHANGHAI, is_float=is_float)

    assert plain(slot.read(column_of([text])), [text]) == [(text, read)]
    assert listed(slot.read(column_of([None, text, "odd"])).texts)[:2] == [None, read]


def test_no_more_minutes_are_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute is converted once, and once more where it came back after as many others as are kept."""
    monkeypatch.setattr(slots, "_MOST_MINUTES", 2)
    asked: list[str] = []

    def convert(text: str) -> str:
        asked.append(text[11:16])
        return text

    slot = slot_of(
        Field("x", Kind.TIME),
        RULE_OF_KIND[Kind.TIME],
        convert=convert,
        zone=SHANGHAI,
        unit="yuan",
        is_float=False,
        charset="utf-8",
    )
    assert slot is not None
    texts = [f"2024-05-01 12:{minute}:07" for minute in ("00", "01", "00", "02", "00")]

    assert [listed(slot.read(column_of([text])).texts) for text in texts] == [[text] for text in texts]
    assert asked == ["12:00", "12:01", "12:02", "12:00"]


@pytest.mark.parametrize("name", RULES)
def test_plain_texts_keep_the_rule_and_are_their_own_json(name: str) -> None:
    """Wherever any character stands, a text that is not odd keeps its pattern; none of it is stripped or escaped."""
    letters = [chr(code) for code in range(0x11000) if not 0xD800 <= code < 0xE000]
    texts = [text for letter in letters for text in (f"{letter}a", f"a{letter}a", f"a{letter}")]
    rule = RULES[name]

    column = said(column_of(texts))
    odd = PlainTexts(rule, "utf-8").odd(column)

    assert odd is not None
    left = [text for text, is_odd in zip(listed(column), odd, strict=True) if not is_odd]
    assert len(left) > 3 * 60
    assert [text for text in left if text != text.strip() or orjson.dumps(text).decode() != f'"{text}"'] == []
    assert [text for text in left if re.search(rule["pattern"], text) is None or "\ufffd" in text] == []


@pytest.mark.parametrize(("charset", "is_odd"), [("utf-8", False), ("gbk", True)])
def test_what_the_charset_does_not_carry_is_odd(charset: str, is_odd: bool) -> None:
    """A text is plain only where the request can be written in it."""
    odd = PlainTexts(RULES["an id"], charset).odd(column_of(["消费", "Ø", None, "a"]))

    assert odd is not None
    assert odd.tolist() == [False, is_odd, False, False]


@pytest.mark.parametrize(
    ("longest", "odd"), [pytest.param(2, [False, False, True], id="shorter"), pytest.param(3, None, id="longest")]
)
def test_lengths_are_counted_in_characters(longest: int, odd: list[bool] | None) -> None:
    """A text of more characters than the rule lets pass is odd, however many bytes it has."""
    found = PlainTexts({"type": "string", "maxLength": longest}, "utf-8").odd(column_of(["ab", "消费", "abc"]))

    assert (found.tolist() if found is not None and found.any() else None) == odd


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param({"type": "string", "pattern": "^a+$"}, id="pattern-of-another-kind"),
        pytest.param({"type": "string", "pattern": "^[a&&b]*$"}, id="set-of-sets"),
        pytest.param({"type": "string", "minLength": 2}, id="least-length"),
        pytest.param({"type": "string", "format": "uuid"}, id="keyword"),
        pytest.param({"type": "integer"}, id="type"),
    ],
)
def test_a_rule_that_is_not_known_is_not_taken_for_kept(rule: dict[str, Any]) -> None:
    """Whatever else a schema comes to ask of a text, its columns are then left to the row mapper."""
    how: dict[str, Any] = {"convert": None, "zone": SHANGHAI, "unit": "yuan", "is_float": False, "charset": "utf-8"}

    assert slot_of(Field("x"), rule, **how) is None


def test_blanks_around_a_text_are_not_part_of_it() -> None:
    """Blanks are taken off, and what then is empty is nothing."""
    assert listed(said(column_of([" a b ", "  ", "", None, "\ta"]))) == ["a b", None, None, None, "\ta"]
