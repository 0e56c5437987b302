"""Columns of text, with the operations that reading and mapping share."""

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

# Any, because pyarrow's stubs lack many types of its kernels.
pc: Any = pyarrow.compute
"""Arrow's compute kernels."""

Column: TypeAlias = Any
"""A `pyarrow.StringArray`: a text or null for each row."""

WHITE_SPACE = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""The characters that `str.strip` removes."""
# Byte order mark, zero-width characters, direction marks.
_MARKS = "\ufeff\u180e\u200b\u200c\u200d\u2060\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_INVISIBLE = WHITE_SPACE + _MARKS


def trimmed(text: str) -> str:
    """Return a text without the white space and the invisible marks around it."""
    return text.strip(_INVISIBLE)


def is_blank(text: str | None) -> bool:
    """Return whether a text is missing or has only white space and invisible marks."""
    return text is None or not trimmed(text)


def column_of(texts: Iterable[str | None]) -> Column:
    """Return texts as a column."""
    return pa.array(texts, pa.string())


def repeated(text: str | None, count: int) -> Column:
    """Return a column with the same text in every row."""
    return column_of([text]).take(pa.repeat(0, count))


def joined(*parts: Column | str) -> Column:
    """Return texts concatenated row by row; null if one of them is null. A str is used for every row."""
    column: Column = pc.binary_join_element_wise(*parts, "")
    return column


def listed(column: Column) -> list[Any]:
    """Return a column as a list, through numpy, which is several times as fast as `to_pylist`."""
    values: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
    return values


def cells_of(columns: Iterable[Column]) -> list[tuple[str | None, ...]]:
    """Return columns as rows."""
    return list(zip(*(listed(column) for column in columns), strict=True))


def letters_of(column: Column) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Return the offsets of a column's texts in bytes, with the end of the last one, and all bytes."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32, len(column) + 1, offset=4 * column.offset)
    return ends, np.frombuffer(data or b"", np.uint8)


def joined_bytes(column: Column) -> memoryview:
    """Return the bytes of a column's texts, one after another, without a copy. A missing text has none."""
    ends, letters = letters_of(column)
    return letters[ends[0] : ends[-1]].data


def first_letters(column: Column) -> npt.NDArray[np.uint8]:
    """Return the first byte of each text; 0 for a missing or empty text."""
    ends, letters = letters_of(column)
    is_filled = ends[:-1] < ends[1:]
    if column.null_count:
        is_filled &= column.is_valid().to_numpy(zero_copy_only=False)
    found = np.zeros(len(column), np.uint8)
    found[is_filled] = letters[ends[:-1][is_filled]]
    return found
