"""The records of a CSV."""

from collections.abc import Callable
from time import process_time

import pytest

from pipeline.errors import SettingsError, SourceError
from pipeline.model import BadRow, CsvFormat, Fault, Row
from pipeline.read import SourceFile, open_source
from pipeline.read.files.bounds import Bounds

Read = Callable[..., tuple[tuple[str, ...], list[Row | BadRow]]]

BAD_QUOTE = Fault(
    "bad_quote",
    'a quote " is inside a cell that is not quoted, or a closing quote is missing; '
    'put " around the cell and double each " inside it',
)
NUL = Fault("nul_character", "a NUL character, which CSV can't hold")


def ragged(found: str) -> Fault:
    return Fault("ragged", f"{found} where the header has 3", rule="does not have one cell for each column of the file")


@pytest.mark.parametrize(
    ("lines", "rows"),
    [
        pytest.param(b"1,2,3\n4,5,6\n", [Row(1, ("1", "2", "3")), Row(2, ("4", "5", "6"))], id="plain"),
        pytest.param(b"1,2,3", [Row(1, ("1", "2", "3"))], id="no-line-feed-at-the-end"),
        pytest.param(b"1,2,3\r\n4,5,6\r\n", [Row(1, ("1", "2", "3")), Row(2, ("4", "5", "6"))], id="crlf"),
        pytest.param(b"1,,3\n", [Row(1, ("1", None, "3"))], id="empty-cell"),
        pytest.param(b'1,"",3\n', [Row(1, ("1", None, "3"))], id="empty-quoted-cell"),
        pytest.param(b"007, 2 ,3e5\n", [Row(1, ("007", " 2 ", "3e5"))], id="text-stays-as-it-is"),
        pytest.param(b'1,"a,b",3\n', [Row(1, ("1", "a,b", "3"))], id="delimiter-in-quotes"),
        pytest.param(b'1,"say ""hi""",3\n', [Row(1, ("1", 'say "hi"', "3"))], id="quote-in-quotes"),
        pytest.param(b'1,"a\nb",3\n', [Row(1, ("1", "a\nb", "3"))], id="line-feed-in-quotes"),
        pytest.param(b'1,"a\r\n\r\nb",3\r\n', [Row(1, ("1", "a\r\n\r\nb", "3"))], id="blank-line-in-quotes"),
        pytest.param(b'1,"a\rb",3\n', [Row(1, ("1", "a\rb", "3"))], id="carriage-return-in-quotes"),
        pytest.param(b"1,a\rb,3\n", [Row(1, ("1", "a\rb", "3"))], id="carriage-return-in-a-cell"),
        pytest.param(b"\n1,2,3\n\r\n\n4,5,6\n\n", [Row(1, ("1", "2", "3")), Row(2, ("4", "5", "6"))], id="blank-lines"),
        pytest.param(
            b"1,2\n4,5,6\n", [BadRow(1, ragged("2 cells"), ("1", "2", "\ufffd")), Row(2, ("4", "5", "6"))], id="too-few"
        ),
        pytest.param(b"1\n", [BadRow(1, ragged("1 cell"), ("1", "\ufffd", "\ufffd"))], id="one-cell"),
        pytest.param(b"1,2,3,,5\n", [BadRow(1, ragged("5 cells"), ("1", "2", "3,,5\ufffd"))], id="too-many"),
        pytest.param(
            b'1,"a\nb"\n4,5,6\n',
            [BadRow(1, ragged("2 cells"), ("1", "a\nb", "\ufffd")), Row(2, ("4", "5", "6"))],
            id="too-few-over-two-lines",
        ),
        pytest.param(
            b'1,"2,3\n4,5,6\n',
            [BadRow(1, BAD_QUOTE, ("1", '"2', "3")), Row(2, ("4", "5", "6"))],
            id="quote-never-closed",
        ),
        pytest.param(
            b'1,"2,3\n4,5,6\n7,"8,9\n1,2,3\n',
            [
                BadRow(1, BAD_QUOTE, ("1", '"2', "3")),
                Row(2, ("4", "5", "6")),
                BadRow(3, BAD_QUOTE, ("7", '"8', "9")),
                Row(4, ("1", "2", "3")),
            ],
            id="two-quotes-never-closed",
        ),
        pytest.param(
            b'1,"2,3\n4,"5\n5",6\n7,8,9\n',
            [BadRow(1, BAD_QUOTE, ("1", '"2', "3")), Row(2, ("4", "5\n5", "6")), Row(3, ("7", "8", "9"))],
            id="unclosed-before-a-cell-over-two-lines",
        ),
        pytest.param(
            b'1,2"x,3\n4,5,6\n', [BadRow(1, BAD_QUOTE, ("1", '2"x', "3")), Row(2, ("4", "5", "6"))], id="stray-quote"
        ),
        pytest.param(b'1,2"x",3\n', [BadRow(1, BAD_QUOTE, ("1", '2"x"', "3"))], id="stray-pair"),
        pytest.param(b'1,"2"x,3\n', [BadRow(1, BAD_QUOTE, ("1", '"2"x', "3"))], id="letters-after-the-quote"),
        pytest.param(b'1, "2",3\n', [BadRow(1, BAD_QUOTE, ("1", ' "2"', "3"))], id="space-before-the-quote"),
        pytest.param(
            b'1",","3\n4,5,6\n',
            [BadRow(1, BAD_QUOTE, ('1"', '"', '"3')), Row(2, ("4", "5", "6"))],
            id="quotes-that-csv-would-run-on-with",
        ),
        pytest.param(b"1,a\0b,3\n4,5,6\n", [BadRow(1, NUL, ("1", "a\ufffdb", "3")), Row(2, ("4", "5", "6"))], id="nul"),
        pytest.param(
            b'1,"\0,3\n4,5,6\n',
            [BadRow(1, NUL, ("1", '"\ufffd', "3")), Row(2, ("4", "5", "6"))],
            id="nul-and-unclosed-quote",
        ),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 7, 1 << 16], ids=["by-bytes", "by-sevens", "at-once"])
def test_lines_become_rows_by_rfc_4180(read: Read, lines: bytes, rows: list[Row | BadRow], block_bytes: int) -> None:
    """A record that keeps the rules is a row, any other is one bad row, in blocks of any size."""
    assert read(b"a,b,c\n" + lines, bounds=Bounds(block_bytes=block_bytes)) == (("a", "b", "c"), rows)


@pytest.mark.parametrize(
    ("form", "data", "rows"),
    [
        pytest.param(CsvFormat(delimiter="\t"), b"a\tb\n1,5\t2\n", [Row(1, ("1,5", "2"))], id="tab"),
        pytest.param(
            CsvFormat(delimiter="|"), b"a|b\n1|2\n", [Row(1, ("1", "2"))], id="character-of-regular-expressions"
        ),
        pytest.param(CsvFormat(delimiter="，"), "a，b\n1，2\n".encode(), [Row(1, ("1", "2"))], id="not-ascii"),
        pytest.param(
            CsvFormat(quote="'"), b"a,b\n'1,5','it''s \"2\"'\n", [Row(1, ("1,5", 'it\'s "2"'))], id="other-quote"
        ),
        pytest.param(
            CsvFormat(quote=""),
            b'a,b\n"1,2"\n"x,\ry"\n',
            [Row(1, ('"1', '2"')), Row(2, ('"x', '\ry"'))],
            id="no-quoting",
        ),
    ],
)
def test_the_format_gives_delimiter_and_quote(
    read: Read, form: CsvFormat, data: bytes, rows: list[Row | BadRow]
) -> None:
    """Cells are split by the format's delimiter and quote; quoting can be off."""
    assert read(data, form) == (("a", "b"), rows)


@pytest.mark.parametrize(
    ("form", "fault"),
    [
        pytest.param(CsvFormat(delimiter=""), "csv delimiter '' is empty, or holds a line end", id="no-delimiter"),
        pytest.param(CsvFormat(delimiter="\n"), "csv delimiter '\\n' is empty, or holds a line end", id="line-feed"),
        pytest.param(CsvFormat(quote="''"), "csv quote \"''\" is neither one character nor empty", id="two-quotes"),
        pytest.param(
            CsvFormat(delimiter='"'), "csv quote '\"' is a part of the delimiter '\"'", id="quote-as-delimiter"
        ),
        pytest.param(
            CsvFormat(delimiter="|\\", escape="\\"),
            "csv escape '\\\\' is a part of the delimiter '|\\\\'",
            id="escape-in-the-delimiter",
        ),
        pytest.param(
            CsvFormat(escape="ab"), "csv escape 'ab' is neither one character nor empty", id="escape-of-two-characters"
        ),
        pytest.param(
            CsvFormat(encoding="utf-9"),
            "csv encoding 'utf-9' is not known; use auto, utf-8, gb18030 or another encoding",
            id="unknown-encoding",
        ),
        pytest.param(
            CsvFormat(encoding="hex"),
            "csv encoding 'hex' is not known; use auto, utf-8, gb18030 or another encoding",
            id="no-encoding-of-text",
        ),
        pytest.param(
            CsvFormat(encoding="a\0b"),
            "csv encoding 'a\\x00b' is not known; use auto, utf-8, gb18030 or another encoding",
            id="no-name-at-all",
        ),
    ],
)
def test_an_impossible_format_is_refused(write: Callable[..., SourceFile], form: CsvFormat, fault: str) -> None:
    """An impossible format raises SettingsError before the file is read."""
    with pytest.raises(SettingsError) as refused:
        open_source(write(b"a\n1\n"), form)
    assert refused.value.faults == (fault,)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(
            b"\n\r\n", "orders.csv holds nothing but blank lines; export it again, with a header", id="blank-lines"
        ),
        pytest.param(
            b"\xef\xbb\xbf",
            "orders.csv holds nothing but blank lines; export it again, with a header",
            id="only-a-mark",
        ),
        pytest.param(
            b",,\n , \n", "orders.csv holds nothing but blank lines; export it again, with a header", id="no-names"
        ),
        pytest.param(b"a,b\0\n", "orders.csv has no readable header: a NUL character, which CSV can't hold", id="nul"),
        pytest.param(b'a,"b\n1,2\n', f"orders.csv has no readable header: {BAD_QUOTE.message}", id="quote"),
    ],
)
def test_a_file_without_a_usable_header_is_refused(write: Callable[..., SourceFile], data: bytes, message: str) -> None:
    """A file without a readable header raises SourceError before a row is read."""
    with pytest.raises(SourceError) as refused:
        open_source(write(data), CsvFormat())
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        pytest.param(b"a,b\n", ("a", "b"), id="header-alone"),
        pytest.param(b"\n\na,b", ("a", "b"), id="after-blank-lines"),
        pytest.param(b'"a\nx","b"\n', ("a\nx", "b"), id="quoted-over-two-lines"),
        pytest.param(b"a,b,,\n", ("a", "b", "", ""), id="nameless-columns-of-a-spreadsheet"),
        pytest.param(b',,\n"", \na,b\n', ("a", "b"), id="after-blank-records"),
        pytest.param(b"b,a,b,a,c\n", ("b", "a", "b", "a", "c"), id="columns-of-one-name"),
    ],
)
def test_a_header_with_no_rows_is_a_file_of_no_rows(read: Read, data: bytes, columns: tuple[str, ...]) -> None:
    """A file with only a header has columns and 0 rows."""
    assert read(data) == (columns, [])


def test_chunks_hold_at_most_chunk_rows(write: Callable[..., SourceFile]) -> None:
    """Rows come in full chunks and a last, smaller one, with continuous numbers."""
    data = b"a\n" + b"".join(b"%d\n" % number for number in range(1, 8))
    chunks = list(open_source(write(data), CsvFormat(), chunk_rows=3))
    assert [[row.number for row in chunk.rows] for chunk in chunks] == [[1, 2, 3], [4, 5, 6], [7]]
    assert {chunk.columns for chunk in chunks} == {("a",)}


def test_large_cells_make_small_chunks(write: Callable[..., SourceFile]) -> None:
    """A chunk ends before its rows exceed the bound in bytes."""
    bounds = Bounds(block_bytes=1000)
    chunks = list(open_source(write(b"a\n" + b"x" * 99 + b"\n" + (b"y" * 99 + b"\n") * 50), CsvFormat(), bounds=bounds))
    assert max(len(chunk.rows) for chunk in chunks) <= 11
    assert sum(len(chunk.rows) for chunk in chunks) == 51


@pytest.mark.parametrize("block_bytes", [3, 10, 1 << 16], ids=["small", "as-long-as-a-line-may-be", "large"])
def test_a_line_too_long_is_one_bad_row(read: Read, block_bytes: int) -> None:
    """A line over the bound is skipped, its neighbours are read; a line of exactly the bound is a row."""
    bounds = Bounds(block_bytes=block_bytes, line_bytes=10)
    too_long = Fault("line_too_long", "the line is longer than 10 bytes")
    data = b"a\n1234567890\n12345678901\n1\n" + b"x" * 100 + b"\n2\n" + b"y" * 11
    assert read(data, bounds=bounds)[1] == [
        Row(1, ("1234567890",)),
        BadRow(2, too_long),
        Row(3, ("1",)),
        BadRow(4, too_long),
        Row(5, ("2",)),
        BadRow(6, too_long),
    ]


def test_a_line_too_long_within_quotes_affects_only_its_record(read: Read) -> None:
    """No cell continues across a too long line, because the line's content is unknown."""
    bounds = Bounds(line_bytes=10)
    assert read(b'a\n"1\n' + b"x" * 11 + b'\n2"\n3\n', bounds=bounds)[1] == [
        BadRow(1, BAD_QUOTE, ('"1',)),
        BadRow(2, Fault("line_too_long", "the line is longer than 10 bytes")),
        BadRow(3, BAD_QUOTE, ('2"',)),
        Row(4, ("3",)),
    ]


def test_a_cell_too_long_is_one_bad_row(read: Read) -> None:
    """A cell over the bound makes its row bad and is not kept."""
    assert read(b"a,b\n1,12345\n2,123456\n3,1\n", bounds=Bounds(cell_chars=5))[1] == [
        Row(1, ("1", "12345")),
        BadRow(2, Fault("field_too_long", "a cell is longer than 5 characters")),
        Row(3, ("3", "1")),
    ]


@pytest.mark.parametrize("bounds", [Bounds(record_lines=3), Bounds(record_chars=5)], ids=["by-lines", "by-characters"])
@pytest.mark.parametrize("block_bytes", [1, 1 << 16], ids=["by-bytes", "at-once"])
def test_a_record_over_too_many_lines_is_not_joined(read: Read, bounds: Bounds, block_bytes: int) -> None:
    """If a quoted cell exceeds the bound, its first line is bad, and the others are records of their own."""
    data = b'a\n"1\n2\n3"\n"1\n2\n3\n4"\n5\n'
    bounds = Bounds(block_bytes=block_bytes, record_lines=bounds.record_lines, record_chars=bounds.record_chars)
    assert read(data, bounds=bounds)[1] == [
        Row(1, ("1\n2\n3",)),
        BadRow(2, BAD_QUOTE, ('"1',)),
        Row(3, ("2",)),
        Row(4, ("3",)),
        BadRow(5, BAD_QUOTE, ('4"',)),
        Row(6, ("5",)),
    ]


def test_a_ten_megabyte_cell_is_read(read: Read) -> None:
    """A cell of 10 MB is read, also quoted and over many lines."""
    long = "x" * 99 + "\n"
    cell = long * 100 * 99 + "y" * (10_000_000 - 990_000)
    assert read(f'a,b\n1,"{cell}"\n2,z\n'.encode())[1] == [Row(1, ("1", cell)), Row(2, ("2", "z"))]


@pytest.mark.parametrize(
    "line", [b"1,2,3\n", b'"1","2","3"\n', b'x",",""\n', b'"1\n'], ids=["plain", "quoted", "runs-on", "unclosed"]
)
def test_a_stray_quote_at_the_top_costs_no_time(read: Read, line: bytes) -> None:
    """Reading takes linear time with any arrangement of quotes."""
    began = process_time()
    _, rows = read(b'a,b,c\n1,"2,3\n' + line * 200_000)
    assert (rows[0].number, rows[-1].number) == (1, 200_001)
    assert isinstance(rows[0], BadRow)
    assert process_time() - began < 20
