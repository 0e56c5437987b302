"""`rows_to_fix` read back, after changes by a spreadsheet or a person."""

from collections.abc import Callable
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.model import BadRow, CsvFormat, Fault, Row
from pipeline.read import SourceFile, open_source
from pipeline.tables.row_mark import RowMark
from tests.read.workbooks import text, xlsx

Read = Callable[..., tuple[tuple[str, ...], list[Row | BadRow]]]
Write = Callable[..., SourceFile]

ONE, OTHER = (str(RowMark("01JD4Q4Z8V3N5R6T7Y8M9B0C1D", 1, row)) for row in (2, 9))
JOBS_OWN = CsvFormat(encoding="utf-16", delimiter="|", quote="")


def taken_back(
    file: SourceFile, form: CsvFormat = JOBS_OWN
) -> tuple[tuple[str, ...], list[Row | BadRow], list[object]]:
    """Return the columns, rows and marks of a file."""
    with open_source(file, form, chunk_rows=2) as source:
        chunks = list(source)
        marks = [mark for chunk in chunks if chunk.marks is not None for mark in chunk.marks.to_pylist()]
        return source.columns, [row for chunk in chunks for row in chunk.rows], marks


def test_the_additions_of_the_report_are_removed(read: Read) -> None:
    """The report's columns and guard apostrophes are removed; a broken record keeps its fault and cells."""
    data = (
        f"a,b,_row,_status,_code,_message\n'=1,'x,{ONE},invalid,x,y\n'\t-1,'',,rejected,x,y\n1,2\n"
        f"''=2,''a,{OTHER},x,y,z\n'+1,\"2,,invalid,x,y\n"
    )
    columns, rows = read(data.encode())
    assert columns == ("a", "b")
    assert rows[:4] == [
        Row(1, ("=1", "'x")),
        Row(2, ("\t-1", "''")),
        BadRow(
            3,
            Fault(
                "ragged", "2 cells where the header has 6", rule="does not have one cell for each column of the file"
            ),
            ("1", "2\ufffd"),
        ),
        Row(4, ("'=2", "''a")),
    ]
    assert (rows[4].number, rows[4].cells) == (5, ("+1", '"2'))


HEADER = "a,b,_row,_status,_code,_message"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(f'\ufeff{HEADER}\n单,"1,5",{ONE},invalid,x,"y, z"\n'.encode(), id="as written"),
        pytest.param(f'{HEADER}\n单,"1,5",{ONE},invalid,x,"y, z"\n'.encode(), id="without its mark"),
        pytest.param(
            f"{HEADER}\r\n".replace(",", ";").encode() + f"单;1,5;{ONE};x;y;z\r\n".encode("gbk"), id="semicolons, GBK"
        ),
        pytest.param(f"{HEADER}\n".replace(",", "\t").encode() + f'"单"\t1,5\t{ONE}\t\t\t\n'.encode(), id="tabs"),
        pytest.param(f"{HEADER}\r\n单,1.5,{ONE},,,\r\n".replace(",", "\t").replace("1.5", "1,5").encode("utf-16"),
                     id="tabs, UTF-16"),
        pytest.param(f'"a";"b";"_row";"_code"\n"单";"1,5";"{ONE}";"x"\n'.encode(), id="quotes"),
        pytest.param(f'_code;_message;_row;b;_status;a\n;;{ONE};1,5;;单\n'.encode(), id="columns in another order"),
        pytest.param(f"_row;a;_message;b\n{ONE};单;;1,5\n".encode(), id="columns of ours left out"),
        pytest.param(f"_row;a;b\n{ONE};单;1,5\n".encode(), id="all but the mark left out"),
    ],
)  # fmt: skip
def test_the_file_is_read_by_its_own_format(write: Write, data: bytes) -> None:
    """Encoding, delimiter and quote are the file's own, not the job's; columns are found by name."""
    columns, rows, marks = taken_back(write(data))

    cells = dict(zip(columns, rows[0].cells, strict=True))
    assert ({name: cells[name] for name in ("a", "b")}, marks) == ({"a": "单", "b": "1,5"}, [ONE])


def test_rows_without_a_mark_have_none(write: Write) -> None:
    """Files without marks, emptied cells and added rows have no mark."""
    old = taken_back(write(b"a,_status,_code,_message\n1,invalid,x,y\n"))
    new = taken_back(write(f"a,_row,_status\n1,{ONE},x\n2,,x\n3,8,x\n".encode()))

    assert (old, new) == (
        (("a",), [Row(1, ("1",))], [None]),
        (("a",), [Row(1, ("1",)), Row(2, ("2",)), Row(3, ("3",))], [ONE, None, "8"]),
    )


@pytest.mark.parametrize("name", ["o.csv", "o.xlsx"])
def test_a_column_of_this_name_in_an_export_is_read(write: Write, name: str) -> None:
    """An export may have a column `_row` of its own: it is read in the job's format, and as it is."""
    cells = [[text("x"), text("_row")], [text("'=1"), text("7")]]
    data = xlsx({"S": cells}) if name == "o.xlsx" else "x|_row\n'=1|7\n".encode("utf-16")

    assert taken_back(write(data, name)) == (("x", "_row"), [Row(1, ("'=1", "7"))], [])


def test_the_mark_alone_is_found_in_a_sheet(write: Write) -> None:
    """A sheet with the mark as its only column of ours is `rows_to_fix`, whatever sheet and rows the job reads."""
    file = write(xlsx({"rows": [[text("_row"), text("a")], [text(ONE), text("'=1")]]}), "o.xlsx")
    with open_source(file, CsvFormat(skip_lines=3), sheet="明细") as source:
        (chunk,) = source

    assert (chunk.rows, chunk.marks and chunk.marks.to_pylist()) == ([Row(1, (ONE, "=1"))], [ONE])


def test_a_broken_record_keeps_its_mark(write: Write) -> None:
    """The mark of a record with too many or too few cells is found in any cell."""
    _, rows, marks = taken_back(write(f"a,b,_row,_status\n1,2,3,{ONE},x\n{OTHER}\n".encode()))

    assert ([type(row) for row in rows], marks) == ([BadRow, BadRow], [ONE, OTHER])


def test_a_row_with_unread_text_is_refused(write: Write) -> None:
    """A row with U+FFFD in a column of the export is bad; the report's columns may hold it."""
    _, rows, marks = taken_back(write(f"a,b,_row,_message\n1\ufffd,2,{ONE},x\n1,2,{OTHER},\ufffd\n".encode()))

    message = "a cell still holds \ufffd in place of text that could not be read; fix the row"
    assert rows == [BadRow(1, Fault("not_decodable", message), ("1\ufffd", "2")), Row(2, ("1", "2"))]
    assert marks == [ONE, OTHER]


def test_rows_to_fix_may_have_any_format(write: Write) -> None:
    """`rows_to_fix` saved as Parquet is recognised by its columns."""
    sink = BytesIO()
    pq.write_table(pa.table({"_row": [ONE, None], "_code": ["x", "y"], "a": ["'=1", "2"]}), sink)

    assert taken_back(write(sink.getvalue(), "fixed.parquet")) == (
        ("a",),
        [Row(1, ("=1",)), Row(2, ("2",))],
        [ONE, None],
    )


def test_columns_and_apostrophes_of_others_stay(read: Read) -> None:
    """A file that is not a `rows_to_fix` file keeps similar columns and its apostrophes."""
    assert read(b"a,_status,_code\n'=1,x,y\n") == (("a", "_status", "_code"), [Row(1, ("'=1", "x", "y"))])
    assert read(b"_row,a\n8,'=1\n") == (("_row", "a"), [Row(1, ("8", "'=1"))])


@pytest.mark.parametrize("header", ["_status,_code,_message", "_row,_status", "_row,_status,_code,_message"])
def test_a_file_with_columns_of_the_report_alone_is_an_ordinary_file(read: Read, header: str) -> None:
    """Without a column of the export nothing is removed, so that the missing columns are named."""
    columns, rows = read(f"{header}\n{'1,' * header.count(',')}2\n".encode())

    assert columns == tuple(header.split(","))
    assert [row.number for row in rows] == [1]
