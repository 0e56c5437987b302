"""Rows of an Arrow table that can be changed: compact, and fast to write and read."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.tables.text_columns import Column, listed


class ArrowRows:
    """Rows as Arrow columns: entry n of each column belongs to the same row."""

    __slots__ = ("_batch", "_changed", "_values")

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch
        self._values: dict[str, list[Any]] = {}
        self._changed: set[str] = set()

    @property
    def batch(self) -> pa.RecordBatch:
        """The rows as an Arrow record batch, with all changes."""
        for name in list(self._changed):
            self.column(name)
        return self._batch

    @classmethod
    def of(cls, kind: pa.Schema, lines: Iterable[Sequence[Any]]) -> Self:
        """Return rows of a schema; each line has one value for each column."""
        columns = list(zip(*lines, strict=True)) or [()] * len(kind)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, kind, strict=True)]
        return cls(pa.RecordBatch.from_arrays(arrays, schema=kind))

    def __len__(self) -> int:
        return self._batch.num_rows

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} of {', '.join(self._batch.schema.names)})"

    def column(self, name: str) -> Column:
        """Return a column as an Arrow array, with all changes."""
        if name in self._changed:
            at = self._batch.schema.get_field_index(name)
            kind = self._batch.schema.field(at)
            self._batch = self._batch.set_column(at, kind, pa.array(self._values[name], kind.type))
            self._changed.discard(name)
        return self._batch.column(name)

    def numbers(self, name: str) -> npt.NDArray[Any]:
        """Return a column of numbers or booleans without missing values, as a numpy array."""
        found: npt.NDArray[Any] = self.column(name).to_numpy(zero_copy_only=False)
        return found

    def values(self, name: str) -> list[Any]:
        """Return a column as a list; do not change the list."""
        if name not in self._values:
            column = self._batch.column(name)
            # numpy has no missing numbers.
            has_gaps = column.null_count and pa.types.is_primitive(column.type)
            self._values[name] = column.to_pylist() if has_gaps else listed(column)
        return self._values[name]

    def take(self, places: npt.NDArray[np.intp]) -> "ArrowRows":
        """Return a copy of the rows at these places, which are in order and distinct."""
        is_all = len(places) == len(self)
        return ArrowRows(self.batch if is_all else self.batch.take(places))

    def without(self, *names: str) -> "ArrowRows":
        """Return the lines without some columns; what is changed there is not changed here."""
        batch = self.batch
        return ArrowRows(batch.select([name for name in batch.schema.names if name not in names]))

    def change(self, at: int, **values: Any) -> None:
        """Replace values of one row."""
        for name, value in values.items():
            self.values(name)[at] = value
            self._changed.add(name)

    def __reduce__(self) -> tuple[Any, ...]:
        batch = self.batch
        return _read, (batch.schema.serialize().to_pybytes(), batch.serialize().to_pybytes())


def _read(schema: bytes, batch: bytes) -> ArrowRows:
    return ArrowRows(pa.ipc.read_record_batch(pa.py_buffer(batch), pa.ipc.read_schema(pa.py_buffer(schema))))
