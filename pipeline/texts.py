"""Columns of text, and the few things that reading and mapping both do with them."""

from collections.abc import Iterable
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute

# The stubs of pyarrow deny much of what its kernels take and give.
pc: Any = pyarrow.compute
"""The kernels of Arrow."""

Column: TypeAlias = Any
"""A `pyarrow.StringArray`: a text, or nothing, for each row."""


def column_of(texts: Iterable[str | None]) -> Column:
    """Return texts as a column."""
    return pa.array(texts, pa.string())


def repeated(text: str | None, count: int) -> Column:
    """Return a column that says the same in every row."""
    return column_of([text]).take(pa.repeat(0, count))


def joined(*parts: Column | str) -> Column:
    """Return texts put together row by row, nothing where one of them is nothing; a str stands for every row."""
    column: Column = pc.binary_join_element_wise(*parts, "")
    return column


def listed(column: Column) -> list[Any]:
    """Return what a column holds as a list; by way of numpy, which is several times as fast as `to_pylist`."""
    values: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
    return values


def cells_of(columns: Iterable[Column]) -> list[tuple[str | None, ...]]:
    """Return columns row by row."""
    return list(zip(*(listed(column) for column in columns), strict=True))
