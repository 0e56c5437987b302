"""Sheets of workbooks as rows of text."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.model import BadRow, CsvFormat, Row
from pipeline.read import SourceFile, open_source, sha256_of
from pipeline.read.workbook.archive import WorkbookBounds
from pipeline.read.workbook.reader import WorkbookReader
from tests.read.job_columns import JobColumns
from tests.read.workbooks import archive, failed, moment, number, ods, text, truth, xlsx

Read = Callable[..., tuple[tuple[str, ...], list[Row | BadRow]]]
Write = Callable[..., SourceFile]

HEADER = [text("code"), text("points")]
ROW = [text("007"), number("10")]


@pytest.mark.parametrize(
    ("cell", "messages"),
    [
        pytest.param(text("007"), "007", id="text"),
        pytest.param(text(" x "), " x ", id="text-with-blanks"),
        pytest.param(text(""), None, id="empty-text"),
        pytest.param(None, None, id="no-cell"),
        pytest.param(number("10"), "10", id="whole"),
        pytest.param(number("10.0"), "10", id="whole-with-a-place"),
        pytest.param(number("-3"), "-3", id="negative"),
        pytest.param(number("999999999999999"), "999999999999999", id="fifteen-digits"),
        pytest.param(number("1234567890123456"), "≈1.234567890123456E+15", id="sixteen-digits"),
        pytest.param(number("20235400000000000001"), "≈2.02354E+19", id="twenty-digits"),
        pytest.param(number("2.02354E+19"), "≈2.02354E+19", id="with-exponent"),
        pytest.param(number("12.5"), "12.5", id="places"),
        pytest.param(number("0.30000000000000004"), "0.30000000000000004", id="inexact"),
        pytest.param(number("1E-7"), "0.0000001", id="small"),
        pytest.param(truth(True), "true", id="true"),
        pytest.param(truth(False), "false", id="false"),
        pytest.param(moment("45981.416678240741"), "2025-11-20 10:00:01", id="time"),
        pytest.param(moment("45981"), "2025-11-20 00:00:00", id="day"),
        pytest.param(moment("45981.999999"), "2025-11-20 23:59:59.914", id="fraction"),
        pytest.param(failed("#REF!"), "#REF!\ufffd", id="failed-formula"),
        pytest.param(failed("#N/A"), None, id="nothing-found"),
    ],
)
def test_a_cell_becomes_text_without_loss(read: Read, cell: str | None, messages: str | None) -> None:
    """Text stays, times are ISO 8601, whole numbers have up to 15 digits; lost digits and failed formulas show."""
    data = xlsx({"S": [[text("code"), text("x")], [text("007"), cell]]})
    assert read(data, name="o.xlsx") == (("code", "x"), [Row(1, ("007", messages))])


ODS_ROWS = [
    '<table:table-row><table:table-cell office:value-type="string"><text:p>code</text:p></table:table-cell>'
    '<table:table-cell office:value-type="string"><text:p>points</text:p></table:table-cell></table:table-row>',
    '<table:table-row><table:table-cell office:value-type="string"><text:p>007</text:p></table:table-cell>'
    '<table:table-cell office:value-type="float" office:value="10"><text:p>10.00</text:p></table:table-cell>'
    '<table:table-cell table:number-columns-repeated="16000"/></table:table-row>',
    '<table:table-row table:number-rows-repeated="1048574">'
    '<table:table-cell table:number-columns-repeated="16384"/></table:table-row>',
]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("o.xlsx", xlsx({"S": [HEADER, ROW]}), id="xlsx"),
        pytest.param("o.ods", ods(ODS_ROWS), id="ods"),
        # Made by xlwt, which is no longer maintained: one sheet with this header and row.
        pytest.param("o.xls", (Path(__file__).with_name("points.xls")).read_bytes(), id="xls"),
        pytest.param("o.xls", xlsx({"S": [HEADER, ROW]}), id="xlsx-called-xls"),
        pytest.param("export", xlsx({"S": [HEADER, ROW]}), id="without-an-ending"),
    ],
)
def test_workbooks_of_all_kinds_are_read(write: Write, name: str, data: bytes) -> None:
    """A workbook of any kind is read; it has no encoding, and its hash is that of the file."""
    file = write(data, name)
    with open_source(file, CsvFormat()) as source:
        rows = [row for chunk in source for row in chunk.rows]
    assert (source.columns, rows, source.rows, source.encoding) == (
        ("code", "points"), [Row(1, ("007", "10"))], 1, None,
    )  # fmt: skip
    assert source.sha256 == sha256_of(file)


def test_the_sheet_is_the_first_or_the_named_one(write: Write) -> None:
    """Without a name the first sheet is read; an unknown name is reported with the known ones."""
    file = write(xlsx({"汇总": [HEADER, ROW], "明细 & 2": [HEADER, ROW, ROW]}), "o.xlsx")
    counts = [sum(map(len, open_source(file, CsvFormat(), sheet=sheet))) for sheet in (None, "汇总", "明细 & 2")]
    assert counts == [1, 1, 2]
    with pytest.raises(SourceError) as refused:
        open_source(file, CsvFormat(), sheet="Sheet1")
    assert str(refused.value) == "o.xlsx has no sheet 'Sheet1'; its sheets are 汇总, 明细 & 2: change `sheet`"


@pytest.mark.parametrize(
    ("rows", "skip", "columns"),
    [
        pytest.param([[], [None], HEADER, ROW], 0, ("code", "points"), id="below-empty-rows"),
        pytest.param([[text("积分 明细")], HEADER, ROW], 1, ("code", "points"), id="below-a-title"),
        pytest.param([[None, text("code")], [None, text("7")]], 0, ("code",), id="beside-an-empty-column"),
    ],
)
def test_the_header_is_the_first_row_with_a_cell(
    read: Read, rows: list[list[str | None]], skip: int, columns: tuple[str, ...]
) -> None:
    """Empty rows and columns before the header are skipped, and the lines that the job skips."""
    got, found = read(xlsx({"S": rows}), CsvFormat(skip_lines=skip), name="o.xlsx")
    assert (got, len(found)) == (columns, 1)


@pytest.mark.parametrize(
    ("rows", "skip", "number"),
    [
        pytest.param([[text("积分 明细")], [], HEADER, ROW], 0, 3, id="a title above"),
        pytest.param([[text("code")], [text("x"), text("code"), text("points")], ROW], 0, 2, id="a word of it above"),
        pytest.param([HEADER, ROW, ROW], 1, 1, id="too many rows skipped"),
    ],
)
def test_rows_above_the_header_are_reported(write: Write, rows: list[list[str | None]], skip: int, number: int) -> None:
    """If another row has the columns of the job, the message names it and the setting that reads it."""
    file = write(xlsx({"S": rows}), "o.xlsx")
    with pytest.raises(SourceError) as refused:
        open_source(file, CsvFormat(skip_lines=skip), uses=JobColumns())
    assert str(refused.value) == (
        f"o.xlsx: the header seems to be row {number}; write csv.skip_lines = {number - 1} for the job"
    )


def test_a_header_that_no_other_row_betters_is_returned(write: Write) -> None:
    """A header that lacks columns is returned if no other row has more, so that the missing ones can be named."""
    with open_source(
        write(xlsx({"S": [[text("code")], ROW, HEADER[:1]]}), "o.xlsx"), CsvFormat(), uses=JobColumns()
    ) as source:
        assert source.columns == ("code", "")


def test_comments_of_a_sheet_are_no_rows(read: Read) -> None:
    """A row whose first cell begins with the job's comment is no row, before and after the header."""
    data = xlsx({"S": [[text("#day")], HEADER, ROW, [text("#sum"), number("10")], [None, text("#")]]})
    assert read(data, CsvFormat(comment="#"), name="o.xlsx") == (
        ("code", "points"),
        [Row(1, ("007", "10")), Row(2, (None, "#"))],
    )


def test_a_failed_formula_is_found_at_its_place(read: Read) -> None:
    """Empty rows and columns before a failed formula do not change its place."""
    rows = [[], [None, text("code"), text("x")], [], [None, text("7"), failed("#DIV/0!")], [None, text("8"), text("y")]]
    _, found = read(xlsx({"S": rows}), name="o.xlsx")
    assert found[-2:] == [Row(1, ("7", "#DIV/0!\ufffd")), Row(2, ("8", "y"))]


def test_a_sheet_is_read_in_chunks(read: Read) -> None:
    """Numbers continue over chunks, and values of hive folders are columns."""
    data = xlsx({"S": [[text("a")], *([number(str(at))] for at in range(1, 8))]})
    assert read(data, name="dt=1/o.xlsx", chunk_rows=3) == (
        ("a", "dt"), [Row(at, (str(at), "1")) for at in range(1, 8)],
    )  # fmt: skip


REPEATED = (
    '<table:table-row table:number-rows-repeated="1000"><table:table-cell office:value-type="float" office:value="1" '
    'table:number-columns-repeated="16000"><text:p>1</text:p></table:table-cell></table:table-row>'
)
GOOD = xlsx({"S": [HEADER, ROW]})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(xlsx({"S": []}), "has no cell in the sheet S; name another in `sheet`", id="empty-sheet"),
        pytest.param(
            xlsx({"S": [[' r="XFD1048576"><v>1</v>']]}),
            "unpacks to more than 4,000,000 cells, empty ones included; export it as CSV",
            id="a-cell-in-the-far-corner",
        ),
        pytest.param(
            xlsx({"S": [[' t="s"><v>0</v>']] * 1000}, shared=["x" * 100_000]),
            "unpacks to more than 67,108,864 bytes of text; export it as CSV",
            id="a-long-text-in-many-cells",
        ),
        pytest.param(
            ods([REPEATED]), "unpacks to more than 2,000,000 cells; export it as CSV",
            id="cells-that-are-repeated",
        ),
        pytest.param(
            archive({"xl/workbook.xml": " " * (140 << 20)}),
            "unpacks to more than 134,217,728 bytes; export it as CSV",
            id="bomb",
        ),
        pytest.param(
            GOOD[:-30], "is a ZIP archive or a workbook, and damaged: its list of members is missing; fetch it again",
            id="cut-short",
        ),
        pytest.param(
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000), "can't be read as a workbook", id="damaged-xls",
        ),
    ],
)  # fmt: skip
def test_a_workbook_that_can_not_be_read_is_refused_by_name(write: Write, data: bytes, message: str) -> None:
    """A workbook that is empty, damaged or over a bound is refused before it needs the memory."""
    with pytest.raises(SourceError) as refused:
        list(open_source(write(data, "o.xlsx"), CsvFormat()))
    assert str(refused.value).startswith(f"o.xlsx {message}")


def test_a_large_workbook_is_not_opened(write: Write) -> None:
    """A file over the bound is refused by its size."""
    with pytest.raises(SourceError, match=r"^o\.xlsx is a workbook of more than 100 bytes; export it as CSV$"):
        WorkbookReader(
            write(GOOD, "o.xlsx"),
            None,
            CsvFormat(),
            uses=JobColumns(),
            chunk_rows=10,
            bounds=WorkbookBounds(stored_bytes=100),
        )


def test_without_the_extra_a_workbook_is_refused(write: Write) -> None:
    """Without the workbook reader the message says how to install it."""
    file = write(GOOD, "o.xlsx")
    script = (
        "import sys; sys.modules['python_calamine'] = None\n"
        "import datetime, pathlib\nfrom pipeline.model import CsvFormat\n"
        "from pipeline.read import find_inputs, open_source\n"
        "file = find_inputs([sys.argv[1]], base=pathlib.Path('/'), date=datetime.date(2026, 3, 31))[0]\n"
        "try:\n    open_source(file, CsvFormat())\nexcept Exception as error:\n    print(type(error).__name__, error)\n"
    )
    said = subprocess.run([sys.executable, "-c", script, file.path], capture_output=True, text=True, check=True).stdout
    assert said == (
        f"SourceError {file.path[1:]} is a workbook, and the workbook reader is not installed: "
        "pip install loyalty-backfill[excel]\n"
    )
