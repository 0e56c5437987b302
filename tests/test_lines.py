"""Lines of a table, as Arrow holds them."""

import pickle

import numpy as np
import pyarrow as pa

from pipeline.tables.rows import ArrowRows

COLUMNS: dict[str, pa.DataType] = {"key": pa.string(), "points": pa.int64(), "is_new": pa.bool_()}
KIND = pa.schema(COLUMNS)
TABLE = [("a", 1, True), ("b", None, False), (None, 3, True)]


def told(lines: ArrowRows) -> list[tuple[object, ...]]:
    return list(zip(*map(lines.values, KIND.names), strict=True))


def test_values_are_those_that_were_put_in() -> None:
    """Whatever is missing, a line says what it was made of."""
    assert told(ArrowRows.of(KIND, TABLE)) == TABLE
    assert told(ArrowRows.of(KIND, [])) == []
    assert ArrowRows.of(KIND, TABLE).numbers("is_new").tolist() == [True, False, True]


def test_a_change_is_seen_by_whoever_looks() -> None:
    """What is changed in one line is changed in its values, its column, its copies and on its way through a file."""
    lines = ArrowRows.of(KIND, TABLE)
    lines.column("key")

    lines.change(1, key="B", points=2)
    changed = [("a", 1, True), ("B", 2, False), (None, 3, True)]

    assert told(lines) == changed
    assert lines.column("key").to_pylist() == ["a", "B", None]
    assert told(lines.take(np.array([1, 2]))) == changed[1:]
    assert told(pickle.loads(pickle.dumps(lines))) == changed


def test_lines_that_were_taken_out_stand_for_themselves() -> None:
    """A change of lines that were taken out of others, even all of them, leaves those as they were."""
    for places in ([0, 1, 2], [1]):
        lines = ArrowRows.of(KIND, TABLE)

        lines.take(np.array(places)).change(0, key="z")

        assert told(lines) == TABLE


def test_lines_of_a_slice_are_written_without_the_rest() -> None:
    """Of a table that is held for a part of it alone, only that part goes into a file."""
    whole = ArrowRows.of(KIND, TABLE * 10_000).batch

    data = pickle.dumps(ArrowRows(whole.slice(5, 2)))

    assert len(data) < 2_000
    assert told(pickle.loads(data)) == [(None, 3, True), ("a", 1, True)]


def test_lines_say_nothing_of_what_they_hold() -> None:
    """The text of an object that ends up in a message names the columns, and no value."""
    assert repr(ArrowRows.of(KIND, TABLE)) == "ArrowRows(3 of key, points, is_new)"
