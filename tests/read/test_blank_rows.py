"""A row whose cells are all blank is ignored like a blank line, in every file type."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model import BadRow, CsvFormat, Fault, Row
from pipeline.read import SourceFile, open_source
from pipeline.read.files.bounds import Bounds

Read = Callable[..., tuple[tuple[str, ...], list[Row | BadRow]]]
Write = Callable[..., SourceFile]

# No block is that short, so records are read one by one.
RECORDS = Bounds(cell_chars=8)
BLOCKS = Bounds()


@pytest.mark.parametrize("bounds", [pytest.param(BLOCKS, id="blocks"), pytest.param(RECORDS, id="records")])
@pytest.mark.parametrize(
    "line",
    [
        pytest.param("", id="nothing"),
        pytest.param(",,", id="empty cells"),
        pytest.param(",", id="too few empty cells"),
        pytest.param(",,,,,,", id="too many empty cells"),
        pytest.param('"","",""', id="quoted empty cells"),
        pytest.param('" ",,"\t"', id="quoted white space"),
        pytest.param(" ", id="a blank"),
        pytest.param("\u3000,\u00a0, ", id="wide and narrow blanks"),
        pytest.param("\ufeff,\u200b\u200e,", id="invisible marks"),
    ],
)
def test_a_blank_record_is_no_row(read: Read, line: str, bounds: Bounds) -> None:
    """A record of any number of blank cells gets no number, and numbering continues after it."""
    data = f"a,b,c\n{line}\n1,,\n{line}\n{line}\n,,2\n{line}\n".encode()

    assert read(data, bounds=bounds) == (("a", "b", "c"), [Row(1, ("1", None, None)), Row(2, (None, None, "2"))])


@pytest.mark.parametrize("bounds", [pytest.param(BLOCKS, id="blocks"), pytest.param(RECORDS, id="records")])
def test_a_record_of_another_width_that_holds_anything_is_a_bad_row(read: Read, bounds: Bounds) -> None:
    """A filled record with too few or too many cells is a bad row with its own number, also after blank records."""
    ragged = Fault(
        "ragged", "2 cells where the header has 3", rule="does not have one cell for each column of the file"
    )

    _, rows = read(b"a,b,c\n,,\n1,\n,,,\n,,2\n", bounds=bounds)

    assert rows == [BadRow(1, ragged, ("1", None, "\ufffd")), Row(2, (None, None, "2"))]


def test_blank_rows_at_the_end_of_a_large_file_are_no_rows(write: Write) -> None:
    """Blank rows over several chunks at the end of a file get no numbers."""
    data = b"a,b\n" + b"1,2\n" * 5 + b",\n" * 50_000

    with open_source(write(data), CsvFormat(), chunk_rows=1000) as source:
        chunks = list(source)

    assert ([len(chunk) for chunk in chunks], source.rows) == ([5], 5)


@settings(deadline=None)
@given(lines=st.lists(st.sampled_from(["", ",", " ", ",,,", "1,2", "1", "\u3000,", "单,", '"",""', '"1","\u3000"'])))
def test_blocks_and_records_have_the_same_blank_rows(read: Read, lines: list[str]) -> None:
    """Reading by columns gives the same rows as reading record by record."""
    data = "\n".join(["a,b", *lines, "1,last"]).encode()

    assert read(data, bounds=BLOCKS) == read(data, bounds=RECORDS)


def parquet(table: dict[str, Any]) -> bytes:
    file = BytesIO()
    pq.write_table(pa.table(table), file)
    return file.getvalue()


def test_a_parquet_row_without_a_value_is_no_row(read: Read) -> None:
    """Nulls and blank texts are no values, but zero and false are."""
    data = parquet(
        {
            "text": pa.array([None, "", "a", "\u3000 ", None, None]),
            "number": pa.array([None, None, None, None, 0, None], pa.int64()),
            "flag": pa.array([None, None, None, None, None, False]),
        }
    )

    assert read(data, name="o.parquet") == (
        ("text", "number", "flag"),
        [Row(1, ("a", None, None)), Row(2, (None, "0", None)), Row(3, (None, None, "false"))],
    )


def test_a_parquet_value_without_a_text_makes_a_bad_row(read: Read) -> None:
    """A row whose only value has no text is a bad row with its own number."""
    data = parquet({"x": pa.array([None, b"\xff", b"a"], pa.binary())})

    assert read(data, name="o.parquet")[1] == [
        BadRow(1, Fault("not_decodable", "x holds a value that can't be made into text"), (None,)),
        Row(2, ("a",)),
    ]


@pytest.mark.parametrize("name", ["dt=1/o.csv", "dt=1/o.parquet"])
def test_a_partition_fills_no_cell(read: Read, name: str) -> None:
    """A row is blank even if its hive folder gives it a value."""
    data = parquet({"a": pa.array([None, "x"])}) if name.endswith("parquet") else b"a\n \nx\n"

    assert read(data, name=name) == (("a", "dt"), [Row(1, ("x", "1"))])


@pytest.mark.parametrize("name", ["dt=1/p.csv", "dt=1/p.parquet"])
def test_a_column_of_the_file_counts_before_a_partition_of_its_name(read: Read, name: str) -> None:
    """A column of the file replaces a partition of the same name."""
    data = parquet({"a": pa.array([None, None]), "dt": ["1", None]}) if name.endswith("parquet") else b"a,dt\n,1\n,\n"

    assert read(data, name=name) == (("a", "dt"), [Row(1, (None, "1"))])
