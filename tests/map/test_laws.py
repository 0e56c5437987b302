"""Properties of every row."""

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.map import Invalid, Mapped, MappingRules, bind, rekey
from pipeline.map.compiled_schema import CompiledSchema
from pipeline.map.fields import APIS_OF_EXPORT, fields_of
from pipeline.model import Api, Export, Payload, Row
from pipeline.resources import schema

Good = Mapping[Export, Mapping[str, str | None]]

MARKER = "SECRET7f3aMARKER"
REVEALING = st.sampled_from(
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
CELL = st.none() | REVEALING | st.text(ANYTHING, max_size=20)
PAYLOADS = {api: CompiledSchema(schema(f"payloads/{api.partition('.')[2]}.json")) for api in Api}


def columns_of(export: Export) -> tuple[str, ...]:
    parts = ("biz_data.a", "biz_data.b") if export is Export.STATES else ()
    return (*fields_of(export), *parts)


def mapper(export: Export, api: Api, charset: str) -> Callable[[Row], Mapped]:
    rules = MappingRules(
        export=export,
        api=api,
        columns={},
        units={},
        constants={},
        timezone=ZoneInfo("Europe/Berlin"),
        charset=charset,
        brand_id="40001" if api is Api.BRAND_POINTS else None,
    )
    return bind(rules, columns_of(export))


CHARSETS = ("utf-8", "gbk")
WAYS = [(export, api) for export, apis in APIS_OF_EXPORT.items() for api in apis]
MAPPERS = {(*way, charset): mapper(*way, charset) for way, charset in product(WAYS, CHARSETS)}


@st.composite
def rows(draw: st.DrawFn, good: Good, export: Export) -> Row:
    """Draw a valid row with a few changed cells."""
    cells = {name: good[export].get(name) for name in columns_of(export)}
    odd = draw(st.dictionaries(st.sampled_from(columns_of(export)), CELL, max_size=6))
    return Row(1, tuple((cells | odd).values()))


@settings(deadline=None)
@given(data=st.data(), charset=st.sampled_from(CHARSETS))
@pytest.mark.parametrize(("export", "api"), WAYS)
def test_every_row_is_mapped_or_refused(
    data: st.DataObject, charset: str, good: Good, export: Export, api: Api
) -> None:
    """No row raises, the same row gives the same bytes, and every body keeps the payload's schema."""
    row = data.draw(rows(good, export))
    map_row = MAPPERS[export, api, charset]

    mapped = map_row(row)

    assert map_row(row) == mapped
    if isinstance(mapped, Invalid):
        assert mapped.faults
        assert len(set(mapped.faults)) == len(mapped.faults)
        mapped.message.encode()
        return
    assert isinstance(mapped, tuple)
    assert len({payload.identity for payload in mapped}) == len(mapped) > 0
    for payload in mapped:
        body: dict[str, Any] = orjson.loads(payload.body)
        assert PAYLOADS[api].breaches(body) == ()
        assert rekey(payload.body, payload.api, payload.request_key) == payload.body
        payload.body.decode().encode(charset)


@settings(deadline=None)
@given(data=st.data())
@pytest.mark.parametrize(("export", "api"), WAYS)
def test_no_fault_shows_a_cell(data: st.DataObject, good: Good, export: Export, api: Api) -> None:
    """No fault shows a secret in any column, whatever else is wrong with the row."""
    row = data.draw(rows(good, export))
    planted = data.draw(st.sets(st.integers(0, len(row.cells) - 1), min_size=1))
    wrap = data.draw(
        st.sampled_from(["{}", "\x00{}\x00", "{}" * 6000, '{{"{}": 1}}', '[{{"{}": "{}"}}]', "\ud800{}", "😀{}"])
    )
    cells = tuple(wrap.replace("{}", MARKER) if i in planted else cell for i, cell in enumerate(row.cells))

    mapped = MAPPERS[export, api, "gbk"](Row(1, cells))

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
def test_different_rows_get_different_numbers(
    mapped: Callable[..., tuple[Payload, ...]], one: dict[str, str | None], other: dict[str, str | None]
) -> None:
    """Derived request numbers are equal only for equal rows."""
    first, second = mapped(Export.POINTS, one), mapped(Export.POINTS, other)

    assert (first[0].request_key == second[0].request_key) == (one == other)
