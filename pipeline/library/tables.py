"""Input tables: a DataFrame or Arrow data as an Arrow table, whose values keep what the frame says of them."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from pipeline.language import t
from pipeline.redact import shown_heading
from pipeline.tables.text_columns import Column

# pandas takes a good part of a second to import, and only frames need it.
if TYPE_CHECKING:
    import pandas as pd

_NESTED = (dict, list, tuple, set, np.ndarray)


@runtime_checkable
class ArrowData(Protocol):
    """Data with Arrow's stream interface: tables of pyarrow, polars, DuckDB and others."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the data as a capsule of Arrow's C interface."""
        ...


def table_of(data: object) -> pa.Table:
    """
    Return a DataFrame or Arrow data as a table.

    Named levels of a frame's index are its first columns. Raises TypeError for other data, and ValueError for columns
    without one clear meaning: several levels of names, objects of several types or nested ones.
    """
    import pandas as pd  # noqa: PLC0415 - see the top

    if isinstance(data, pd.DataFrame):
        table = _table_of_frame(data)
    elif isinstance(data, ArrowData):
        table = _table_of_arrow(data)
    else:
        expected = "str, Path, list[str | Path], pandas.DataFrame or pyarrow.Table"
        kind = type(data).__name__
        raise TypeError(t("{argument} must be {expected}, not {kind}", argument="inputs", expected=expected, kind=kind))
    if not table.num_columns:
        raise ValueError(t("inputs has no columns"))
    return table


def _table_of_arrow(data: ArrowData) -> pa.Table:
    try:
        return pa.table(data)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise ValueError(t("inputs can't be read as an Arrow table: {reason}", reason=error)) from error


def _table_of_frame(frame: "pd.DataFrame") -> pa.Table:
    if frame.columns.nlevels > 1:
        raise ValueError(
            t(
                "inputs has {levels} levels of column names; give each column one name, such as '_'.join(names)",
                levels=frame.columns.nlevels,
            )
        )
    names, columns = zip(*_columns(frame), strict=True) if len(frame.columns) else ((), ())
    arrays = [_array(name, column) for name, column in zip(names, columns, strict=True)]
    return pa.Table.from_arrays(arrays, names=list(names))


def _columns(frame: "pd.DataFrame") -> "Iterator[tuple[str, pd.Series[Any]]]":
    """Yield names and values: the named levels of the index, then the columns, of which several may share a name."""
    for level, name in enumerate(frame.index.names):
        if name is not None:
            yield str(name), frame.index.get_level_values(level).to_series()
    for at, name in enumerate(frame.columns):
        yield str(name), frame.iloc[:, at]


def _array(name: str, column: "pd.Series[Any]") -> Column:
    _check_objects(name, column)
    try:
        array: Column = pa.Array.from_pandas(column)
    except (TypeError, ValueError, OverflowError, pa.ArrowException) as error:
        raise ValueError(
            t("column {column} of inputs has values that Arrow can't keep ({reason}); make it text with "
              ".astype('string'), or drop it", column=shown_heading(name), reason=type(error).__name__)
        ) from error  # fmt: skip
    return array


def _check_objects(name: str, column: "pd.Series[Any]") -> None:
    """
    Raise ValueError if a column of Python objects has several types, nested values, or times with and without zone.

    Arrow would merge these silently: it cuts a time to its day beside a date, takes a time without zone as UTC beside
    one with a zone, and gives each dict the keys of all others.
    """
    values = column.cat.categories.to_series() if column.dtype == "category" else column
    if values.dtype != object:
        return
    known = values.dropna()
    kinds = {type(value) for value in known}
    shown, column_name = ", ".join(sorted(kind.__name__ for kind in kinds)), shown_heading(name)
    if len(kinds) > 1:
        raise ValueError(
            t("column {column} of inputs has values of several types ({types}); make it one type, for example with "
              ".astype('string')", column=column_name, types=shown)
        )  # fmt: skip
    if any(issubclass(kind, _NESTED) for kind in kinds):
        raise ValueError(
            t("column {column} of inputs has Python objects ({types}); write them as JSON text, for example with "
              ".map(json.dumps)", column=column_name, types=shown)
        )  # fmt: skip
    if any(issubclass(kind, datetime) for kind in kinds) and len({value.tzinfo is None for value in known}) > 1:
        raise ValueError(
            t("column {column} of inputs has times with and without a zone; give all of them one with .tz_localize",
              column=column_name)
        )  # fmt: skip
