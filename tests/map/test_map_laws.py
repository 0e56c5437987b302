"""What holds for every row."""

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.map import Invalid, Mapped, MappingRules, bind, rekey
from pipeline.map.fields import API_OF_EXPORT, fields_of
from pipeline.map.shape import Shape
from pipeline.model import Export, Payload, Row
from pipeline.resources import schema

Good = Mapping[Export, Mapping[str, str | None]]

MARKER = "SECRET7f3aMARKER"
TELLING = st.sampled_from(
    [
        *(
            "",
            " ",
            "0",
            "1",
            "-1",
            "12.50",
            "1e5",
            "NaN",
            "true",
            "ORDER_REFUND",
            "AMOUNT",
            "AMOUNT_TASK",
            "memberPoint",
        ),
        *("2024-05-01 12:00:00", "9999-12-31 23:59:59", "{}", "[]", "[[]]", "[{}]", '{"a": 1}', "null", "A-17"),
        *(
            '[{"discount_name":"a","discount_type":"memberPoint","discount_amount":1.5}]',
            "\ud800",
            "\x00",
            "😀",
            "x" * 5000,
        ),
        *("[" * 3000, '[{"a":' + "[" * 1000 + "]" * 1000 + ',"a":1}]', "9" * 400),
    ]
)
ANYTHING = st.characters(codec=None)
CELL = st.none() | TELLING | st.text(ANYTHING, max_size=20)
PAYLOADS = {export: Shape(schema(f"payloads/{API_OF_EXPORT[export].partition('.')[2]}.json")) for export in Export}


def columns_of(export: Export) -> tuple[str, ...]:
    parts = ("biz_data.a", "biz_data.b") if export is Export.STATES else ()
    return (*fields_of(export), *parts)


def mapper(export: Export, charset: str, floats: frozenset[str]) -> Callable[[Row], Mapped]:
    rules = MappingRules(
        export=export,
        api=API_OF_EXPORT[export],
        columns={},
        units={},
        constants={},
        timezone=ZoneInfo("Europe/Berlin"),
        charset=charset,
    )
    return bind(rules, columns_of(export), floats)


CHARSETS = ("utf-8", "gbk")
FLOATS = (frozenset[str](), frozenset({"point_balance", "trade_amount", "out_biz_no"}))
MAPPERS = {how: mapper(*how) for how in product(Export, CHARSETS, FLOATS)}


@st.composite
def rows(draw: st.DrawFn, good: Good, export: Export) -> Row:
    """Draw a good row with a few of its cells made odd."""
    cells = {name: good[export].get(name) for name in columns_of(export)}
    odd = draw(st.dictionaries(st.sampled_from(columns_of(export)), CELL, max_size=6))
    return Row(1, tuple((cells | odd).values()))


@settings(deadline=None)
@given(data=st.data(), charset=st.sampled_from(CHARSETS), floats=st.sampled_from(FLOATS))
@pytest.mark.parametrize("export", Export)
def test_every_row_is_mapped_or_refused(
    data: st.DataObject, charset: str, floats: frozenset[str], good: Good, export: Export
) -> None:
    """No row makes the mapping raise; the same row gives the same bytes; what is sent keeps the payload's schema."""
    row = data.draw(rows(good, export))
    map_row = MAPPERS[export, charset, floats]

    mapped = map_row(row)

    assert map_row(row) == mapped
    if isinstance(mapped, Invalid):
        assert mapped.faults
        assert len(set(mapped.faults)) == len(mapped.faults)
        mapped.message.encode()
        return
    assert len({payload.identity for payload in mapped}) == len(mapped) > 0
    for payload in mapped:
        body: dict[str, Any] = orjson.loads(payload.body)
        assert PAYLOADS[export].breaches(body) == ()
        assert rekey(payload.body, payload.api, payload.request_key) == payload.body
        payload.body.decode().encode(charset)


@settings(deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("export", Export)
def test_no_fault_shows_what_a_cell_holds(data: st.DataObject, good: Good, export: Export) -> None:
    """Whichever column a secret stands in, and whatever else is wrong, no fault repeats it."""
    row = data.draw(rows(good, export))
    planted = data.draw(st.sets(st.integers(0, len(row.cells) - 1), min_size=1))
    wrap = data.draw(
        st.sampled_from(["{}", "\x00{}\x00", "{}" * 6000, '{{"{}": 1}}', '[{{"{}": "{}"}}]', "\ud800{}", "😀{}"])
    )
    cells = tuple(wrap.replace("{}", MARKER) if i in planted else cell for i, cell in enumerate(row.cells))

    mapped = MAPPERS[export, "gbk", frozenset()](Row(1, cells))

    faults = mapped.faults if isinstance(mapped, Invalid) else ()
    assert [fault for fault in faults if MARKER[1:-1] in fault.message] == []


texts = st.text("ab01", min_size=1, max_size=3)
CARDS = st.fixed_dictionaries(
    {
        "brand_id": texts,
        "card_id": texts,
        "openid": texts,
        "user_card_code": texts,
        "point_balance": st.integers(0, 20).map(str),
        "updated_at": st.sampled_from([None, "2024-05-01 12:00:00", "2024-05-01 12:00:01"]),
    }
)


@settings(deadline=None)
@given(one=CARDS, other=CARDS)
def test_rows_that_differ_get_numbers_that_differ(
    mapped: Callable[..., tuple[Payload, ...]], one: dict[str, str | None], other: dict[str, str | None]
) -> None:
    """A made request number is the same for equal rows and for no others."""
    first, second = mapped(Export.POINTS, one), mapped(Export.POINTS, other)

    assert (first[0].request_key == second[0].request_key) == (one == other)
