"""Digests as numbers, and partitions of tables that are too large to be sorted at once."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.ledger.staging.duplicates.partitions import Partitions, digests, hashes, numbers, numbers_of
from pipeline.tables.mapped_chunk import DIGEST


@settings(deadline=None)
@given(st.lists(st.binary(min_size=16, max_size=16)))
@example([bytes(16), b"\x00" * 15 + b"\x01", b"\x01" + bytes(15), b"\xff" * 16])
def test_digests_become_numbers_and_digests_again(reported: list[bytes]) -> None:
    """A digest survives the conversion, also with zeros at the end, and digests sort as their numbers do."""
    table = numbers_of(reported)

    assert digests(table) == reported
    assert (table == numbers(pa.array(reported, DIGEST))).all()
    assert sorted(reported) == digests(table[np.lexsort((table[:, 1], table[:, 0]))])


def test_hashes_are_the_same_in_each_process() -> None:
    """The hash of a text is known, whatever comes before it in the column; half of it is its first column."""
    texts = pa.array(["cut off", "D20261128000001", "", "退款-1"])[1:]

    found = hashes(texts)

    assert found.tolist() == [
        [3034259648524062789, 10853736113271367086],
        [1954394693521683553, 9633891363914812787],
        [6874303525308426675, 3198384244229104088],
    ]
    assert (hashes(texts, halves=1) == found[:, :1]).all()
    assert hashes(texts[:0]).shape == (0, 2)


@settings(deadline=None)
@given(st.lists(st.text()))
@example(["a", "a\x00", "", "\x00"])
def test_hashes_differ_where_texts_differ(texts: list[str]) -> None:
    """Different texts have different hashes, in each half."""
    for half in hashes(pa.array(texts, pa.string())).T:
        assert len(np.unique(half)) == len(set(texts))


LINE = np.dtype([("hash", "u8", 2), ("n", "i8")])


@pytest.mark.parametrize(
    ("rows", "tables"),
    [
        pytest.param(0, 0, id="nothing"),
        pytest.param(1_000, 1, id="few"),
        pytest.param(120_000, 3, id="in-memory"),
        pytest.param(1_200_000, 26, id="put-aside"),
    ],
)
def test_equal_entries_share_a_partition_in_order(tmp_path: Path, rows: int, tables: int) -> None:
    """Each entry comes once, equal ones in one table and in order, however many; they can be read again."""
    chance = np.random.default_rng(1)
    lines = np.empty(rows, LINE)
    # Each hash comes twice.
    lines["hash"] = chance.integers(0, 2**64, (rows // 2, 2), np.uint64)[chance.permutation(np.arange(rows) // 2)]
    lines["n"] = np.arange(rows)
    open_files = set(Path("/proc/self/fd").iterdir())
    with closing(Partitions(LINE, "hash", tmp_path)) as parted:
        for start in range(0, rows, 8192):
            parted.add(lines[start : start + 8192])
        found = [np.concatenate(list(part)) for part in parted]
        again = [np.concatenate(list(part)) for part in parted]

    assert set(Path("/proc/self/fd").iterdir()) == open_files
    assert len(found) == tables
    assert [table.tobytes() for table in again] == [table.tobytes() for table in found]
    assert (np.sort(np.concatenate([lines[:0], *found]), order="n") == lines).all()
    for table in found:
        assert (np.unique(table["hash"], axis=0, return_counts=True)[1] == 2).all()
        by_hash = table[np.argsort(table["hash"][:, 0], kind="stable")]
        assert (by_hash["n"][::2] < by_hash["n"][1::2]).all()
