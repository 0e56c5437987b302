"""The decoding of a CSV's bytes."""

import codecs
from collections.abc import Callable

import pytest

from pipeline.model import BadRow, CsvFormat, Fault, Row
from pipeline.read.files.bounds import Bounds

Read = Callable[..., tuple[tuple[str, ...], list[Row | BadRow]]]

TEXT = "单号,金额\n一二三,12.50\n€,\U00020000\n"
ROWS = [Row(1, ("一二三", "12.50")), Row(2, ("€", "\U00020000"))]
NOT_DECODABLE = Fault("not_decodable", "bytes that are not valid in the file's encoding")


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        pytest.param("auto", TEXT.encode(), id="utf-8"),
        pytest.param("auto", codecs.BOM_UTF8 + TEXT.encode(), id="utf-8-with-mark"),
        pytest.param("auto", TEXT.encode("gb18030"), id="gb18030"),
        pytest.param("auto", codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), id="utf-16-le-with-mark"),
        pytest.param("auto", codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), id="utf-16-be-with-mark"),
        pytest.param("auto", codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), id="utf-32-le-with-mark"),
        pytest.param("utf-8", codecs.BOM_UTF8 + TEXT.encode(), id="utf-8-named-with-mark"),
        pytest.param("UTF-8-SIG", TEXT.encode(), id="utf-8-named-without-mark"),
        pytest.param("gb18030", TEXT.encode("gb18030"), id="gb18030-named"),
        pytest.param("gb18030", ("\ufeff" + TEXT).encode("gb18030"), id="gb18030-with-mark"),
        pytest.param("utf-16", TEXT.encode("utf-16"), id="utf-16-named-with-mark"),
        pytest.param("utf-16", TEXT.encode("utf-16-le"), id="utf-16-named-without-mark"),
        pytest.param("utf-16-be", TEXT.encode("utf-16-be"), id="utf-16-be-named"),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 3, 1 << 16], ids=["by-bytes", "by-threes", "at-once"])
def test_a_file_is_read_in_its_own_encoding(read: Read, encoding: str, data: bytes, block_bytes: int) -> None:
    """A byte order mark, the bytes or the format give the encoding; the mark is no part of a name."""
    bounds = Bounds(block_bytes=block_bytes)
    assert read(data, CsvFormat(encoding=encoding), bounds=bounds) == (("单号", "金额"), ROWS)


@pytest.mark.parametrize("encoding", ["gbk", "big5", "shift_jis", "cp1252", "latin-1", "cp037", "iso2022_jp", "utf-7"])
def test_any_encoding_can_be_named(read: Read, encoding: str) -> None:
    """Encodings of one byte, of several, with shifts, and unlike ASCII are read by their names."""
    text = "a,b\n1,2\nx,y\n" if encoding.startswith(("cp", "latin")) else "a,b\n一,2\n二,y\n"
    rows = [Row(at, tuple(line.split(","))) for at, line in enumerate(text.split()[1:], 1)]
    for block_bytes in (1, 5, 1 << 16):
        got = read(text.encode(encoding), CsvFormat(encoding=encoding), bounds=Bounds(block_bytes=block_bytes))
        assert got == (("a", "b"), rows)


@pytest.mark.parametrize(
    ("encoding", "data", "rows"),
    [
        pytest.param(
            "utf-8",
            b"a,b\n\xff,2\n3,4\n",
            [BadRow(1, NOT_DECODABLE, ("\ufffd", "2")), Row(2, ("3", "4"))],
            id="no-utf-8",
        ),
        pytest.param(
            "utf-8",
            "a,b\n单,2\n3,4\n".encode("gb18030"),
            [BadRow(1, NOT_DECODABLE, ("\ufffd\ufffd", "2")), Row(2, ("3", "4"))],
            id="gb18030-in-utf-8",
        ),
        pytest.param(
            "utf-8",
            b"a,b\n\xed\xb3\xbf,2\n",
            [BadRow(1, NOT_DECODABLE, ("\ufffd\ufffd\ufffd", "2"))],
            id="half-a-surrogate",
        ),
        pytest.param(
            "utf-8",
            b'a,b\n"\n\xff",2\n3,4\n',
            [BadRow(1, NOT_DECODABLE, ("\n\ufffd", "2")), Row(2, ("3", "4"))],
            id="within-a-cell-over-two-lines",
        ),
        pytest.param(
            "utf-8",
            b'a,b\n"\xff,2\n3,4\n',
            [BadRow(1, NOT_DECODABLE, ('"\ufffd', "2")), Row(2, ("3", "4"))],
            id="and-unclosed",
        ),
        pytest.param(
            "utf-8", "a,b\n\ufffd,2\n".encode(), [Row(1, ("\ufffd", "2"))], id="a-replacement-that-the-file-holds"
        ),
        pytest.param("ascii", b"a,b\n\x80,2\n", [BadRow(1, NOT_DECODABLE, ("\ufffd", "2"))], id="no-ascii"),
        pytest.param(
            "gb18030",
            b"a,b\n\xd2,2\n\xd2\xbb,4\n",
            [BadRow(1, NOT_DECODABLE, ("\ufffd", "2")), Row(2, ("一", "4"))],
            id="half-a-letter",
        ),
        pytest.param(
            "gb18030",
            b"a,b\n1,\xd2\n3,4\n",
            [BadRow(1, NOT_DECODABLE, ("1", "\ufffd")), Row(2, ("3", "4"))],
            id="half-a-letter-before-the-line-feed",
        ),
        pytest.param(
            "utf-16-le",
            "a,b\n\ud800,2\n3,4\n".encode("utf-16-le", "surrogatepass"),
            [BadRow(1, NOT_DECODABLE, ("\ufffd\ufffd\ufffd", "2")), Row(2, ("3", "4"))],
            id="half-a-pair",
        ),
        pytest.param(
            "utf-16-le",
            "a,b\n1,2".encode("utf-16-le") + b"x",
            [BadRow(1, NOT_DECODABLE, ("1", "2\ufffd\ufffd\ufffd"))],
            id="cut-short",
        ),
        pytest.param(
            "auto",
            b"a,b\n\xe4\xb8\x80,2\n\xff,4\n",
            [Row(1, ("一", "2")), BadRow(2, NOT_DECODABLE, ("\ufffd", "4"))],
            id="half-of-the-lines-are-utf-8",
        ),
        pytest.param(
            "auto",
            "a,b\n签到,2\n签到,4\n".encode("gb18030") + "签到,6\n".encode() + "学习,10\n".encode("gb18030"),
            [
                Row(1, ("签到", "2")),
                Row(2, ("签到", "4")),
                BadRow(3, NOT_DECODABLE, ("\ufffd" * 6, "6")),
                Row(4, ("学习", "10")),
            ],
            id="lines-of-utf-8-in-gb18030",
        ),
        pytest.param(
            "gb18030",
            "a,b\n签到,2\n".encode(),
            [Row(1, ("绛惧埌", "2"))],
            id="utf-8-that-the-job-calls-gb18030",
        ),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 3, 1 << 16], ids=["by-bytes", "by-threes", "at-once"])
def test_undecodable_bytes_affect_only_their_row(
    read: Read, encoding: str, data: bytes, rows: list[Row | BadRow], block_bytes: int
) -> None:
    """Undecodable bytes make a bad row with the readable part of its cells; the other rows are read."""
    got = read(data, CsvFormat(encoding=encoding), bounds=Bounds(block_bytes=block_bytes))
    assert got == (("a", "b"), rows)


@pytest.mark.parametrize("block_bytes", [10, 1 << 16], ids=["in-tens", "at-once"])
def test_the_first_lines_that_are_not_ascii_decide(read: Read, block_bytes: int) -> None:
    """Detection reads a fixed length from the first line that is not ASCII, wherever that is."""
    data = b"a\n" + b"1\n" * 50 + "一二三\n".encode("gb18030") * 5 + "一二三\n".encode() * 100
    _, rows = read(data, bounds=Bounds(block_bytes=block_bytes, sample_bytes=35))
    assert rows[50] == Row(51, ("一二三",))
    assert rows[55] != Row(56, ("一二三",))


def test_a_comma_within_a_letter_is_no_delimiter(read: Read) -> None:
    """The second byte of a GB18030 character may equal a delimiter, so text is decoded before it is split."""
    form = CsvFormat(encoding="gb18030", delimiter="|")
    assert b"|" in "迀".encode("gb18030")[1:]
    assert read("a|b\n迀|2\n".encode("gb18030"), form) == (("a", "b"), [Row(1, ("迀", "2"))])
