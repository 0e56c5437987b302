"""Parquet's typed values as text."""

import datetime
import random
import uuid
from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import SourceError
from pipeline.model import BadRow, CsvFormat, Fault, Row
from pipeline.read import SourceFile, open_source

Read = Callable[..., tuple[tuple[str, ...], list[Row | BadRow]]]
Write = Callable[..., SourceFile]

SHANGHAI = datetime.timezone(datetime.timedelta(hours=8))
MOMENT = datetime.datetime(2026, 3, 31, 20, 15, 7)  # noqa: DTZ001 - exports hold times without a zone
NOT_DECODABLE = Fault("not_decodable", "x holds a value that can't be made into text")


def parquet(columns: "dict[str, pa.Array[Any]] | pa.Table", **options: Any) -> bytes:
    file = BytesIO()
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), file, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "values", "texts"),
    [
        pytest.param(pa.string(), ["007", " a ", "", None], ["007", " a ", None, None], id="text"),
        pytest.param(pa.large_string(), ["单号"], ["单号"], id="large-text"),
        pytest.param(
            pa.dictionary(pa.int32(), pa.string()), ["a", "b", "a", None], ["a", "b", "a", None], id="dictionary"
        ),
        pytest.param(
            pa.int64(),
            [-(2**63), 123456789012345678, 0, None],
            ["-9223372036854775808", "123456789012345678", "0", None],
            id="integers",
        ),
        pytest.param(pa.uint64(), [2**64 - 1], ["18446744073709551615"], id="unsigned"),
        pytest.param(pa.bool_(), [True, False, None], ["true", "false", None], id="booleans"),
        pytest.param(
            pa.decimal128(18, 2),
            [Decimal("12.50"), Decimal("-0.01"), Decimal(0), None],
            ["12.50", "-0.01", "0.00", None],
            id="decimals",
        ),
        pytest.param(
            pa.decimal128(18, 3),
            [Decimal("12.500"), Decimal("12.345"), Decimal(-10), Decimal(0), None],
            ["12.5", "12.345", "-10", "0", None],
            id="decimals-with-zeros-of-their-type",
        ),
        pytest.param(pa.decimal128(38, 10), [Decimal(100), Decimal("0.1"), None], ["100", "0.1", None], id="numbers"),
        pytest.param(pa.decimal128(18, 9), [Decimal("0.000000001")], ["0.000000001"], id="small-decimal"),
        pytest.param(pa.decimal256(50, 0), [Decimal(10**40)], ["1" + "0" * 40], id="large-decimal"),
        pytest.param(
            pa.float64(),
            [0.1, 12.0, 1e20, 1e-7, -2.5, float("nan"), float("inf"), None],
            ["0.1", "12", "≈1E+20", "0.0000001", "-2.5", None, "inf", None],
            id="floats",
        ),
        pytest.param(
            pa.float64(),
            [0.30000000000000004, 123456789.12, 5e-324],
            ["0.30000000000000004", "123456789.12", "0." + "0" * 323 + "5"],
            id="floats-to-the-last-digit",
        ),
        pytest.param(
            pa.float64(),
            [999999999999999.0, 1e15, 2088123412341234.0, -0.0, -3.0],
            ["999999999999999", "≈1E+15", "≈2.088123412341234E+15", "0", "-3"],
            id="whole-numbers-that-a-float-may-have-rounded",
        ),
        pytest.param(
            pa.float32(),
            [0.1, 1.0, 16777215.0, 16777216.0, 123456789.0],
            ["0.1", "1", "16777215", "≈1.6777216E+7", "≈1.23456792E+8"],
            id="short-floats",
        ),
        pytest.param(
            pa.float32(),
            [131071.99, 167772.17, 200000.0, 200000.5],
            ["131071.99", "167772.171875", "200000", "200000.5"],
            id="short-floats-that-may-have-lost-cents",
        ),
        pytest.param(pa.float16(), [1.5, 2047.0, 2048.0], ["1.5", "2047", "≈2.048E+3"], id="half-floats"),
        pytest.param(pa.date32(), [datetime.date(2026, 3, 31), None], ["2026-03-31", None], id="dates"),
        pytest.param(
            pa.timestamp("us"),
            [MOMENT, MOMENT.replace(microsecond=120), None],
            ["2026-03-31 20:15:07", "2026-03-31 20:15:07.000120", None],
            id="times-without-a-zone",
        ),
        pytest.param(
            pa.timestamp("ms"), [MOMENT.replace(microsecond=120_000)], ["2026-03-31 20:15:07.120000"], id="milliseconds"
        ),
        pytest.param(pa.timestamp("ns"), [1_000_000_001], ["1970-01-01 00:00:01.000000001"], id="nanoseconds"),
        pytest.param(
            pa.timestamp("us", "Asia/Shanghai"),
            [MOMENT.replace(tzinfo=SHANGHAI), None],
            ["2026-03-31T12:15:07+00:00", None],
            id="times-with-a-zone",
        ),
        pytest.param(
            pa.timestamp("us", "Nowhere/Land"), [0], ["1970-01-01T00:00:00+00:00"], id="zone-that-nobody-knows"
        ),
        pytest.param(pa.time64("us"), [datetime.time(1, 2, 3)], ["01:02:03"], id="time-of-day"),
        pytest.param(
            pa.list_(pa.decimal128(9, 2)), [[Decimal("1.50"), None], [], None], ['["1.50",null]', "[]", None], id="list"
        ),
        pytest.param(
            pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))]),
            [{"a": 1, "b": ["单"]}],
            ['{"a":1,"b":["单"]}'],
            id="struct",
        ),
        pytest.param(
            pa.map_(pa.string(), pa.decimal128(9, 2)), [[("k", Decimal("1.50"))], []], ['{"k":"1.50"}', "{}"], id="map"
        ),
        pytest.param(pa.list_(pa.timestamp("ns")), [[1]], ['["1970-01-01 00:00:00.000000001"]'], id="list-of-times"),
        pytest.param(pa.binary(), [b"abc", "单".encode(), None], ["abc", "单", None], id="bytes-that-are-text"),
        pytest.param(
            pa.uuid(), [uuid.UUID(int=1).bytes, None], ["00000000-0000-0000-0000-000000000001", None], id="uuid"
        ),
        pytest.param(pa.null(), [None], [None], id="nothing"),
    ],
)
def test_a_value_becomes_text_without_loss(
    read: Read, kind: pa.DataType, values: list[Any], texts: list[str | None]
) -> None:
    """No digit or character of a typed value is lost or added."""
    data = parquet({"x": pa.array(values, kind), "y": pa.array(["y"] * len(values))})
    assert read(data, name="o.parquet") == (("x", "y"), [Row(at, (text, "y")) for at, text in enumerate(texts, 1)])


@pytest.mark.parametrize(
    ("column", "rows"),
    [
        pytest.param(
            pa.array([b"\xff", b"a"], pa.binary()),
            [BadRow(1, NOT_DECODABLE, (None, "1")), Row(2, ("a", "2"))],
            id="bytes",
        ),
        pytest.param(
            pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff", b"a"], pa.binary()).buffers()),
            [BadRow(1, NOT_DECODABLE, (None, "1")), Row(2, ("a", "2"))],
            id="text-that-is-none",
        ),
        pytest.param(pa.array(["a\0b", "a"]), [BadRow(1, NOT_DECODABLE, (None, "1")), Row(2, ("a", "2"))], id="nul"),
        pytest.param(
            pa.array([[b"\xff"], [b"a"]], pa.list_(pa.binary())),
            [BadRow(1, NOT_DECODABLE, (None, "1")), Row(2, ('["a"]', "2"))],
            id="bytes-in-a-list",
        ),
    ],
)
def test_a_value_without_a_text_affects_only_its_row(
    read: Read, column: "pa.Array[Any]", rows: list[Row | BadRow]
) -> None:
    """Bytes that are not UTF-8 make a bad row; the other rows are read."""
    assert read(parquet({"x": column, "y": pa.array([1, 2])}), name="o.parquet") == (("x", "y"), rows)


def test_rows_are_numbered_through_row_groups_and_chunks(write: Write) -> None:
    """Chunks hold at most `chunk_rows` rows at any size of row groups, and numbers continue."""
    data = parquet({"x": pa.array(range(1, 8))}, row_group_size=5)
    file = write(data, "day=1/x=2/o.pq")
    chunks = list(open_source(file, CsvFormat(), chunk_rows=3))
    rows = [row for chunk in chunks for row in chunk.rows]
    assert rows == [Row(at, (str(at), "1")) for at in range(1, 8)]
    assert max(len(chunk.rows) for chunk in chunks) == 3
    assert {chunk.columns for chunk in chunks} == {("x", "day")}


def test_parquet_without_an_ending_is_recognised_by_its_bytes(read: Read) -> None:
    """A Parquet file without an ending is read as Parquet."""
    assert read(parquet({"x": pa.array([1])}), name="part-00000") == (("x",), [Row(1, ("1",))])


def test_a_schema_alone_is_a_file_of_no_rows(read: Read) -> None:
    """A file with columns and no row has 0 rows."""
    assert read(parquet({"x": pa.array([], pa.int64())}), name="o.parquet") == (("x",), [])


GOOD = parquet({"x": pa.array(range(1000)), "y": pa.array(["abc"] * 1000)}, write_page_checksum=True)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(GOOD[:-9], id="cut-short"),
        pytest.param(GOOD[:4], id="head-alone"),
        pytest.param(GOOD[:60] + bytes(byte ^ 255 for byte in GOOD[60:70]) + GOOD[70:], id="damaged-page"),
        pytest.param(GOOD.replace(b"x", b"\xff"), id="column-name-that-is-no-text"),
        pytest.param(GOOD[:-20] + b"\xff" * 12 + GOOD[-8:], id="damaged-footer"),
        pytest.param(parquet(pa.table({})), id="no-columns"),
        pytest.param(parquet({" ": pa.array([1])}), id="no-column-with-a-name"),
    ],
)
def test_a_damaged_parquet_file_is_refused_by_name(read: Read, data: bytes) -> None:
    """A truncated or damaged file, or one without usable columns, raises an error that names the file."""
    with pytest.raises(SourceError, match=r"^o\.parquet "):
        read(data, name="o.parquet")


def test_any_damaged_file_is_read_or_refused(read: Read) -> None:
    """A Parquet file with changed bytes is refused, or read with rows numbered without gaps."""
    chance = random.Random(20260331)
    small = parquet({"x": pa.array([1, 2]), "y": pa.array(["a", "单"]), "z": pa.array([[1.5], None])})
    for _ in range(300):
        data = bytearray(small)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(4, len(data))] = chance.randrange(256)
        try:
            _, rows = read(bytes(data), name="o.parquet")
        except SourceError:
            continue
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
