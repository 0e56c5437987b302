"""Any file is read or refused, and any row is mapped or invalid."""

import bz2
import contextlib
import gzip
from collections.abc import Callable
from datetime import date
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.errors import SettingsError, SourceError
from pipeline.map import Invalid, MappingRules, bind, check_columns
from pipeline.map.fields import APIS_OF_EXPORT, fields_of
from pipeline.model import CsvFormat, Export, Payload, Row
from pipeline.read import find_inputs, open_source

ZONE = ZoneInfo("Asia/Shanghai")
# Encodings with states, shifts and surrogates, and some unknown names.
ENCODINGS = (
    "auto", "utf-8", "utf-8-sig", "utf-7", "utf-16", "utf-16-be", "utf-32", "gb18030", "gbk", "hz", "big5hkscs",
    "iso2022_jp_2", "shift_jisx0213", "euc_kr", "cp037", "cp1252", "latin-1", "ascii", "unicode_escape", "punycode",
    "idna", "rot13", "zlib_codec", "hex", "undefined", "mbcs", "../../x", "", "\0",
)  # fmt: skip
PIECES = st.sampled_from(
    [
        *(b"a", b",", b'"', b'""', b"\n", b"\r\n", b"\r", b"\0", b"=1+1", b"\x1a", b"_status,_code,_message"),
        # Whole and half characters of several encodings, their shifts and marks.
        *(b"\xff", b"\xd2\xbb", b"\xe4\xb8\x80", b"\xed\xa0\x80", b"+2AA-", b"\x1b$B", b"~{", b"\x84\x31\xa4\x37"),
        *(b"\xef\xbb\xbf", b"\xff\xfe"),
    ]
)
FORMS = st.builds(
    CsvFormat,
    encoding=st.sampled_from(ENCODINGS),
    delimiter=st.sampled_from([",", ";", "\t", "|", "", "::", "\n", '"', "一", "\0", "a"]),
    quote=st.sampled_from(['"', "'", "", "\\", "``", "\r", "一"]),
    null_values=st.lists(st.text(max_size=3), max_size=2).map(tuple),
)


def compress(data: bytes, how: str) -> bytes:
    match how:
        case "gzip":
            return gzip.compress(data)
        case "bz2":
            return bz2.compress(data)
        case _:
            return data


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bytes, CsvFormat], None]:
    """Read a file to its end, and map its rows for each export."""
    base = tmp_path_factory.mktemp("files")

    def read(name: str, data: bytes, form: CsvFormat) -> None:
        (base / name).write_bytes(data)
        (file,) = find_inputs([name], base=base, date=date(2025, 11, 20))
        with open_source(file, form) as source:
            mappers = [bind(rules(export), source.columns) for export in Export]
            for chunk in source:
                for row in chunk.rows:
                    assert len(row.cells) in (0, len(source.columns)) or isinstance(row, Row)
                    if isinstance(row, Row):
                        assert all(isinstance(map_row(row), tuple | Invalid) for map_row in mappers)

    return read


def refusal(act: Callable[[], object]) -> str:
    try:
        act()
    except SourceError as refused:
        return str(refused)
    return ""


def rules(export: Export, charset: str = "utf-8") -> MappingRules:
    return MappingRules(
        export=export, api=APIS_OF_EXPORT[export][0], columns={}, units={}, constants={}, timezone=ZONE, charset=charset
    )


@given(
    data=st.binary(min_size=1, max_size=120) | st.lists(PIECES, min_size=1, max_size=30).map(b"".join),
    form=FORMS,
    how=st.sampled_from(["plain", "gzip", "bz2"]),
    suffix=st.sampled_from([".csv", ".csv.gz", ".parquet", ""]),
    cut=st.integers(0, 12),
)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(
    read: Callable[[str, bytes, CsvFormat], None], data: bytes, form: CsvFormat, how: str, suffix: str, cut: int
) -> None:
    """Any bytes, compressed or cut, under any name and format, raise SourceError, SettingsError or nothing."""
    compressed = compress(data, how)

    with contextlib.suppress(SourceError, SettingsError):
        read(f"fuzz{suffix}", compressed[: max(1, len(compressed) - cut)], form)


@given(data=st.binary(max_size=200), at=st.integers(0, 400))
@settings(max_examples=100, deadline=None)
def test_spoilt_parquet_is_read_or_refused(
    parquet: bytes, read: Callable[[str, bytes, CsvFormat], None], data: bytes, at: int
) -> None:
    """A Parquet file with replaced bytes raises SourceError or nothing."""
    spoilt = parquet[: len(parquet) - at] + data + parquet[len(parquet) - at + len(data) :]

    with contextlib.suppress(SourceError):
        read("fuzz.parquet", spoilt, CsvFormat())


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("parquet") / "rows.parquet"
    columns = {name: ["1", None, "x"] for name in fields_of(Export.ORDERS)}
    pq.write_table(pa.table({**columns, "amount": [1.5, None, 2.0]}), path)
    return path.read_bytes()


TIMES = ("2025-11-20 10:00:00", "2025-11-20T10:00:00Z", "9999-12-31 23:59:59-23:59", "0001-01-01 00:00:00+23:59")
# Close to valid values of each kind of field.
CELLS = st.text(max_size=12) | st.sampled_from(
    [
        *TIMES,
        *("12.50", "1e5", "-1", "0", "9" * 40, "１２", "true", "YES", "nan", "Infinity", "null", "K" * 70_000, "=1"),
        *("{}", "[]", "[{}]", '{"a":1}', '[{"discount_amount":1.5}]', "[" * 2000, '{"a":' * 300 + "1" + "}" * 300),
        *("ORDER_REFUND", "AMOUNT_TASK", "\ufffd", "\U0001f600", "\x00", "\u2028", '"', "\\", "\ud7ff", "\uffff"),
    ]
)


@given(data=st.data(), export=st.sampled_from(Export), charset=st.sampled_from(["utf-8", "gbk"]))
@settings(max_examples=400, deadline=None)
def test_any_row_is_mapped_or_invalid(data: st.DataObject, export: Export, charset: str) -> None:
    """A row of any cells gives payloads or faults, never an exception, and the same twice."""
    names = [*fields_of(export), "biz_data.a", "other"]
    columns = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=len(names)))
    cells = tuple(data.draw(st.none() | CELLS) for _ in columns)
    map_row = bind(rules(export, charset), columns)

    mapped = map_row(Row(1, cells))

    assert map_row(Row(1, cells)) == mapped
    if isinstance(mapped, Invalid):
        assert mapped.faults
        assert all(fault.code and fault.message for fault in mapped.faults)
        shown = [cell for cell in cells if cell and len(cell) > 12 and cell in mapped.message]
        # A time does not identify anybody.
        assert set(shown) <= set(TIMES)
    else:
        assert isinstance(mapped, tuple)
        assert all(isinstance(payload, Payload) and payload.request_key for payload in mapped)
        assert "\ufffd" not in "".join(payload.body.decode() for payload in mapped)


def test_a_part_of_biz_data_that_lost_digits_is_invalid() -> None:
    """A number in scientific notation is invalid in a part of biz_data, as in an id."""
    mapped = bind(rules(Export.STATES), ["biz_data.a"])(Row(1, ("1.38E+10",)))

    assert isinstance(mapped, Invalid)
    assert (mapped.faults[0].code, mapped.faults[0].field) == ("id_rounded", "biz_data.a")


@given(header=st.lists(st.text(max_size=60), max_size=80), export=st.sampled_from(Export))
@example(header=["user_id"] * 2, export=Export.ORDERS)
@settings(max_examples=100, deadline=None)
def test_any_header_is_accepted_or_refused(header: list[str], export: Export) -> None:
    """Columns of any names are accepted, or refused with a message of bounded length."""
    assert len(refusal(lambda: check_columns(rules(export), header, "fuzz.csv"))) < 2000
