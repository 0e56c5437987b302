"""Properties of every CSV."""

import csv
import gzip
import io
from collections.abc import Callable
from functools import partial

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pipeline.errors import SourceError
from pipeline.model import BadRow, CsvFormat, Row
from pipeline.read.files.bounds import Bounds
from pipeline.tables.text_columns import is_blank

Read = Callable[..., tuple[tuple[str, ...], list[Row | BadRow]]]
FileLines = Callable[..., list[int]]

CELLS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["", '"', '""', "\n", "\r\n", "a\rb", ",", "=1", "一二三", '",', ',"\n']
)
FORMATS = st.builds(
    CsvFormat,
    encoding=st.sampled_from(["utf-8", "gb18030", "utf-16-le"]),
    delimiter=st.sampled_from([",", "\t", ";", "|"]),
    quote=st.sampled_from(['"', "'"]),
)
# Close to CSV, so that more than the first line is read.
ALMOST_CSV = st.lists(
    st.sampled_from(
        [
            *(b"a", b",", b'"', b'""', b"\n", b"\r\n", b"\r", b"\0", b"\xff", b"\xd2\xbb", b"\xe4\xb8\x80", b"1,2\n"),
            *(b"\\", b"\n#", b"||", b"|", b"\\\n"),
        ]
    ),
    max_size=40,
).map(b"".join)
BLOCKS = st.integers(1, 40)
READ_AS = st.sampled_from(
    [
        CsvFormat(),
        CsvFormat(escape="\\"),
        CsvFormat(comment="#", skip_lines=1),
        CsvFormat(delimiter="||"),
        CsvFormat(delimiter="||", escape="\\", quote="", comment="#"),
    ]
)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(1, 4))
    return draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=6))


@settings(deadline=None)
@given(
    table=tables(),
    form=FORMATS,
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
    block_bytes=BLOCKS,
)
@example(
    table=[["a\rb"]],
    form=CsvFormat(encoding="utf-8", delimiter=","),
    quoting=csv.QUOTE_MINIMAL,
    end="\n",
    block_bytes=3,
)
def test_what_csv_writes_is_read_back(
    read: Read, file_lines: FileLines, table: list[list[str]], form: CsvFormat, quoting: int, end: str, block_bytes: int
) -> None:
    """
    Any table that Python's csv writes is read back without its blank rows, numbered from 1, in blocks of any size.

    Each row knows the line where it begins.
    """
    # Before Python 3.13 csv may leave a carriage return at a line's end unquoted, which looks like CRLF.
    assume(end == "\r\n" or quoting == csv.QUOTE_ALL or not any(row[-1].endswith("\r") for row in table))
    columns = tuple(f"c{at}" for at in range(len(table[0]) if table else 2))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=form.delimiter, quotechar=form.quote, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]  # one of the module's own constants
    writer.writerow(columns)
    lines = []
    for row in table:
        if not all(map(is_blank, row)):
            lines.append(1 + text.getvalue().count("\n"))
        writer.writerow(row)
    filled = (cells for cells in table if not all(map(is_blank, cells)))
    rows = [Row(at, tuple(cell or None for cell in cells)) for at, cells in enumerate(filled, 1)]
    data, bounds = text.getvalue().encode(form.encoding), Bounds(block_bytes=block_bytes)
    assert read(data, form, bounds=bounds) == (columns, rows)
    assert file_lines(data, form, bounds=bounds) == lines


def outcome(act: Callable[[], object]) -> object:
    """Return the rows of a file, or the reason of its refusal."""
    try:
        return act()
    except SourceError as error:
        return str(error)


@settings(deadline=None)
@given(data=ALMOST_CSV, form=READ_AS, block_bytes=BLOCKS, chunk_rows=st.integers(1, 5))
def test_the_size_of_blocks_changes_nothing(
    read: Read, file_lines: FileLines, data: bytes, form: CsvFormat, block_bytes: int, chunk_rows: int
) -> None:
    """Any division into blocks and chunks gives the same rows, which begin at the same lines."""
    data = b"a,b\n" + data
    small = Bounds(block_bytes=block_bytes, line_bytes=50, record_lines=3, sample_bytes=20)
    large = Bounds(block_bytes=1 << 16, line_bytes=50, record_lines=3, sample_bytes=20)
    for look in (read, file_lines):
        in_pieces = outcome(partial(look, data, form, bounds=small, chunk_rows=chunk_rows))
        assert in_pieces == outcome(partial(look, data, form, bounds=large))


@settings(deadline=None)
@given(
    data=st.binary(min_size=1, max_size=200) | ALMOST_CSV.filter(bool),
    encoding=st.sampled_from(["auto", "utf-8", "gb18030", "utf-16", "shift_jis"]),
    packed=st.booleans(),
    cut=st.integers(0, 10),
)
def test_any_bytes_are_read_or_refused(read: Read, data: bytes, encoding: str, packed: bool, cut: int) -> None:
    """A file of any bytes is refused, or read with rows numbered without gaps."""
    if packed:
        data = gzip.compress(data)
    try:
        columns, rows = read(data[: len(data) - cut] or b"\n", CsvFormat(encoding=encoding))
    except SourceError:
        return
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    assert all(len(row.cells) == len(columns) for row in rows if isinstance(row, Row))
    assert all(cell.encode() for row in rows for cell in row.cells if cell)
