"""The line of the file where each row begins, or its row number in a sheet."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.model import CsvFormat
from pipeline.read import SourceFile, open_source
from pipeline.read.files.bounds import Bounds
from tests.read.workbooks import text, xlsx

FileLines = Callable[..., list[int]]
TOO_LONG = b"x" * (13 << 20)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        pytest.param(b"a,b\n1,2\n3,4\n", [2, 3], id="plain"),
        pytest.param(b"a,b\r\n1,2\r\n3,4", [2, 3], id="crlf and no end"),
        pytest.param(b"a,b\n1,2\n\n\n3,4\n", [2, 5], id="blank lines"),
        pytest.param(b"a,b\r\n1,2\r\n\r\n3,4\r\n", [2, 4], id="blank lines of crlf"),
        pytest.param(b"a,b\n,\n1,2\n\n , \n3,4\n,,,\n5,6\n", [3, 6, 8], id="rows without a value"),
        pytest.param(b'a,b\n,\n1,"x\ny"\n"",""\n3,4\n', [3, 6], id="rows without a value, read one by one"),
        pytest.param(b"\n\na,b\n1,2\n", [4], id="blank lines above the header"),
        pytest.param(b'"a\nb",c\n1,2\n', [3], id="a header of two lines"),
        pytest.param(b'a,b\n1,"x\ny\nz"\n3,4\n', [2, 5], id="a cell of three lines"),
        pytest.param(b'a,b\n1,"x\n\ny"\n\n3,4\n', [2, 6], id="a blank line within a cell and below it"),
        pytest.param(b'a,b\n1,"x\n2,3\n4,5\n', [2, 3, 4], id="a stray quote"),
        pytest.param(b"a,b\n1\n2,3,4\n5,6\n", [2, 3, 4], id="ragged"),
        pytest.param(b"a,b\n1,\xff\xff\n3,4\n", [2, 3], id="not decodable"),
        pytest.param(b"a,b\n" + TOO_LONG + b"\n3,4\n", [2, 3], id="a line too long"),
        pytest.param(b"\xef\xbb\xbfa,b\n1,2\n", [2], id="a mark"),
        pytest.param("a,b\n1,2\n".encode("utf-16"), [2], id="utf-16"),
        pytest.param(b'b,_status,_code,_message\n1,invalid,x,"m\nn"\n2,,,\n', [2, 4], id="rows to fix"),
    ],
)
def test_a_row_knows_the_line_where_it_begins(data: bytes, lines: list[int], file_lines: FileLines) -> None:
    """The header, blank lines and cells over several lines count as lines, not as rows."""
    assert file_lines(data) == lines


def test_lines_that_are_no_rows_are_counted(file_lines: FileLines) -> None:
    """Lines above the header, and comments between the rows, move the lines of the rows."""
    data = b"bill of Monday\n-----\n# columns\na,b\n1,2\n# a remark\n3,4\n5,6\n"

    assert file_lines(data, CsvFormat(skip_lines=2, comment="#")) == [5, 7, 8]


def test_lines_are_counted_over_many_blocks(file_lines: FileLines) -> None:
    """Blocks read by columns, and texts read record by record, count the same lines."""
    odd = {5_000: 'x,"a\nb"\n', 9_000: "\n"}
    data = "a,b\n" + "".join(odd.get(n, f"{n},plain\n") for n in range(20_000))

    lines = file_lines(data.encode(), CsvFormat())

    assert lines == [n + 2 + (n > 5_000) for n in range(20_000) if n != 9_000]


def test_a_row_of_a_sheet_knows_its_number_in_the_sheet(write: Callable[..., SourceFile]) -> None:
    """Rows above the header, the header and blank rows count in the sheet's numbers, and are no rows."""
    title, header, blank = (text("Monday"), None), (text("a"), text("b")), (text(" "), None)
    rows = [title, (), header, (text("1"), None), blank, (text("2"), None)]

    with open_source(write(xlsx({"S": rows}), "a.xlsx"), CsvFormat(skip_lines=1)) as source:
        assert [line for chunk in source for line in chunk.file_lines or ()] == [4, 6]


@pytest.mark.parametrize("block_bytes", [1, 20, 1 << 16])
def test_a_row_of_json_lines_knows_its_line(block_bytes: int, write: Callable[..., SourceFile]) -> None:
    """Blank lines and objects without a value count as lines, in blocks of any size."""
    data = b'{"a":1}\n\n{"a":2}\r\n{"a":null}\nx\n{"a":3}'
    bounds = Bounds(block_bytes=block_bytes)

    with open_source(write(data, "a.jsonl"), CsvFormat(), bounds=bounds) as source:
        assert [line for chunk in source for line in chunk.file_lines or ()] == [1, 3, 5, 6]


def test_a_parquet_file_has_no_lines(write: Callable[..., SourceFile]) -> None:
    """The rows of a Parquet file have no file line."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": ["1"]}), sink)
    with open_source(write(sink.getvalue().to_pybytes(), "a.parquet"), CsvFormat()) as source:
        assert [chunk.file_lines for chunk in source] == [None]
