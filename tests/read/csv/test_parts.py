"""The parts of a CSV file have the rows of the whole file, wherever quotes span line ends."""

import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from pipeline.model import BadRow, CsvFormat, Row
from pipeline.read import CutSizes, Source, cuts_of, find_inputs, open_source
from pipeline.read.files.bounds import Bounds
from pipeline.read.ports import EveryColumn
from tests.read.csv.test_simple_blocks import CELL, END

# Quotes, also stray ones and ones that span lines; blank lines, comments, and bytes of no encoding.
TEXT = st.lists(st.tuples(st.lists(CELL, min_size=1, max_size=3).map("D".join), END).map("".join), max_size=12)
BOUNDS = Bounds(block_bytes=40, line_bytes=150, record_lines=5)
SIZES = CutSizes(csv_bytes=0, part_bytes=1, bounds=BOUNDS)


def rows_of(source: Source) -> Iterator[tuple[Row | BadRow, int | None]]:
    for chunk in source:
        assert chunk.file_lines is not None
        yield from zip(chunk.rows, chunk.file_lines, strict=True)


def numbered(rows: list[tuple[Row | BadRow, int | None]], before: int) -> list[tuple[int, object, int | None]]:
    return [
        (row.number + before, (row.fault, row.cells) if isinstance(row, BadRow) else row.cells, line)
        for row, line in rows
    ]


@settings(deadline=None, max_examples=150)
@given(TEXT, st.sampled_from(["", "#"]), st.sampled_from(["utf-8", "gb18030", "auto"]))
@example(['bD"b\n', 'b"Db\n', "bDb\n"] * 3, "", "utf-8")
@example(["bDQb\n"] * 9, "", "utf-8")
@example([*["bDb\n"] * 12, "b" * 151 + "\n", *["bDb\n"] * 12], "", "utf-8")
def test_the_parts_of_a_file_have_its_rows(lines: list[str], comment: str, encoding: str) -> None:
    """Rows, faults, numbers and line numbers of all parts together are those of the whole file."""
    text = "aDb\n" + "".join(lines)
    written = (
        text.replace("D", ",").replace("Q", '"').encode("gb18030" if encoding == "gb18030" else "utf-8", "replace")
    )
    form = CsvFormat(encoding=encoding, delimiter=",", quote='"', comment=comment)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.csv").write_bytes(written)
        (file,) = find_inputs(["a.csv"], base=Path(folder), date=date(2026, 2, 28))
        with open_source(file, form, bounds=BOUNDS) as source:
            whole = numbered(list(rows_of(source)), 0)
        cuts = list(cuts_of(file, form, EveryColumn(), SIZES))
        found = list[tuple[int, object, int | None]]()
        for cut in cuts:
            with open_source(file, form, bounds=BOUNDS, cut=cut) as source:
                found += numbered(list(rows_of(source)), len(found))

    event(f"{min(len(cuts), 4)} parts")
    assert found == whole
