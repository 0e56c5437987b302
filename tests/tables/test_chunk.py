"""A chunk returns its rows, whole or in parts."""

from pipeline.model import BadRow, Fault, Row
from pipeline.tables.chunk import Chunk

BAD = BadRow(4, Fault("ragged", "1 cell where the header has 2"), ("x", "\ufffd"))
ROWS: list[Row | BadRow] = [Row(3, ("a", None)), BAD, Row(5, (None, "单")), Row(6, ("b", " c "))]
CHUNK = Chunk.of_rows(("one", "other"), ROWS)


def test_a_chunk_holds_rows_and_bad_rows() -> None:
    """A chunk returns its rows in order, with the same numbers."""
    assert (len(CHUNK), CHUNK.rows) == (4, ROWS)
    assert CHUNK.rows_at([3, 0]) == [ROWS[3], ROWS[0]]


def test_a_part_of_a_chunk_keeps_its_numbers() -> None:
    """A chunk can be cut at any place, also at a bad row, and into an empty part."""
    assert CHUNK.slice(1, 2).rows == ROWS[1:3]
    assert CHUNK.slice(2, 0).rows == []


def test_a_chunk_without_some_rows_gets_new_numbers() -> None:
    """The remaining rows, also bad ones, are numbered from a given number."""
    assert CHUNK.without([0, 2], first=8).rows == [BadRow(8, BAD.fault, BAD.cells), Row(9, ("b", " c "))]
    assert [row.number for row in CHUNK.without([], first=8).rows] == [8, 9, 10, 11]
    assert CHUNK.without([], first=3) is CHUNK
    assert CHUNK.slice(2, 2).without([0, 1], first=1).rows == []
