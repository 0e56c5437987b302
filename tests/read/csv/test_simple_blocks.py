"""Reading by blocks gives the same result as reading record by record."""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from pipeline.model import BadRow, CsvFormat, Row
from pipeline.read.csv.records import BrokenRecord, RecordReader
from pipeline.read.csv.simple_blocks import Block, SimpleBlocks
from pipeline.read.files.bounds import Bounds
from pipeline.read.text.lines import in_pieces
from pipeline.tables.text_columns import cells_of

BOUNDS = Bounds(cell_chars=200, record_cells=6)
FORMS = st.builds(
    CsvFormat,
    delimiter=st.sampled_from([",", "\t", ";", "|", " ", "a", "-", "^", "]", "单"]),
    quote=st.sampled_from(['"', "'", "", "`", "\\"]),
)
# D and Q stand for delimiter and quote. The texts are close to CSV, so that not all blocks are refused.
CELL = st.sampled_from(
    [
        *("", "b", "单", " b", "b ", "NULL", "QbQ", "QbDbQ", "QbQQbQ", "QQ", "QNULLQ", "007", "\ufeffb", "😀"),
        *("Q", "bQb", "QbQb", "Qb\nbQ", "QQQ", "\r", "b\rb", "\0", "\udcff", "\x0b", "#", "\\", "nan", "x" * 201),
    ]
)  # fmt: skip
LINE = st.lists(CELL, min_size=1, max_size=3).map("D".join)
END = st.sampled_from(["\n", "\n", "\n", "\r\n", "\n\n"])
TEXT = st.lists(st.tuples(LINE, END).map("".join), max_size=6).map("".join)
TAMER = st.lists(st.sampled_from(["bDb\n", "单DQbQ\r\n", "D\n", "bDbDb\n", "b\n", "\n", "QbDQDb"]), max_size=8).map(
    "".join
)


def by_blocks(block: Block) -> list[Any]:
    cells = cells_of(block.texts)
    return [block.ragged.get(place, of_row) for place, of_row in enumerate(cells)]


def by_records(text: str, form: CsvFormat, ragged: dict[int, str]) -> list[Any]:
    """Read a text record by record; take a ragged record from `ragged`."""
    reader = RecordReader(form, BOUNDS)
    found: list[Any] = []
    for record in (*reader.read(text).several, *reader.rest().several):
        again = RecordReader(form, BOUNDS).read(ragged.get(len(found), "")).several
        if isinstance(record, BrokenRecord) or (record and len(record) != 2):
            found.append(ragged[len(found)] if list(again) == [record] else record)
        elif record:
            found.append(tuple(cell or None for cell in record))
    return found


@settings(max_examples=500, deadline=None)
@given(text=TEXT | TAMER, form=FORMS)
def test_a_block_is_read_as_its_records_are(text: str, form: CsvFormat) -> None:
    """Any text that is read by columns gives the same cells as record by record."""
    if form.quote == form.delimiter:
        return
    text = text.replace("D", form.delimiter).replace("Q", form.quote)

    block = SimpleBlocks(form, 2, BOUNDS).block(text)

    event(f"taken apart: {block is not None}")
    if block is not None:
        assert by_blocks(block) == by_records(text, form, dict(block.ragged))


@pytest.mark.parametrize(
    ("text", "rows", "ragged"),
    [
        pytest.param("1,2\n3,4\n", [("1", "2"), ("3", "4")], {}, id="plain"),
        pytest.param("1,\r\n\r\n,4", [("1", None), (None, "4")], {}, id="crlf-and-blank-line"),
        pytest.param('"1","a ""b"""\n', [("1", 'a "b"')], {}, id="quoted"),
        pytest.param("1,2\n3\n\n4,5,6\n", [("1", "2"), (None, None), (None, None)], {1: "3", 2: "4,5,6"}, id="ragged"),
        pytest.param("单,é😀\n", [("单", "é😀")], {}, id="not-ascii"),
        pytest.param("\n\n", [], {}, id="blank"),
    ],
)  # fmt: skip
def test_a_simple_block_is_read_by_columns(
    text: str, rows: list[tuple[str | None, ...]], ragged: dict[int, str]
) -> None:
    """Lines with or without quotes, blank ones and ragged ones are read by columns."""
    block = SimpleBlocks(CsvFormat(delimiter=","), 2, BOUNDS).block(text)

    assert block is not None
    assert (cells_of(block.texts), dict(block.ragged)) == (rows, ragged)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('1,"a\nb"\n', id="line-end-within-quotes"),
        pytest.param('1,a"b\n', id="stray-quote"),
        pytest.param('1,a"b"\n', id="quotes-behind-a-letter"),
        pytest.param('1,"a"b\n', id="letter-behind-quotes"),
        pytest.param('"a,1\n"b",2\n3,c"\n', id="quotes-that-only-pair-over-lines"),
        pytest.param("1,a\rb\n", id="lone-carriage-return"),
        pytest.param("1,\0\n", id="nul"),
        pytest.param("1,\udcff\n", id="not-decodable"),
        pytest.param("\ufeff1,2\n", id="mark"),
        pytest.param("1," + "x" * 200 + "\n", id="too-long"),
    ],
)
def test_an_ambiguous_block_is_not_read_by_columns(text: str) -> None:
    """A block that two readers may read differently is read record by record."""
    assert SimpleBlocks(CsvFormat(delimiter=","), 2, BOUNDS).block(text) is None


@pytest.mark.parametrize(
    ("text", "size", "pieces"),
    [
        pytest.param("a\nbb\nc", 3, ["a\nbb\n", "c"], id="at-the-next-line-feed"),
        pytest.param("a\n\nb\n", 2, ["a\n", "\nb\n"], id="exactly"),
        pytest.param("aaaa\nb", 2, ["aaaa\n", "b"], id="long-line"),
        pytest.param("aaaa", 2, ["aaaa"], id="no-line-feed"),
        pytest.param("", 2, [], id="nothing"),
    ],
)
def test_a_text_is_cut_after_line_feeds(text: str, size: int, pieces: list[str]) -> None:
    """Pieces hold whole lines, and together the whole text."""
    assert in_pieces(text, size) == pieces


def test_a_block_with_odd_lines_is_read_piece_by_piece(read: Callable[..., tuple[Any, list[Row | BadRow]]]) -> None:
    """Broken records, and records over several lines, give the same rows in large and small blocks."""
    odd = {5000: 'x,"a\nb"\n', 9000: 'x,a"b\n', 12000: "x\n", 15000: 'x,"a\n'}
    data = "a,b\n" + "".join(odd.get(n, f"{n},plain\n") for n in range(20_000))

    large, small = (read(data.encode(), bounds=Bounds(block_bytes=size)) for size in (1 << 20, 1 << 10))

    assert large == small
    assert large[1][5000] == Row(5001, ("x", "a\nb"))


def test_signals_come_to_the_program_while_a_block_is_read() -> None:
    """None becomes an error of the block."""
    blocks, text = SimpleBlocks(CsvFormat(delimiter=","), 2, Bounds()), "b,单\n" * 100_000
    handled, has_read = list[int](), threading.Event()

    def interrupt_often() -> None:
        while not has_read.wait(0.001):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, lambda number, _frame: handled.append(number))
    interrupting = threading.Thread(target=interrupt_often)
    interrupting.start()
    try:
        read = [len(block) for block in map(blocks.block, [text] * 20) if block]
    finally:
        has_read.set()
        interrupting.join()
        signal.signal(signal.SIGINT, before)

    assert read == [100_000] * 20
    assert handled
