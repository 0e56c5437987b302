"""The header of a CSV, its delimiter, and its lines that are no rows."""

import gzip
from collections.abc import Callable

import pytest

from pipeline.errors import SourceError
from pipeline.model import BadRow, CsvFormat, Fault, Row
from pipeline.read import SourceFile, open_source
from pipeline.read.files.bounds import Bounds
from tests.read.job_columns import JobColumns

Read = Callable[..., tuple[tuple[str, ...], list[Row | BadRow]]]
Write = Callable[..., SourceFile]


def read_for_a_job(file: SourceFile, form: CsvFormat | None = None) -> tuple[tuple[str, ...], list[Row | BadRow]]:
    with open_source(file, form or CsvFormat(), uses=JobColumns()) as source:
        return source.columns, [row for chunk in source for row in chunk.rows]


@pytest.mark.parametrize(
    "delimiter",
    [
        ",",
        "\t",
        ";",
        "|",
        "\x01",
        "||",
        ";;",
        "\x01|",
        "^A|",
        "^A",
        "~",
        "#@#",
        "<|>",
        "!~!",
        "、",
        "：",
        "$$",
        "\\t",
    ],
)
def test_the_header_shows_the_delimiter(write: Write, delimiter: str) -> None:
    """The delimiter, of one or more characters, is the one that separates the columns that the job needs."""
    text = "\n".join(line.replace(",", delimiter) for line in ("code,name,points", "007,单号 1.5,3", "008,,4"))
    assert read_for_a_job(write(text.encode())) == (
        ("code", "name", "points"),
        [Row(1, ("007", "单号 1.5", "3")), Row(2, ("008", None, "4"))],
    )


@pytest.mark.parametrize(
    ("data", "columns", "rows"),
    [
        pytest.param(b"a;b\n1,5;2\n", ("a", "b"), [Row(1, ("1,5", "2"))], id="semicolons-and-decimal-commas"),
        pytest.param(b"a,b;c\n1;2,3\n1;2,4\n", ("a", "b;c"), [Row(1, ("1;2", "3")), Row(2, ("1;2", "4"))], id="even"),
        pytest.param(b"a,b;c;d\n1,2;3;4\n", ("a,b", "c", "d"), [Row(1, ("1,2", "3", "4"))], id="more-columns"),
        pytest.param(b'"a;x",b\n"1;2",3\n', ("a;x", "b"), [Row(1, ("1;2", "3"))], id="within-quotes"),
        pytest.param(b"a\n1\n", ("a",), [Row(1, ("1",))], id="one-column"),
        pytest.param(b"a,b,,\n1,2,,\n", ("a", "b", "", ""), [Row(1, ("1", "2", None, None))], id="no-names-at-the-end"),
        pytest.param(b"a||b\n1||2|\n", ("a", "b"), [Row(1, ("1", "2|"))], id="a-part-of-the-delimiter-in-a-cell"),
        pytest.param(b"a b,c\n1,2\n", ("a b", "c"), [Row(1, ("1", "2"))], id="a-blank-in-a-name"),
    ],
)
def test_without_a_job_common_delimiters_are_tried(
    read: Read, data: bytes, columns: tuple[str, ...], rows: list[Row]
) -> None:
    """The delimiter is the one that gives all lines the same number of cells, else the one with most columns."""
    assert read(data) == (columns, rows)


@pytest.mark.parametrize("name", ["points.tsv", "points.TSV", "points.tsv.gz"])
def test_a_tsv_is_separated_by_tabs(write: Write, name: str) -> None:
    """A .tsv is separated by tabs, unless the job names another delimiter."""

    def stored(data: bytes) -> bytes:
        return gzip.compress(data) if name.endswith(".gz") else data

    assert read_for_a_job(write(stored(b"code\tpoints\n1,2\t3\n"), name)) == (
        ("code", "points"),
        [Row(1, ("1,2", "3"))],
    )
    assert read_for_a_job(write(stored(b"code,points\n1,2\n"), name), CsvFormat(delimiter=","))[1] == [
        Row(1, ("1", "2"))
    ]


ABOVE = "会员积分 明细\n日期,2025-11-20\n\n"


@pytest.mark.parametrize(
    ("data", "form", "message"),
    [
        pytest.param(
            ABOVE + "code,points\n1,2\n", CsvFormat(),
            'line 4, with the delimiter ","; write csv.skip_lines = 3 for the job', id="title",
        ),
        pytest.param(
            "# a\r\n# b\r\ncode,points\r\n1,2\r\n# end\r\n", CsvFormat(),
            'line 3, with the delimiter ","; write csv.skip_lines = 2 (or csv.comment = "#") for the job',
            id="comments",
        ),
        pytest.param(
            ABOVE + "code,points\n1,2\n", CsvFormat(skip_lines=1),
            'line 4, with the delimiter ","; write csv.skip_lines = 3 for the job', id="too-few-skipped",
        ),
        pytest.param(
            "code,points\n1,2\n3,4\n", CsvFormat(skip_lines=1),
            'line 1, with the delimiter ","; write csv.skip_lines = 0 for the job', id="too-many-skipped",
        ),
        pytest.param(
            "code;points\n1;2\n", CsvFormat(delimiter=","),
            'line 1, with the delimiter ";"; write csv.delimiter = ";" for the job', id="wrong-delimiter",
        ),
        pytest.param(
            "code\tpoints\n1\t2\n", CsvFormat(delimiter="\\t"),
            'line 1, with the delimiter "\\t"; write csv.delimiter = "\\t" for the job', id="tab-as-two-characters",
        ),
        pytest.param(
            "名单\ncode||points\n1||2\n", CsvFormat(delimiter=","),
            'line 2, with the delimiter "||"; write csv.skip_lines = 1 and csv.delimiter = "||" for the job',
            id="line-and-delimiter",
        ),
        pytest.param(
            "code points\n1 2 3\n4 5 6\n", CsvFormat(),
            'line 1, with the delimiter " "; write csv.delimiter = " " for the job', id="uneven",
        ),
        pytest.param(
            "kode~points\n1~2\n3~4\n", CsvFormat(),
            'line 1, with the delimiter "~"; write csv.delimiter = "~" for the job', id="no-name-is-known",
        ),
        pytest.param(
            'a "title"\ncode,points\n1,2\n', CsvFormat(),
            'line 2, with the delimiter ","; write csv.skip_lines = 1 for the job', id="no-record",
        ),
        pytest.param(
            "合计,2,points\ncode,name,points,day\n1,a,2,x\n", CsvFormat(),
            'line 2, with the delimiter ","; write csv.skip_lines = 1 for the job', id="a-name-above",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_the_likely_header_is_reported(write: Write, data: str, form: CsvFormat, message: str, encoding: str) -> None:
    """A file with lines above the header, or an unknown delimiter, is refused with the settings that read it."""
    with pytest.raises(SourceError) as refused:
        read_for_a_job(write(data.encode(encoding)), form)
    assert str(refused.value) == f"orders.csv: the header seems to be {message}"


@pytest.mark.parametrize(
    "data", ["code,name\n1,2\n", "kode,points\n1,2\n", "x\ny\n"], ids=["one-missing", "misspelt", "nothing-known"]
)
def test_the_first_line_is_the_header_if_no_other_is_better(write: Write, data: str) -> None:
    """If no other line has more of the columns, the first line is the header, even if it lacks some."""
    columns, _ = read_for_a_job(write(data.encode()))
    assert columns == tuple(data.partition("\n")[0].split(","))


BILL = "#支付宝业务明细\n#----\ncode,points\n1,2\n\n3,4\n#----结束\n#合计：2笔\n"


@pytest.mark.parametrize(
    ("form", "data"),
    [
        pytest.param(CsvFormat(skip_lines=2, comment="#"), BILL, id="skipped-and-commented"),
        pytest.param(CsvFormat(comment="#"), BILL, id="commented"),
        pytest.param(CsvFormat(comment="#--"), BILL.replace("#", "#--"), id="comment-of-several-characters"),
        pytest.param(
            CsvFormat(skip_lines=3), "x\n\ny,z\n" + BILL[BILL.index("code") : BILL.index("#----结")], id="skipped"
        ),
        pytest.param(
            CsvFormat(comment="#"), BILL.replace("1,2\n", '1,2\n#"odd\n"#5",6\n').replace('"#5",6\n', ""), id="quote"
        ),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 7, 1 << 16])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_that_are_no_rows_are_skipped(read: Read, form: CsvFormat, data: str, block_bytes: int, end: str) -> None:
    """Skipped lines above the header, and comment lines, are not counted as rows."""
    got = read(data.replace("\n", end).encode(), form, bounds=Bounds(block_bytes=block_bytes))
    assert got == (("code", "points"), [Row(1, ("1", "2")), Row(2, ("3", "4"))])


def test_a_comment_within_a_cell_is_a_part_of_it(read: Read) -> None:
    """Text within quotes, or not at the start of a line, is no comment."""
    data = b'a,b\n1,"x\n#y"\n"#2",z\n3,#\n'
    rows = [Row(1, ("1", "x\n#y")), Row(2, ("#2", "z")), Row(3, ("3", "#"))]
    assert read(data, CsvFormat(comment="#")) == (("a", "b"), rows)


BACKSLASH = CsvFormat(escape="\\")
ONE_CELL = Fault("ragged", "1 cell where the header has 2", rule="does not have one cell for each column of the file")
THREE_CELLS = Fault(
    "ragged", "3 cells where the header has 2", rule="does not have one cell for each column of the file"
)


@pytest.mark.parametrize(
    ("form", "data", "rows"),
    [
        pytest.param(BACKSLASH, b'a,b\n"say \\"hi\\"",2\n', [Row(1, ('say "hi"', "2"))], id="quote"),
        pytest.param(BACKSLASH, b"a,b\nx\\,y,2\n", [Row(1, ("x,y", "2"))], id="delimiter"),
        pytest.param(BACKSLASH, b"a,b\nx\\\\,2\n", [Row(1, ("x\\", "2"))], id="itself"),
        pytest.param(BACKSLASH, b"a,b\nx\\\ny,2\n3,4\n", [Row(1, ("x\ny", "2")), Row(2, ("3", "4"))], id="line-end"),
        pytest.param(BACKSLASH, b"a,b\r\nx\\\r\ny,2\r\n", [Row(1, ("x\r\ny", "2"))], id="crlf"),
        pytest.param(BACKSLASH, b"a,b\n\\N,x\\ty\n", [Row(1, ("\\N", "x\\ty"))], id="before-others-it-stays"),
        pytest.param(BACKSLASH, b'a,b\n"{\\"k\\":\\"x\\\\ny\\"}",2\n', [Row(1, ('{"k":"x\\ny"}', "2"))], id="json"),
        pytest.param(
            CsvFormat(escape="!", quote=""),
            b"a,b\nx!,y!,2\n",
            [BadRow(1, ONE_CELL, ("x,y,2", "\ufffd"))],
            id="other-escape",
        ),
        pytest.param(
            CsvFormat(escape="\\", delimiter="||"), b"a||b\nx\\||y||2\n", [Row(1, ("x||y", "2"))], id="long-delimiter"
        ),
        pytest.param(
            CsvFormat(delimiter="||"),
            b'a||b\n"x||y"||2|\n',
            [Row(1, ("x||y", "2|"))],
            id="long-delimiter-within-quotes",
        ),
        pytest.param(
            CsvFormat(delimiter="||"),
            b"a||b\n1\n1||2||3\n",
            [BadRow(1, ONE_CELL, ("1", "\ufffd")), BadRow(2, THREE_CELLS, ("1", "2,3\ufffd"))],
            id="long-delimiter-ragged",
        ),
        pytest.param(BACKSLASH, b"a,b\n1,2\\", [Row(1, ("1", "2\\"))], id="at-the-end"),
        pytest.param(BACKSLASH, b"a,b\n1,2\\\n", [Row(1, ("1", "2\n"))], id="before-the-last-line-end"),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 7, 1 << 16])
def test_an_escaped_character_is_part_of_the_cell(
    read: Read, form: CsvFormat, data: bytes, rows: list[Row | BadRow], block_bytes: int
) -> None:
    """After an escape a quote, delimiter, line end or escape is a character of the cell."""
    assert read(data, form, bounds=Bounds(block_bytes=block_bytes)) == (("a", "b"), rows)


def test_endless_escaped_line_ends_need_no_more_memory_than_a_record(read: Read) -> None:
    """A record that escaped line ends make too long is skipped, and the next one is read."""
    data = b"a,b\n" + b"x\\\n" * 100 + b"y,2\n3,4\n"
    _, rows = read(data, BACKSLASH, bounds=Bounds(block_bytes=50, record_chars=40))
    too_long = Fault("line_too_long", f"the line is longer than {12 << 20} bytes")
    assert rows == [BadRow(1, too_long), Row(2, ("3", "4"))]
