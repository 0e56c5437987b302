"""A chunk is mapped to the same result as its rows one by one."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.map import MappingRules, bind, bind_chunks
from pipeline.map.by_columns.feeds import Feed
from pipeline.map.by_columns.learner import Learner
from pipeline.map.by_columns.template import InvalidRows, Template
from pipeline.map.fields import APIS_OF_EXPORT, FieldKind, field_of, fields_of
from pipeline.model import NULL_WORDS, Api, BadRow, Export, Fault, Filtered, Invalid, Mapped, Row, digest
from pipeline.tables.chunk import Chunk
from pipeline.tables.mapped_chunk import MappedChunk, key_of_row
from pipeline.tables.text_columns import trimmed

Good = Mapping[Export, Mapping[str, str | None]]

DISCOUNTS = '[{"discount_name":"a","discount_type":"memberPoint","discount_amount":1.5}]'
# Valid and nearly valid texts of each kind of field.
OF_KIND = {
    FieldKind.TEXT: st.sampled_from(
        [
            *(
                "A-17",
                "a b",
                " a",
                "a ",
                " \u3000a",
                "a\u3000",
                "a\u00a0",
                "\u2028a",
                "消费",
                "q000Z7",
                "qq",
                "2088",
                "#",
            ),
            *(
                'a"b',
                "a\\b",
                "a\x7fb",
                "a\x85",
                "\ufeffa",
                "😀",
                "\ufffd",
                "\x00",
                "a\tb",
                "\x1ca",
                "é",
                "\u200b",
                "～",
            ),
            *("x" * 16, "x" * 17, "x" * 33, "x" * 129, "消" * 65, "x" * 257, "x" * 4096, "ORDER_PAID", "AMOUNT", "-_"),
        ]
    ),
    FieldKind.AMOUNT: st.sampled_from(
        [
            *(
                "1,280.00",
                "￥18.00",
                "¥18",
                "¥ 1,280.5",
                "12.5000",
                "12.5001",
                "1,28.00",
                "0,280",
                "¥¥1",
                "-¥1",
                "1，280",
            ),
            *("1250.00", "1,250.0", f"12.{'0' * 18}", "1,234,567,890,123.00", "12,345,678,901,234"),
            *(
                "0",
                "00",
                "1",
                "10",
                "0.5",
                "0.50",
                "12.5",
                "12.50",
                "012.50",
                "12.",
                ".5",
                "12.345",
                "-1",
                "1e3",
                "1,5",
            ),
            *("350.0", "350.00", "1" * 13, "1" * 14, "1" * 15, "1" * 16, "1" * 13 + ".99", "１２", "12.5 ", "٣"),
        ]
    )
    | st.decimals(0, 10**6, places=2).map(str)
    | st.integers(0, 10**16).map(str),
    FieldKind.TIME: st.sampled_from(
        [
            *("2024/5/1 7:45", "2024/05/01 07:45:09.5", "2024-5-1 7:45", "20240501074500", "20240501T074500Z"),
            *("2024-05-01 12:00:00+08", "2024-05-01 12:00:00.123456+08", "2024-05-01T12:00 UTC", "2024/5/1 7:45 +0800"),
            *("2009-12-31 23:59:59", "2010-01-01 00:00:00", "2026-11-28 12:15:00Z", "2026-11-28 12:15:01Z"),
            *("2026-11-28 20:14:59", "2026-11-28 20:15:30", "45981", "45981.4166666667", "1763604000", "1763604000999"),
            *(
                "20.11.2025 10:00",
                "20.11.2025 10:00 ",
                "2025年11月20日",
                "2024-05-01 12：00：00",
                "２０24-05-01 12:00:00",
            ),
            *(
                "2024-05-01 12:00:00",
                "2024-05-01T12:00:59",
                "2024-05-01 12:00:60",
                "2024-05-01 24:00:00",
                "2024-02-30 00:00:00",
            ),
            *(
                "2024-05-01 12:00:00Z",
                "2024-05-01T12:00:00+08:00",
                "2024-05-01 12:00:00-0930",
                "2024-05-01 12:00:00 +08:00",
            ),
            *(
                "2024-05-01 12:00:00.5",
                "2024-05-01 12:00",
                "2024-03-31 02:30:00",
                "2024-10-27 02:30:00",
                "0001-01-01 00:00:00",
            ),
            *(
                "9999-12-31 23:59:59",
                "1901-01-01 00:00:30",
                "1890-06-01 10:00:00",
                "2024-05-01 12:00:00+08:60",
                "1937-07-01 00:00:10",
            ),
        ]
    )
    | st.datetimes().map(lambda at: at.isoformat(" ", "seconds")),
    FieldKind.INTEGER: st.sampled_from(
        [
            *("1,000", "1,000.00", "10.00", "1,00", "1,000.5", "999,999,999,999,999", "1,000,000,000,000,000", "¥5"),
            "0",
            "1",
            "2",
            "1000",
            "1001",
            "007",
            "-1",
            "1.0",
            "1.5",
            "9" * 15,
            "9" * 16,
            "9" * 19,
            "9007199254740992",
            "٣",
        ]
    )
    | st.integers(0, 10**16).map(str),
    FieldKind.BOOLEAN: st.sampled_from(["true", "TRUE", "no", "0", "maybe"]),
    FieldKind.OBJECT: st.sampled_from(
        [
            *(
                '{"a": 1}',
                '{"a":"\\u00e9"}',
                '{"a": "消费"}',
                "{}",
                "[]",
                "x",
                '{"a":"\\"}',
                '{"\t":1}',
                '{\n"a": "\\\\"}',
            ),
            *('{"a":"\x7f"}', '{"a":"\ufffd"}', '{"a":"😀"}', '{"a":"' + "x" * 4096 + '"}', '{"a":1}\u3000'),
        ]
    ),
    FieldKind.DISCOUNTS: st.sampled_from([DISCOUNTS, "[]", "[{}]", DISCOUNTS.replace("1.5", '"0.50"'), "x"]),
}
OF_KIND[FieldKind.INSTANT] = OF_KIND[FieldKind.TIME]
for kind in (FieldKind.ID, FieldKind.PART):
    OF_KIND[kind] = OF_KIND[FieldKind.TEXT] | st.sampled_from(
        [
            *("4.89012E+23", "12E4", "1e5", "123.0", "1.50", "E123", "2e5f", "A1E4567", "２０８８", "Ａ1", "A－1"),
            *("A\u200b1", "A\ufeff", "\u202aA\u202c", "A\u00ad1", "\u200d", "2088000000000001", "2088000000000002"),
            *("20880000000000010", "2089000000000001", "2088００００００００００００"),
        ]
    )
# Marks that spreadsheets, databases and web pages put around a value, or in its place.
AROUND = st.sampled_from(
    [
        "'{}",
        "`{}",
        '="{}"',
        "''{}",
        " '{} ",
        "'\t{}",
        "\u200b{}\ufeff",
        "\ufeff'{}",
        "'\u200b'{}",
        "{}\u3000",
        '="{}',
        "\u200e={}",
    ]
)
NO_VALUES = st.sampled_from(
    [*NULL_WORDS, "Null", "NULL ", " \\N", "'NULL", "\u200bnull", '="NaN"', "-", "\t-", '=""', "'", "NULL1"]
)
# Fields with special rules when a body is composed.
OF_NAME = {
    "biz_action": st.sampled_from(["ORDER_PAID", "ORDER_REFUND", "order_paid"]),
    "cumulate_data_type": st.sampled_from(["AMOUNT", "AMOUNT_TASK", "TASK"]),
    "discount_type": st.sampled_from(["memberPoint", "other"]),
    "out_biz_no": st.sampled_from(["A-17", "A-18", "A-17-1"]),
    "pay_out_biz_no": st.sampled_from(["A-17", "A-16"]),
}
NOTHING = st.sampled_from([None, "", " "])
ZONES = st.sampled_from(
    [ZoneInfo(name) for name in ("Asia/Shanghai", "UTC", "Europe/Berlin", "Asia/Kathmandu", "Europe/Amsterdam")]
)
FORMATS = st.sampled_from(
    [(), (), ("%d.%m.%Y %H:%M", "%Y年%m月%d日"), ("epoch_ms", "%Y-%d-%m %H:%M:%S"), ("epoch_s",), ("excel_serial",)]
)
PARTS = ("biz_data.a", "biz_data.单")
Draw = st.DrawFn


ALL_NAMES = dict.fromkeys((*PARTS, *(name for export in Export for name in fields_of(export))))


def names_of(export: Export) -> tuple[str, ...]:
    return (*fields_of(export), *(PARTS if export is Export.STATES else ()))


def cells_of_field(export: Export, name: str, good: str | None) -> st.SearchStrategy[str | None]:
    described = field_of(export, name)
    if described is None:  # a column that feeds nothing
        return st.none() | st.text(max_size=5)
    likely = st.just(good)
    near = OF_NAME.get(name, OF_KIND[described.kind])
    prefixed = st.builds(str.format, AROUND, near | st.just(good or "1"))
    return st.one_of(likely, likely, near, prefixed, NO_VALUES, NOTHING, st.text(max_size=5))


@st.composite
def jobs(draw: Draw, good: Good, export: Export) -> tuple[MappingRules, tuple[str, ...]]:
    """Draw rules and matching columns of a file, in any order, with the fields' names or others."""
    names = draw(st.permutations(names_of(export)))
    left_out = draw(st.sets(st.sampled_from(names), max_size=3))
    from_constant = draw(st.sets(st.sampled_from(names), max_size=3)) - left_out
    renamed = draw(st.sets(st.sampled_from(names), max_size=3)) - left_out - from_constant
    constants = {n: text for n in from_constant if (text := draw(cells_of_field(export, n, good[export].get(n))))}
    columns = [f"c_{n}" if n in renamed else n for n in names if n not in left_out and n not in from_constant]
    named = {name: f"c_{name}" for name in renamed}
    if draw(st.booleans()) and columns:
        named[draw(st.sampled_from(names))] = draw(st.sampled_from(columns))
    amounts = [name for name in names if "amount" in name and "name" not in name]
    units = {name: draw(st.sampled_from(["yuan", "fen"])) for name in amounts}
    times = [name for name in names if name in ("biz_time", "updated_at")]
    columns = [draw(SPELLINGS)(column) for column in columns]

    def text_of(name: str) -> str:
        return draw(cells_of_field(export, name, good[export].get(name))) or ""

    some = st.sets(st.sampled_from(names), max_size=2)
    api = draw(st.sampled_from(APIS_OF_EXPORT[export]))
    rules = MappingRules(
        export=export,
        api=api,
        columns=named,
        units=units,
        constants=constants,
        timezone=draw(ZONES),
        charset=draw(st.sampled_from(["utf-8", "gbk"])),
        formats={name: forms for name in times if (forms := draw(FORMATS))},
        null_values=draw(st.sampled_from([frozenset(NULL_WORDS), frozenset(), frozenset({"-", "无", "0"})])),
        sends_suspicious_ids=draw(st.booleans()),
        now=draw(st.sampled_from([None, datetime(2026, 11, 28, 12, tzinfo=UTC)])),
        values={n: {text_of(n): text_of(n) for _ in range(draw(st.integers(1, 3)))} for n in draw(some)},
        defaults={n: text_of(n) for n in draw(some) - from_constant},
        filter=draw(filters(good, export, columns)),
        salt=draw(st.sampled_from(["", "01M8KG2H0MY14ZXRSEJDR9A89K"])),
        brand_id=draw(st.sampled_from([good[export]["brand_id"], "1"])) if api is Api.BRAND_POINTS else None,
    )
    return rules, (*columns, "memo")


# Other ways to write the name of a column.
SPELLINGS: st.SearchStrategy[Callable[[str], str]] = st.sampled_from(
    [str, str, str.upper, " {} ".format, "\ufeff{}\t".format]
)


@st.composite
def filters(draw: Draw, good: Good, export: Export, columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Draw a filter that wants some of the rows; mostly draw none."""
    if not columns or draw(st.integers(0, 2)):
        return {}
    of_column = {
        column: field_name(column) for column in draw(st.sets(st.sampled_from(columns), min_size=1, max_size=2))
    }
    texts = {
        column: cells_of_field(export, name, good[export].get(name)).map(lambda text: text or "")
        for column, name in of_column.items()
    }
    return {column: tuple(draw(st.lists(of, min_size=1, max_size=4))) for column, of in texts.items()}


def field_name(column: str) -> str:
    """Return the field that a column of these tests feeds."""
    plain = trimmed(column).removeprefix("c_").removeprefix("C_")
    return next((name for name in (*ALL_NAMES,) if name.casefold() == plain.casefold()), plain)


@st.composite
def tables(draw: Draw, good: Good, export: Export, rules: MappingRules, columns: tuple[str, ...]) -> list[Row | BadRow]:
    """Draw rows, some of them alike, and a few bad ones."""
    fed = {column: name for name, column in rules.columns.items()}
    kinds = [
        cells_of_field(export, (name := fed.get(column, field_name(column))), good[export].get(name))
        for column in columns
    ]
    # Fields drawn one by one rarely make a valid row.
    right = st.just(tuple(good[export].get(fed.get(column, field_name(column))) for column in columns))
    models = draw(st.lists(right | right | st.tuples(*kinds), min_size=1, max_size=3))
    rows: list[Row | BadRow] = []
    for number in range(5, 5 + draw(st.integers(1, 8))):
        cells = list(draw(st.sampled_from(models)))
        for at in draw(st.sets(st.integers(0, len(cells) - 1), max_size=2)):
            cells[at] = draw(kinds[at])
        is_bad = draw(st.integers(0, 9)) == 0
        rows.append(BadRow(number, Fault("ragged", "x"), ("a",)) if is_bad else Row(number, tuple(cells)))
    return rows


def one_by_one(map_row: Callable[[Row], Mapped], rows: list[Row | BadRow]) -> list[Mapped | BadRow]:
    return [row if isinstance(row, BadRow) else map_row(row) for row in rows]


def messages(mapped: MappedChunk) -> list[Mapped | BadRow]:
    return [mapped.at(place) for place in range(len(mapped))]


def key_of(mapped: Mapped | BadRow) -> str | None:
    match mapped:
        case BadRow():
            return None
        case Invalid() | Filtered():
            return mapped.request_key
        case _:
            return key_of_row(mapped)


@settings(deadline=None, max_examples=80)
@given(data=st.data(), worth_learning=st.sampled_from([1, 2, 4]))
@pytest.mark.parametrize("export", Export)
def test_a_chunk_is_mapped_like_its_rows(data: st.DataObject, worth_learning: int, good: Good, export: Export) -> None:
    """For any rules, columns and cells, a mapped chunk holds for each row the row mapper's result."""
    rules, columns = data.draw(jobs(good, export))
    rows = data.draw(tables(good, export, rules, columns))

    map_chunk = bind_chunks(rules, columns, worth_learning=worth_learning)
    chunk = Chunk.of_rows(columns, rows)
    mapped = map_chunk(chunk)

    assert messages(mapped) == one_by_one(bind(rules, columns), rows)
    assert messages(map_chunk(chunk)) == messages(mapped)
    assert list(mapped.numbers) == [row.number for row in rows]
    assert [mapped.cells(place) for place in range(len(mapped))] == [row.cells for row in rows]
    bodies, are_derived = (mapped.payloads.values(name) for name in ("body", "key_is_derived"))
    assert mapped.payloads.values("digest") == [
        None if is_derived else digest(body) for body, is_derived in zip(bodies, are_derived, strict=True)
    ]
    assert mapped.request_keys.to_pylist() == [key_of(mapped) for mapped in messages(mapped)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("'\u200b'5", "\u200b'5", id="a prefix behind a prefix"),
        pytest.param("'\tNULL1", "\t'NULL1", id="white space inside and outside"),
    ],
)
def test_cells_that_differ_only_in_marks_are_distinguished(
    one: str, other: str, rules: Callable[..., MappingRules], good: Good
) -> None:
    """Two cells with equal column texts, which the row mapper reads differently, do not share a template."""
    columns = tuple(good[Export.POINTS])
    rows: list[Row | BadRow] = [
        Row(number, tuple({**good[Export.POINTS], "user_card_code": cell}.values()))
        for number, cell in enumerate((one, other, one, other), 1)
    ]

    mapped = bind_chunks(rules(Export.POINTS), columns, worth_learning=1)(Chunk.of_rows(columns, rows))

    assert messages(mapped) == one_by_one(bind(rules(Export.POINTS), columns), rows)


class Noting(Learner):
    """Records the card of each row that it learns from."""

    learned_from: ClassVar[list[str | None]] = []

    def learn(self, cells: Sequence[str | None], gaps: Sequence[Feed]) -> Template | InvalidRows | None:
        self.learned_from.append(cells[0])
        return super().learn(cells, gaps)


def test_the_number_of_kept_templates_is_bounded(rules: Callable[..., MappingRules], good: Good) -> None:
    """A template is learned once, and again if it was dropped after many others."""
    columns = ("user_card_code", *(name for name in good[Export.POINTS] if name != "user_card_code"))
    map_chunk = bind_chunks(rules(Export.POINTS), columns, worth_learning=1, most_known=2, learner=Noting)
    # None of them is plain, so no two are alike.
    cards = ["a\u00e9", "b\u00e9", "a\u00e9", "c\u00e9", "a\u00e9"]
    for number, card in enumerate(cards, 1):
        cells = (card, *(good[Export.POINTS][name] for name in columns[1:]))
        map_chunk(Chunk.of_rows(columns, [Row(number, cells)]))

    assert Noting.learned_from == [cards[0], cards[1], cards[3], cards[0]]
