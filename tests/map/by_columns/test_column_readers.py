"""A column is read like its texts one by one, or its odd places are reported."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.map.by_columns.cell_columns import CellColumns
from pipeline.map.by_columns.column_readers import ColumnReader, Reading, reader_of_column
from pipeline.map.faults import Unreadable
from pipeline.map.fields import Field, FieldKind, export_schema
from pipeline.map.rules import MappingRules
from pipeline.map.values.constraints import rule_at
from pipeline.map.values.conversion import Convert, conversion
from pipeline.map.values.ids import ROUNDED_ID, read_id
from pipeline.map.values.plain_texts import PlainTexts
from pipeline.model import Api, Export
from pipeline.tables.text_columns import column_of, listed

SHANGHAI = ZoneInfo("Asia/Shanghai")
RULES = {
    "an id": rule_at(export_schema(Export.ORDERS), ("out_biz_no",)),
    "an id of points": rule_at(export_schema(Export.POINTS), ("openid",)),
    "a card code": rule_at(export_schema(Export.POINTS), ("user_card_code",)),
    "a request number": rule_at(export_schema(Export.POINTS), ("out_request_no",)),
}
RULE_OF_KIND: dict[FieldKind, dict[str, Any]] = {
    FieldKind.AMOUNT: {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,12})\.[0-9]{2}$"},
    FieldKind.TIME: {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"},
    FieldKind.INSTANT: {"type": "string"},
    FieldKind.INTEGER: {"type": "integer", "minimum": 0, "maximum": 9007199254740991},
    FieldKind.OBJECT: {"type": "string", "maxLength": 64},
}
FIGURES = (
    st.text("0123456789.,￥", min_size=1, max_size=18)
    | st.decimals(0, 10**9, places=2).map(str)
    | st.decimals(0, 10**9, places=3).map("￥{:,}".format)
    | st.integers(0, 10**16).map("{:,}.0".format)
)
CLOCKS = st.sampled_from(
    ["00:00:00", "02:30:59", "12:00:60", "23:59:59", "24:00:00", "12:60:00", "1:00:00", "7:45", "12:00:00.5"]
)
OFFSETS = st.sampled_from(
    ["", "", "Z", " UTC", "+08", "+08:00", "-0930", " +08:00", ".5", "+08:60", "+24:00", " CST", "+8"]
)
DATES = st.dates().map(str) | st.dates(min_value=date(2009, 12, 30), max_value=date(2010, 1, 3)).map(str)
TIMES = (
    st.builds("{0}{1}{2}{3}".format, DATES, st.sampled_from([" ", "T", "  "]), CLOCKS, OFFSETS)
    | st.builds("{0}{1}".format, st.datetimes().map("{0:%Y/%m/%d} {0.hour}:{0:%M}".format), OFFSETS)
    | st.builds("{0}{1}".format, st.datetimes().map("{:%Y%m%d%H%M%S}".format), OFFSETS)
    | st.datetimes(min_value=datetime(2026, 11, 28, 11), max_value=datetime(2026, 11, 28, 22)).map(str)  # noqa: DTZ001
    | st.datetimes().map("{:%d.%m.%Y %H:%M}".format)
    | st.integers(0, 99999).map(str)
    | st.integers(10**9, 2 * 10**12).map(str)
)
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
FORMATS = st.sampled_from([(), (), ("%d.%m.%Y %H:%M",), ("epoch_s", "%Y-%d-%m %H:%M:%S"), ("excel_serial",)])
OBJECTS = st.dictionaries(st.text(max_size=3), st.text(max_size=9)).map(lambda value: orjson.dumps(value).decode())
TEXTS = {
    FieldKind.AMOUNT: FIGURES,
    FieldKind.INTEGER: FIGURES,
    FieldKind.TIME: TIMES,
    FieldKind.INSTANT: TIMES,
    FieldKind.OBJECT: OBJECTS | st.sampled_from(["[]", "x", '{"a":\t1}', '{"a":"\ufffd"}', '{"a":1}\u3000']),
}


def reader(
    kind: FieldKind, unit: str = "yuan", zone: ZoneInfo = SHANGHAI, formats: Sequence[str] = ()
) -> tuple[ColumnReader, Convert]:
    rules = MappingRules(
        Export.ORDERS, Api.CUMULATION, {}, {"x": unit}, {}, zone, formats={"x": formats} if formats else {}, now=NOW
    )
    convert = conversion(Field("x", kind), rules)
    column_reader = reader_of_column(Field("x", kind), RULE_OF_KIND[kind], rules, convert)
    assert column_reader is not None
    assert convert is not None
    return column_reader, convert


def plain(reading: Reading, texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return the texts that are not odd, each with its result."""
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
    formats=FORMATS,
)
@pytest.mark.parametrize("kind", TEXTS)
def test_a_column_gives_the_same_as_its_texts(
    data: st.DataObject, kind: FieldKind, unit: str, zone: str, formats: tuple[str, ...]
) -> None:
    """A text that is not odd has the same form in the body as from the row mapper."""
    texts = [text for text in data.draw(st.lists(TEXTS[kind], min_size=1, max_size=4)) if text == text.strip()]
    column_reader, convert = reader(kind, unit, ZoneInfo(zone), formats)

    read = plain(column_reader.read(column_of(texts)), texts)

    assert [one for _, one in read] == [converted(convert, text) for text, _ in read]


@pytest.mark.parametrize(
    ("kind", "unit", "text", "read"),
    [
        pytest.param(FieldKind.AMOUNT, "yuan", "12", "12.00", id="yuan"),
        pytest.param(FieldKind.AMOUNT, "yuan", "12.5", "12.50", id="one-decimal"),
        pytest.param(FieldKind.AMOUNT, "yuan", "0.05", "0.05", id="two-decimals"),
        pytest.param(FieldKind.AMOUNT, "yuan", "12.5000", "12.50", id="four-decimals"),
        pytest.param(FieldKind.AMOUNT, "yuan", "￥1,280.00", "1280.00", id="sign-and-separator"),
        pytest.param(FieldKind.AMOUNT, "fen", "5", "0.05", id="one-fen-digit"),
        pytest.param(FieldKind.AMOUNT, "fen", "1250", "12.50", id="fen"),
        pytest.param(FieldKind.AMOUNT, "fen", "1,250.0", "12.50", id="fen-with-separator-and-decimal"),
        pytest.param(FieldKind.INTEGER, "yuan", "120", "120", id="whole"),
        pytest.param(FieldKind.INTEGER, "yuan", "1,200.00", "1200", id="whole-with-separator-and-decimals"),
        pytest.param(FieldKind.TIME, "yuan", "2024-05-01 12:00:07", "2024-05-01 12:00:07", id="time"),
        pytest.param(FieldKind.TIME, "yuan", "2024-05-01T12:00:07Z", "2024-05-01 20:00:07", id="time-with-offset"),
        pytest.param(
            FieldKind.TIME, "yuan", "2024-05-01 12:00:07.5+08", "2024-05-01 12:00:07", id="time-of-postgresql"
        ),
        pytest.param(FieldKind.TIME, "yuan", "2024/5/1 7:45", "2024-05-01 07:45:00", id="time-of-a-spreadsheet"),
        pytest.param(FieldKind.TIME, "yuan", "20240501074500", "2024-05-01 07:45:00", id="compact-time"),
        pytest.param(FieldKind.INSTANT, "yuan", "2024-05-01 12:00:07", "2024-05-01T04:00:07.000000Z", id="instant"),
        pytest.param(
            FieldKind.INSTANT, "yuan", "2024-05-01 12:00:07.5", "2024-05-01T04:00:07.500000Z", id="exact-instant"
        ),
        pytest.param(FieldKind.OBJECT, "yuan", '{"a":"\\\\"}', '{\\"a\\":\\"\\\\\\\\\\"}', id="object"),
    ],
)
def test_common_forms_are_read_by_columns(kind: FieldKind, unit: str, text: str, read: str) -> None:
    """Common texts of exports are never odd, alone or among others, and null stays null."""
    column_reader, _ = reader(kind, unit)

    assert plain(column_reader.read(column_of([text])), [text]) == [(text, read)]
    assert listed(column_reader.read(column_of([None, text, "odd"])).texts)[:2] == [None, read]


@pytest.mark.parametrize(
    ("formats", "text"),
    [(("%d.%m.%Y %H:%M",), "01.05.2024 07:45"), (("epoch_s",), "1714520700"), (("excel_serial",), "45413.3229166667")],
)
def test_the_forms_of_a_job_are_read_by_columns(formats: tuple[str, ...], text: str) -> None:
    """A form that the job names is read without the row mapper."""
    column_reader, _ = reader(FieldKind.TIME, formats=formats)

    assert plain(column_reader.read(column_of([text, None])), [text, "no"])[0] == (text, "2024-05-01 07:45:00")


def test_a_form_of_a_job_comes_before_the_commonest_one() -> None:
    """If the job puts the day before the month, a text in the common form is read by the job's form."""
    texts = ["2025-13-12 10:00:00", "2025-11-12 10:00:00"]
    column_reader, _ = reader(FieldKind.TIME, formats=("%Y-%d-%m %H:%M:%S",))

    assert listed(column_reader.read(column_of(texts)).texts) == ["2025-12-13 10:00:00", "2025-12-11 10:00:00"]


def test_the_minute_in_which_the_future_begins_is_read_second_by_second() -> None:
    """In the last valid minute, seconds after the limit are odd, and seconds before it are not."""
    texts = ["2026-11-28 20:14:59", "2026-11-28 20:15:00", "2026-11-28 20:15:01"]
    column_reader, _ = reader(FieldKind.TIME)

    assert [text for text, _ in plain(column_reader.read(column_of(texts)), texts)] == texts[:2]


def test_the_number_of_kept_minutes_is_bounded() -> None:
    """A minute is converted once, and again if it was dropped after many others."""
    converted_minutes: list[str] = []

    def convert(text: str) -> str:
        converted_minutes.append(text[11:16])
        return text

    rules = MappingRules(Export.ORDERS, Api.CUMULATION, {}, {}, {}, SHANGHAI)
    column_reader = reader_of_column(
        Field("x", FieldKind.TIME), RULE_OF_KIND[FieldKind.TIME], rules, convert, most_minutes=2
    )
    assert column_reader is not None
    texts = [f"2024-05-01 12:{minute}:07" for minute in ("00", "00", "01", "02", "00")]

    assert [listed(column_reader.read(column_of([text])).texts) for text in texts] == [[text] for text in texts]
    # Each minute is converted at its first and its last second.
    assert converted_minutes[::2] == converted_minutes[1::2] == ["12:00", "12:01", "12:02", "12:00"]


@pytest.mark.parametrize("name", RULES)
def test_plain_texts_keep_the_rule_and_are_their_own_json(name: str) -> None:
    """A text with any character at any place, if not odd, keeps its pattern and is neither stripped nor escaped."""
    letters = [chr(code) for code in range(0x11000) if not 0xD800 <= code < 0xE000]
    texts = [text for letter in letters for text in (f"{letter}a", f"a{letter}a", f"a{letter}")]
    rule = RULES[name]

    column = CellColumns(frozenset(), is_bare=False).texts(column_of(texts))
    odd = PlainTexts(rule, "utf-8").odd(column)

    assert odd is not None
    left = [text for text, is_odd in zip(listed(column), odd, strict=True) if not is_odd]
    assert len(left) > 3 * 60
    assert [text for text in left if text != text.strip() or orjson.dumps(text).decode() != f'"{text}"'] == []
    assert [text for text in left if re.search(rule["pattern"], text) is None or "\ufffd" in text] == []


@pytest.mark.parametrize(("charset", "is_odd"), [("utf-8", False), ("gbk", True)])
def test_a_text_that_the_charset_cannot_encode_is_odd(charset: str, is_odd: bool) -> None:
    """A text is plain only if the charset can encode it."""
    odd = PlainTexts(RULES["an id"], charset).odd(column_of(["消费", "Ø", None, "a"]))

    assert odd is not None
    assert odd.tolist() == [False, is_odd, False, False]


@pytest.mark.parametrize(
    ("longest", "odd"), [pytest.param(2, [False, False, True], id="shorter"), pytest.param(3, None, id="longest")]
)
def test_lengths_are_counted_in_characters(longest: int, odd: list[bool] | None) -> None:
    """A text with more characters than the rule allows is odd; bytes do not count."""
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
def test_texts_with_an_unknown_rule_are_not_read_by_columns(rule: dict[str, Any]) -> None:
    """Texts with an unknown schema keyword are left to the row mapper."""
    assert (
        reader_of_column(Field("x"), rule, MappingRules(Export.ORDERS, Api.CUMULATION, {}, {}, {}, SHANGHAI), None)
        is None
    )


@pytest.mark.parametrize("name", RULES)
def test_a_plain_id_has_no_confusable_character(name: str) -> None:
    """An id with any character at any place, if not odd, is accepted by `read_id`."""
    letters = [chr(code) for code in range(0x11000) if not 0xD800 <= code < 0xE000]
    texts = [text for letter in letters for text in (f"{letter}a", f"a{letter}a", f"a{letter}")]
    texts += ["1E5", "1.0", "12", "1,5e+20", "1.E5", "E5", "1.5", "2e5f", "4.89012E+23", "1E4567"]

    odd = PlainTexts(RULES[name], "utf-8", is_id=True, rounded=ROUNDED_ID).odd(column_of(texts))

    assert odd is not None
    left = [text for text, is_odd in zip(texts, odd, strict=True) if not is_odd]
    assert left == [text for text in left if converted(read_id, text) == text]
    assert {"12", "E5"} <= set(left)
