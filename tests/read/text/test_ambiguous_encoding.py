"""Files whose bytes are valid in UTF-8 and in GB18030."""

from collections.abc import Callable

import pytest

from pipeline.errors import SourceError
from pipeline.model import CsvFormat, Row
from pipeline.read import SourceFile, open_source
from pipeline.read.files.bounds import Bounds
from pipeline.read.text.likely_encoding import clear_encoding, is_likely_gb18030
from tests.read.job_columns import JobColumns

Write = Callable[..., SourceFile]

# Words whose characters in GB18030 are each a letter of UTF-8 that Chinese text never has.
DOUBTFUL = ("学习", "通知", "学校", "谢谢", "预约", "影院", "实习", "元", "券", "3楼", "VIP券", "小米", "营业")
NOT_CHINESE = (
    "José", "Müller", "São Paulo", "Łódź", "crème brûlée", "naïve", "İstanbul", "Ürümqi", "Đà Nẵng", "ñandú",
    "façade", "¥12.00", "£ 5", "25°C", "m²", "1½", "Nike®", "© 2025", "«Sí»", "¿Qué?", "±5", "10µm", "€5", "×2",
    "Привет", "Ελλάδα", "مرحبا", "plain", "",
)  # fmt: skip


@pytest.mark.parametrize("word", [word for word in DOUBTFUL if word != "小米"])
def test_hanzi_that_read_as_rare_letters_are_likely_gb18030(word: str) -> None:
    """Text that is hanzi in GB18030 and rare letters in UTF-8 is more likely GB18030."""
    assert is_likely_gb18030(word.encode("gb18030").decode())
    assert clear_encoding(word.encode("gb18030")) is None


@pytest.mark.parametrize("word", NOT_CHINESE)
def test_letters_in_their_context_are_utf_8(word: str) -> None:
    """Accented letters in Latin words, signs at numbers and other scripts are UTF-8."""
    assert not is_likely_gb18030(word)


@pytest.mark.parametrize("word", ["积分", "中文", "消费金额", "青石巷店", "José中文", "阿里·库尔班", "（一）优惠券"])
def test_chinese_in_utf_8_is_clear(word: str) -> None:
    """Chinese text in UTF-8 decides for UTF-8, even if its bytes are valid in GB18030."""
    assert clear_encoding(word.encode()) == "utf-8"
    assert not is_likely_gb18030(word)


@pytest.mark.parametrize("word", ["会员", "微信", "优惠", "消费", "小米", "（学习）"])
def test_chinese_in_gb18030_is_clear_where_it_is_no_utf_8(word: str) -> None:
    """Chinese text in GB18030 decides for GB18030 if its bytes are not valid in UTF-8."""
    assert clear_encoding(word.encode("gb18030")) == "gb18030"


def table(*names: str, header: str = "code,points,name") -> str:
    lines = [header, *(f"{number:03d},{number},{name}" for number, name in enumerate(names, 1))]
    return "\n".join(lines) + "\n"


def read(file: SourceFile, form: CsvFormat | None = None, bounds: Bounds | None = None) -> tuple[list[Row], str | None]:
    with open_source(file, form or CsvFormat(), uses=JobColumns(), bounds=bounds or Bounds()) as source:
        rows = [row for chunk in source for row in chunk.rows if isinstance(row, Row)]
        return rows, source.encoding


SMALL = Bounds(block_bytes=16, sample_bytes=16)


@pytest.mark.parametrize("bounds", [Bounds(), SMALL], ids=["one-block", "small-blocks"])
@pytest.mark.parametrize(
    ("data", "line"),
    [
        pytest.param(table("学习", "学习").encode("gb18030"), 2, id="all-lines"),
        pytest.param(table("a", "b", "c", "学习").encode("gb18030"), 5, id="last-line"),
        pytest.param(b"# title\n" + table("a", "学习").encode("gb18030"), 4, id="after-lines-that-are-no-rows"),
        pytest.param(table('"x\n学习"').encode("gb18030"), 2, id="within-quotes"),
        pytest.param(table("José").encode() + "002,2,通知\n".encode("gb18030"), 3, id="behind-letters-in-their-place"),
        pytest.param(table("x", header="学习,points,name").encode("gb18030"), 1, id="header"),
    ],
)
def test_an_ambiguous_encoding_is_refused(write: Write, data: bytes, line: int, bounds: Bounds) -> None:
    """If no line decides, and a used column is more likely GB18030, the job must name the encoding."""
    with pytest.raises(SourceError) as refused:
        read(write(data), CsvFormat(comment="#", delimiter=","), bounds)
    assert str(refused.value) == (
        f"orders.csv: the encoding is ambiguous. Line {line} is more likely gb18030 than utf-8, and no line is valid "
        'in only one of them; write csv.encoding = "gb18030" (or "utf-8") for the job'
    )


@pytest.mark.parametrize("bounds", [Bounds(), SMALL], ids=["one-block", "small-blocks"])
@pytest.mark.parametrize(
    ("data", "names", "encoding"),
    [
        pytest.param(table("学习", "会员").encode("gb18030"), ["学习", "会员"], "gb18030", id="a-clear-line-behind"),
        pytest.param(
            table(*["学习"] * 50, "会员").encode("gb18030"), ["学习"] * 50 + ["会员"], "gb18030", id="far-behind"
        ),
        pytest.param(table("会员", "学习").encode("gb18030"), ["会员", "学习"], "gb18030", id="a-clear-line-before"),
        pytest.param(table("积分", "±°").encode(), ["积分", "±°"], "utf-8", id="chinese-in-utf-8"),
        pytest.param(table("±°", "é", "积分").encode(), ["±°", "é", "积分"], "utf-8", id="chinese-in-utf-8-behind"),
        pytest.param(table("José", "Müller").encode(), ["José", "Müller"], "utf-8", id="latin-words"),
        pytest.param(
            table("José,学习", header="code,points,name,note").encode("utf-8"),
            ["José"],
            "utf-8",
            id="chinese-elsewhere",
        ),
        pytest.param(
            table("José").encode() + "2,2,x,会\n".encode("gb18030"), ["Jos茅"], "gb18030", id="a-clear-line-of-others"
        ),
        pytest.param(table("a", "b").encode(), ["a", "b"], "utf-8", id="ascii"),
    ],
)
def test_one_clear_line_decides_for_the_file(
    write: Write, data: bytes, names: list[str], encoding: str, bounds: Bounds
) -> None:
    """A line that is valid in only one encoding, in any column, decides for the whole file."""
    rows, messages = read(write(data), bounds=bounds)
    assert ([row.cells[2] for row in rows if row.cells[2] != "x"], messages) == (names, encoding)


def test_unused_columns_may_be_ambiguous(write: Write) -> None:
    """Ambiguous text in a column that no field uses is accepted."""
    data = table("x,学习", header="code,points,name,note").encode("gb18030")
    rows, encoding = read(write(data))
    assert ([row.cells[:3] for row in rows], encoding) == ([("001", "1", "x")], "utf-8")


@pytest.mark.parametrize("encoding", ["gb18030", "gbk", "utf-8"])
def test_a_named_encoding_is_not_questioned(write: Write, encoding: str) -> None:
    """The encoding that the job names is used."""
    rows, messages = read(write(table("学习").encode("gbk")), CsvFormat(encoding=encoding))
    assert ([row.cells[2] for row in rows], messages) == (["学习".encode("gbk").decode(encoding)], encoding)


@pytest.mark.parametrize(
    ("data", "form", "encoding"),
    [
        pytest.param("\ufeff" + table("积分"), CsvFormat(), "utf-8", id="utf-8-with-mark"),
        pytest.param(table("积分").encode("utf-16"), CsvFormat(), "utf-16", id="utf-16-with-mark"),
        pytest.param(table("积分").encode("utf-16-le"), CsvFormat(encoding="utf-16-le"), "utf-16", id="utf-16-named"),
        pytest.param(table("積分").encode("big5"), CsvFormat(encoding="Big5"), "big5", id="another-one"),
    ],
)
def test_a_source_names_its_encoding(write: Write, data: bytes | str, form: CsvFormat, encoding: str) -> None:
    """The encoding is named without its byte order."""
    rows, messages = read(write(data if isinstance(data, bytes) else data.encode()), form)
    assert (rows[0].cells[2], messages) == ("積分" if encoding == "big5" else "积分", encoding)


def test_the_same_holds_for_json_lines(write: Write) -> None:
    """In JSON lines a clear line decides too, and an ambiguous encoding is refused."""
    doubtful = '{"code":"1","points":1,"name":"学习"}\n'.encode("gb18030")
    with pytest.raises(SourceError, match=r"^orders\.jsonl: the encoding is ambiguous\. Line 2 is more likely gb18030"):
        read(write(b'{"code":"1"}\n' + doubtful, "orders.jsonl"))
    rows, encoding = read(write(doubtful + '{"note":"会员"}\n'.encode("gb18030"), "orders.jsonl"))
    assert (rows[0].cells, encoding) == (("1", "1", "学习", None), "gb18030")
    rows, encoding = read(write('{"code":"1","points":1,"note":"学习"}\n'.encode("gb18030"), "orders.jsonl"))
    assert encoding == "utf-8"
