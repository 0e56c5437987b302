"""The scan that cuts the members of a JSON object out of raw bytes."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.signing.alipay.top_level import top_level

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=8), JSON, max_size=4)


@pytest.mark.parametrize(
    ("body", "members"),
    [
        pytest.param(b"{}", {}, id="empty object"),
        pytest.param(b'{"a":{"sign":"x"},"sign":"y"}', {b"a": b'{"sign":"x"}', b"sign": b'"y"'}, id="name inside"),
        pytest.param(rb'{"a":"\"sign\":{","b":1}', {b"a": rb'"\"sign\":{"', b"b": b"1"}, id="name in a text"),
        pytest.param(
            b' {\n"a" :\t{ "b" : [1, {}] } , "c":null}\r\n', {b"a": b'{ "b" : [1, {}] }', b"c": b"null"}, id="space"
        ),
        pytest.param(rb'{"a":"\\","b":"\\\""}', {b"a": rb'"\\"', b"b": rb'"\\\""'}, id="backslashes"),
    ],
)
def test_values_keep_their_bytes(body: bytes, members: dict[bytes, bytes]) -> None:
    """Each top-level value keeps its bytes; a name inside a value is ignored."""
    assert top_level(body) == members


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html></html>", id="a page"),
        pytest.param(b"[1]", id="a list"),
        pytest.param(b'"a"', id="a text"),
        pytest.param(b'{"a":1', id="cut in a number"),
        pytest.param(b'{"a":"b', id="cut in a text"),
        pytest.param(b'{"a":"b\\', id="cut in an escape"),
        pytest.param(b'{"a":{"b":1}', id="cut after a value"),
        pytest.param(b'{"a":1,}', id="comma at the end"),
        pytest.param(b'{"a":}', id="no value"),
        pytest.param(b'{"a" 1}', id="no colon"),
        pytest.param(b'{"a":1 "b":2}', id="no comma"),
        pytest.param(b"{a:1}", id="bare name"),
        pytest.param(b'{"a":1}{"a":2}', id="two objects"),
        pytest.param(b'{"a":1,"a":2}', id="a name twice"),
    ],
)
def test_an_incomplete_object_has_no_members(body: bytes) -> None:
    """Pages, cut answers and ambiguous objects give None."""
    assert top_level(body) is None


def test_the_second_byte_of_a_gbk_character_is_no_syntax() -> None:
    """A second byte that looks like a backslash, a brace or a bracket belongs to its character."""
    value = '"乗亄亇乕"'.encode("gbk")
    assert {0x5C, 0x7B, 0x7D, 0x5B} & set(value)

    body = b'{"a":' + value + b',"b":1}'

    assert top_level(body, double_byte=True) == {b"a": value, b"b": b"1"}


@given(OBJECTS, st.sampled_from([None, orjson.OPT_INDENT_2]))
def test_members_equal_those_of_a_parser(content: dict[str, object], option: int | None) -> None:
    """The cut names and values parse to the same object as the whole text."""
    members = top_level(orjson.dumps(content, option=option))

    assert members is not None
    assert {orjson.loads(b'"%s"' % name): orjson.loads(value) for name, value in members.items()} == content


@given(OBJECTS, st.data())
def test_a_cut_object_is_refused(content: dict[str, object], data: st.DataObject) -> None:
    """An answer cut anywhere gives None."""
    text = orjson.dumps(content)

    assert top_level(text[: data.draw(st.integers(0, len(text) - 1))]) is None


@given(st.binary(max_size=80) | st.text(alphabet='{}[]",:\\ a1', max_size=40).map(str.encode), st.booleans())
def test_any_bytes_are_scanned(body: bytes, double_byte: bool) -> None:
    """The scan ends for any bytes, and its results are parts of the body."""
    members = top_level(body, double_byte=double_byte) or {}

    assert all(name in body and value in body for name, value in members.items())
