"""JSON lines as rows of text."""

import gzip
from collections.abc import Callable

import pytest

from pipeline.errors import SourceError
from pipeline.model import BadRow, CsvFormat, Fault, Row
from pipeline.read import SourceFile, open_source, sha256_of
from pipeline.read.files.bounds import Bounds
from tests.read.job_columns import JobColumns

Read = Callable[..., tuple[tuple[str, ...], list[Row | BadRow]]]
Write = Callable[..., SourceFile]


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        pytest.param('"007"', "007", id="text"),
        pytest.param('" x "', " x ", id="text-with-blanks"),
        pytest.param('"单\\u53f7 \\ud83d\\ude00\\n"', "单号 😀\n", id="escapes"),
        pytest.param('""', None, id="empty-text"),
        pytest.param("null", None, id="null"),
        pytest.param("123", "123", id="number"),
        pytest.param("123.0", "123.0", id="number-with-a-zero"),
        pytest.param("12.50", "12.50", id="amount"),
        pytest.param("1e5", "1e5", id="number-with-exponent"),
        pytest.param("20235400000000000001", "20235400000000000001", id="twenty-digits"),
        pytest.param("0.10000000000000000001", "0.10000000000000000001", id="twenty-places"),
        pytest.param("-0", "-0", id="minus-zero"),
        pytest.param("NaN", "NaN", id="nan"),
        pytest.param("true", "true", id="true"),
        pytest.param("false", "false", id="false"),
        pytest.param('[ {"amount": 1.50} , "x,}" ]', '[ {"amount": 1.50} , "x,}" ]', id="list"),
        pytest.param('{"a": {"b": 1e5}}', '{"a": {"b": 1e5}}', id="object"),
        pytest.param("{}", "{}", id="empty-object"),
    ],
)
def test_a_value_becomes_the_text_that_the_file_has(read: Read, value: str, messages: str | None) -> None:
    """Numbers, lists and objects stay as written, so no digit passes through a float; strings are decoded."""
    data = f'{{"a" : "1", "x" :{value} , "z":[]}}\n'.encode()
    assert read(data, name="o.jsonl") == (("a", "x", "z"), [Row(1, ("1", messages, "[]"))])


@pytest.mark.parametrize("name", ["o.jsonl", "o.ndjson", "o.json", "o.jsonl.gz", "dt=1/o.NDJSON"])
@pytest.mark.parametrize("block_bytes", [1, 10, 1 << 16])
def test_the_columns_are_the_names_of_all_objects(write: Write, name: str, block_bytes: int) -> None:
    """A name that first appears late is a column too; an object without a value is no row."""
    data = b'\xef\xbb\xbf{"a":1}\n\n{"b":2,"a":3}\r\n  \n{"c":null}'
    stored = gzip.compress(data) if name.endswith(".gz") else data
    file = write(stored, name)
    with open_source(file, CsvFormat(), chunk_rows=2, bounds=Bounds(block_bytes=block_bytes)) as source:
        rows = [row for chunk in source for row in chunk.rows]
    more = ("1",) if "dt=1" in name else ()
    assert source.columns == ("a", "b", "c", *(("dt",) if more else ()))
    assert rows == [
        Row(1, ("1", None, None, *more)),
        Row(2, ("3", "2", None, *more)),
    ]
    assert (source.sha256, source.encoding) == (sha256_of(file), "utf-8")


def no_object(reason: str) -> Fault:
    """Return the fault of a line that is no usable object."""
    return Fault("not_decodable", f"the line is no JSON object: {reason}", rule="is no JSON object")


@pytest.mark.parametrize(
    ("line", "row"),
    [
        pytest.param(
            b"{",
            BadRow(
                2,
                Fault(
                    "not_decodable",
                    "the line is no JSON object: Expecting property name enclosed in "
                    "double quotes: line 1 column 2 (char 1)",
                    rule="is no JSON object",
                ),
            ),
            id="cut-short",
        ),
        pytest.param(b"[1]", BadRow(2, no_object("it is another JSON value")), id="list"),
        pytest.param(
            b'{"a":1,"a":2}',
            BadRow(2, no_object("it has the name a twice")),
            id="twice",
        ),
        pytest.param(
            b'{"a":' + b"[" * 100_000 + b"}",
            BadRow(2, no_object("it is nested too deep")),
            id="deep",
        ),
        pytest.param(
            b'{"a":"\xff","b":2}',
            BadRow(2, Fault("not_decodable", "bytes that are not valid in the file's encoding"), ("\ufffd", "2")),
            id="bytes",
        ),
        pytest.param(
            b'{"a":"x\\u0000","b":2}',
            BadRow(2, Fault("nul_character", "a NUL character, which no field allows"), ("x\ufffd", "2")),
            id="nul",
        ),
        pytest.param(
            b'{"a":"\\ud800","b":2}',
            BadRow(2, Fault("not_decodable", "half a character (a lone surrogate)"), ("?", "2")),
            id="half-a-character",
        ),
        pytest.param(
            b'{"a":"' + b"x" * 40 + b'"}',
            BadRow(2, Fault("field_too_long", "a value is longer than 30 characters"), ("x" * 40, None)),
            id="long-value",
        ),
        pytest.param(
            b'{"b":"' + b"x" * 200_000 + b'"}',
            BadRow(2, Fault("line_too_long", "the line is longer than 150000 bytes")),
            id="long-line",
        ),
    ],
)
def test_a_bad_line_affects_only_itself(read: Read, line: bytes, row: BadRow) -> None:
    """A bad line is one bad row with its readable cells; the other lines are read."""
    bounds = Bounds(line_bytes=150_000, cell_chars=30)
    _, rows = read(b'{"a":1,"b":"ok"}\n' + line + b'\n{"a":3}\n', name="o.jsonl", bounds=bounds)
    assert rows == [Row(1, ("1", "ok")), row, Row(3, ("3", None))]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"\n\n", "holds no JSON object with a name in it; export it again", id="blank"),
        pytest.param(b"{}\n{}\n", "holds no JSON object with a name in it; export it again", id="no-names"),
        pytest.param(
            "".join(f'{{"n{at}":1}}\n' for at in range(17_000)).encode(),
            "has more than 16,384 names in its objects; write data as values, not as names",
            id="too-many-names",
        ),
    ],
)
def test_a_file_without_usable_names_is_refused(write: Write, data: bytes, message: str) -> None:
    """A file without names, or with a new name for every row, is refused."""
    with pytest.raises(SourceError) as refused:
        open_source(write(data, "o.jsonl"), CsvFormat())
    assert str(refused.value) == f"o.jsonl {message}"


def test_a_repeated_name_matters_only_if_the_job_uses_it(write: Write) -> None:
    """A row that repeats a name is bad if the job uses that name; else it is read."""
    data = b'{"x":1,"code":"7","x":2,"points":"5"}\n{"code":"7","points":"5","points":"6"}\n'
    with open_source(write(data, "o.jsonl"), CsvFormat(), uses=JobColumns()) as source:
        rows = [row for chunk in source for row in chunk.rows]

    assert source.columns == ("x", "code", "points")
    assert rows == [Row(1, ("2", "7", "5")), BadRow(2, no_object("it has the name points twice"))]
