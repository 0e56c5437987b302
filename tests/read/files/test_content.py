"""Files whose content differs from their name."""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import SourceError
from pipeline.model import CsvFormat, Row
from pipeline.read import SourceFile, open_source
from tests.read.workbooks import archive, number, text, xlsx

Write = Callable[..., SourceFile]

CSV = b"code,points\n1,2\n"
UNPACK = "unpack it, or compress it with gzip, zstd or bzip2"
AGAIN = "export it again, as CSV, Parquet or JSON lines"
SAVE = "open it in a spreadsheet and save it as .xlsx, or as CSV"


def parquet() -> bytes:
    file = BytesIO()
    pq.write_table(pa.table({"code": ["1"]}), file)
    return file.getvalue()


def tar() -> bytes:
    file = BytesIO()
    with tarfile.open(fileobj=file, mode="w") as packed:
        member = tarfile.TarInfo("points.csv")
        member.size = len(CSV)
        packed.addfile(member, BytesIO(CSV))
    return file.getvalue()


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


WORKBOOK = xlsx({"S": [[text("code")], [number("1")]]})
HTML = b"\r\n<!DOCTYPE html>\n<html><body>504 Gateway Time-out</body></html>"
XML = b'<?xml version="1.0"?><Workbook/>'
JSON = b'{"code":"1"}\n{"code":"2"}\n'


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        pytest.param("p.csv", HTML, f"is HTML, despite its name; {AGAIN}", id="html"),
        pytest.param("p.csv.gz", gzip.compress(HTML), f"is HTML, despite its name; {AGAIN}", id="packed-html"),
        pytest.param("p.csv", HTML.decode().encode("utf-16"), f"is HTML, despite its name; {AGAIN}", id="utf-16-html"),
        pytest.param("p.xls", b"<table><tr><td>code", f"is HTML, despite its name; {SAVE}", id="html-called-xls"),
        pytest.param("p.jsonl", b"\xef\xbb\xbf<html>", f"is HTML, despite its name; {AGAIN}", id="html-called-jsonl"),
        pytest.param("p.parquet", HTML, f"is HTML, despite its name; {AGAIN}", id="html-called-parquet"),
        pytest.param("p.csv", XML, f"is XML, despite its name; {AGAIN}", id="xml"),
        pytest.param("p.xls", XML, f"is XML, despite its name; {SAVE}", id="xml-called-xls"),
        pytest.param("p.csv", lzma.compress(CSV), f"is an xz archive; {UNPACK}", id="xz"),
        pytest.param("p.csv.xz", lzma.compress(CSV), f"is an xz archive; {UNPACK}", id="xz-by-name"),
        pytest.param("p.csv.7z", b"7z\xbc\xaf\x27\x1c\0\4", f"is a 7z archive; {UNPACK}", id="7z"),
        pytest.param("p.rar", b"Rar!\x1a\x07\x01\x00", f"is a RAR archive; {UNPACK}", id="rar"),
        pytest.param("p.csv", b"\x04\x22\x4d\x18" + CSV, f"is compressed with lz4; {UNPACK}", id="lz4"),
        pytest.param("p.csv", b"\xff\x06\0\0sNaPpY" + CSV, f"is compressed with snappy; {UNPACK}", id="snappy"),
        pytest.param("p.csv", b"%PDF-1.7\n", f"is a PDF document; {AGAIN}", id="pdf"),
        pytest.param("p.orc", b"ORC\x08\x03\x10", f"is an ORC file; {AGAIN}", id="orc"),
        pytest.param("p.avro", b"Obj\x01\x04\x14", f"is an Avro file; {AGAIN}", id="avro"),
        pytest.param("p.csv", b"SQLite format 3\0\x10", f"is an SQLite database; {AGAIN}", id="sqlite"),
        pytest.param("p.csv", archive({"p.csv": "a\n"}), f"is a ZIP archive; {UNPACK}", id="zip"),
        pytest.param("p.xlsx", archive({"p.csv": "a\n"}), f"is a ZIP archive; {UNPACK}", id="zip-called-xlsx"),
        pytest.param("p.xlsb", archive({"xl/workbook.bin": ""}), f"is a workbook of the kind .xlsb; {SAVE}", id="xlsb"),
        pytest.param(
            "p.tar.gz", gzip.compress(tar()), "holds a tar archive where text is expected; unpack it first", id="tar-gz"
        ),
        pytest.param(
            "p.csv", gzip.compress(CSV), "is compressed with gzip; rename it so that it ends in .gz", id="gzip"
        ),
        pytest.param(
            "p.csv.gz", zstd(CSV), "is compressed with zstd; rename it so that it ends in .zst", id="zstd-called-gz"
        ),
        pytest.param("p.tsv", bz2.compress(CSV), "is compressed with bz2; rename it so that it ends in .bz2", id="bz2"),
        pytest.param("p.csv", parquet(), "is Parquet, not CSV; rename it so that it ends in .parquet", id="parquet"),
        pytest.param(
            "p.txt", parquet(), "is Parquet, not CSV; rename it so that it ends in .parquet", id="parquet-txt"
        ),
        pytest.param(
            "p.csv", WORKBOOK, "is a workbook, not CSV; rename it so that it ends in .xlsx", id="workbook-called-csv"
        ),
        pytest.param(
            "p.csv",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "is a workbook, not CSV; rename it so that it ends in .xlsx",
            id="xls-called-csv",
        ),
        pytest.param(
            "p.parquet",
            CSV,
            "is damaged or misnamed: it does not begin as Parquet does; fetch it again",
            id="csv-called-parquet",
        ),
        pytest.param(
            "p.xls",
            CSV,
            "is text and not a workbook; rename it so that it ends in .csv, or save it as .xlsx",
            id="csv-called-xls",
        ),
        pytest.param("p.csv", JSON, "holds JSON; JSON lines are read from a file that ends in .jsonl", id="json-lines"),
        pytest.param(
            "p.csv", b'[\n {"code": 1}]', "holds JSON; JSON lines are read from a file that ends in .jsonl", id="json"
        ),
        pytest.param(
            "p.jsonl",
            b'[{"code": 1}]',
            "is one JSON document; write each record as an object on a line of its own",
            id="json-list",
        ),
        pytest.param(
            "p.json",
            b'{\n  "code": 1\n}',
            "is one JSON document; write each record as an object on a line of its own",
            id="json-over-lines",
        ),
        pytest.param(
            "p.ndjson",
            CSV,
            "does not hold JSON lines: its first line is no JSON object; export it again",
            id="csv-called-ndjson",
        ),
        *(
            pytest.param(
                "p.csv",
                CSV.decode().encode(encoding),
                f"seems to be {encoding[:6].upper()} without a byte order mark; "
                f'write csv.encoding = "{encoding}" for the job',
                id=encoding,
            )
            for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
        ),
        pytest.param(
            "p.csv",
            "订单号,积分,会员卡号\n1,2,000123\n".encode("utf-16-le"),
            'seems to be UTF-16 without a byte order mark; write csv.encoding = "utf-16-le" for the job',
            id="chinese-utf-16",
        ),
        *(
            pytest.param(
                "p.csv",
                data.encode(encoding),
                "ends its lines with a carriage return (CR) alone, as old Macs do; save it with line feeds",
                id=name,
            )
            for name, data, encoding in (
                ("cr", "code,points\r1,2\r", "utf-8"),
                ("cr-quoted", '"code","points"\r"1","2\n3"\r', "utf-8"),
                ("cr-gb18030", "编号,积分\r1,2\r", "gb18030"),
                ("cr-utf-16", "code,points\r1,2\r", "utf-16"),
            )
        ),
    ],
)
def test_a_file_with_other_content_is_refused(write: Write, name: str, data: bytes, message: str) -> None:
    """The message names the file, its real content and what to do; no row is read."""
    with pytest.raises(SourceError) as refused:
        open_source(write(data, name), CsvFormat())
    assert str(refused.value) == f"{name} {message}"


@pytest.mark.parametrize(
    ("name", "data", "form"),
    [
        pytest.param("p.csv", CSV.decode().encode("utf-16-le"), CsvFormat(encoding="utf-16-le"), id="utf-16-named"),
        pytest.param("p.csv", CSV.replace(b"\n", b"\r\n"), CsvFormat(), id="crlf"),
        pytest.param("p.csv", b'"code","poi\rnts"\n1,2\n', CsvFormat(), id="carriage-return-in-a-name"),
        pytest.param("p.txt", CSV, CsvFormat(), id="txt"),
        pytest.param("p", gzip.compress(CSV), CsvFormat(), id="packed-without-an-ending"),
        pytest.param("P.CSV.GZ", gzip.compress(CSV), CsvFormat(), id="capitals"),
        pytest.param("p.2026", CSV, CsvFormat(), id="another-ending"),
    ],
)
def test_a_name_without_a_contradiction_is_accepted(write: Write, name: str, data: bytes, form: CsvFormat) -> None:
    """A file is read if its name suggests its content, or nothing."""
    with open_source(write(data, name), form) as source:
        assert [row for chunk in source for row in chunk.rows] == [Row(1, ("1", "2"))]


def test_a_few_nuls_are_not_taken_for_utf_16(write: Write) -> None:
    """A few NUL characters affect only their rows."""
    with open_source(write(b"a,b\n1,2\n" * 50 + b"\0,\0\n" * 20), CsvFormat()) as source:
        assert sum(map(len, source)) == 119
