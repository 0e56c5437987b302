"""Rows of an Arrow table that can be changed."""

import pickle

import numpy as np
import pyarrow as pa

from pipeline.tables.rows import ArrowRows

COLUMNS: dict[str, pa.DataType] = {"key": pa.string(), "points": pa.int64(), "is_new": pa.bool_()}
KIND = pa.schema(COLUMNS)
TABLE = [("a", 1, True), ("b", None, False), (None, 3, True)]


def as_tuples(rows: ArrowRows) -> list[tuple[object, ...]]:
    return list(zip(*map(rows.values, KIND.names), strict=True))


def test_values_are_returned_unchanged() -> None:
    """Rows return their values, missing ones included."""
    assert as_tuples(ArrowRows.of(KIND, TABLE)) == TABLE
    assert as_tuples(ArrowRows.of(KIND, [])) == []
    assert ArrowRows.of(KIND, TABLE).numbers("is_new").tolist() == [True, False, True]


def test_a_change_is_seen_everywhere() -> None:
    """A change of one row appears in values, columns, copies and pickles."""
    rows = ArrowRows.of(KIND, TABLE)
    rows.column("key")

    rows.change(1, key="B", points=2)
    changed = [("a", 1, True), ("B", 2, False), (None, 3, True)]

    assert as_tuples(rows) == changed
    assert rows.column("key").to_pylist() == ["a", "B", None]
    assert as_tuples(rows.take(np.array([1, 2]))) == changed[1:]
    assert as_tuples(pickle.loads(pickle.dumps(rows))) == changed


def test_taken_rows_are_copies() -> None:
    """A change of taken rows, even of all of them, leaves the original unchanged."""
    for places in ([0, 1, 2], [1]):
        rows = ArrowRows.of(KIND, TABLE)

        rows.take(np.array(places)).change(0, key="z")

        assert as_tuples(rows) == TABLE


def test_a_slice_is_pickled_without_the_rest() -> None:
    """A pickle of a slice has the rows of the slice only."""
    whole = ArrowRows.of(KIND, TABLE * 10_000).batch

    data = pickle.dumps(ArrowRows(whole.slice(5, 2)))

    assert len(data) < 2_000
    assert as_tuples(pickle.loads(data)) == [(None, 3, True), ("a", 1, True)]


def test_the_repr_has_no_values() -> None:
    """The repr names the columns only."""
    assert repr(ArrowRows.of(KIND, TABLE)) == "ArrowRows(3 of key, points, is_new)"
