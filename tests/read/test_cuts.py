"""Which files are cut, and that the parts of a Parquet file have its rows."""

import gzip
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import SourceError
from pipeline.model import CsvFormat
from pipeline.read import Cut, CutSizes, SourceFile, cuts_of, find_inputs, open_source
from pipeline.read.ports import EveryColumn

SMALL = CutSizes(rows=3, csv_bytes=10, part_bytes=5)


def found(folder: Path, name: str) -> SourceFile:
    (file,) = find_inputs([name], base=folder, date=date(2026, 2, 28))
    return file


def cuts(file: SourceFile) -> list[Cut]:
    return list(cuts_of(file, CsvFormat(), EveryColumn(), SMALL))


def test_the_parts_of_a_parquet_file_are_row_groups(tmp_path: Path) -> None:
    """Neighbouring row groups of enough rows are a part; the rows of all parts are those of the file."""
    table = pa.table({"a": [str(n) for n in range(11)], "b": list(range(11))})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    file = found(tmp_path, "a.parquet")
    rows = list[tuple[int, tuple[str | None, ...]]]()
    hashes = set[str]()
    for cut in map(Cut.from_json, [each.as_json() for each in cuts(file)]):
        with open_source(file, CsvFormat(), cut=cut) as source:
            rows += [(row.number, row.cells) for chunk in source for row in chunk.rows]
            hashes.add(source.sha256)

    assert [cut.groups for cut in cuts(file)] == [range(2), range(2, 4), range(4, 6)]
    assert [number for number, _ in rows] == [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3]
    assert [cells for _, cells in rows] == [(str(n), str(n)) for n in range(11)]
    assert hashes == {""}


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl", "utf-16.csv", "short.csv"])
def test_other_files_are_one_part(tmp_path: Path, name: str) -> None:
    """A compressed file, JSON lines, a CSV of an encoding with quotes in characters, and a small one stay whole."""
    text = "a,b\n" + "1,2\n" * 9
    written = {
        "a.csv.gz": gzip.compress(text.encode()), "a.jsonl": b'{"a": "1"}\n' * 9,
        "utf-16.csv": text.encode("utf-16"), "short.csv": b"a,b\n1,2\n",
    }  # fmt: skip
    (tmp_path / name).write_bytes(written[name])

    assert cuts(found(tmp_path, name)) == [Cut()]


def test_a_damaged_parquet_file_is_not_cut(tmp_path: Path) -> None:
    """It is named as any other damaged input."""
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + bytes(50) + b"PAR1")
    with pytest.raises(SourceError, match=r"a\.parquet"):
        cuts(found(tmp_path, "a.parquet"))
