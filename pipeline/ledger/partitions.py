"""Tables of numbers that are grouped by a hash, whatever their size, with little memory."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.ledger.aside import Aside
from pipeline.texts import Column

Table = npt.NDArray[Any]
"""A structured array; a hash in it is two unsigned numbers of 64 bits."""

_PARTITIONS = 64
_HELD_BYTES = 256 << 10


class Partitions:
    """Lines of a table, parted by the hash in one of its fields, in its order: equal ones are always together."""

    def __init__(self, kind: np.dtype[Any], by: str, folder: Path) -> None:
        self._kind = kind
        self._by = by
        self._folder = folder
        self._files: dict[int, Aside] = {}

    def add(self, lines: Table) -> None:
        """Keep lines."""
        number = lines[self._by][:, 0] >> np.uint64(58)
        order = np.argsort(number, kind="stable")
        bounds = np.searchsorted(number[order], np.arange(_PARTITIONS + 1))
        sorted_lines = lines[order]
        for n in np.flatnonzero(np.diff(bounds)).tolist():
            if n not in self._files:
                self._files[n] = Aside(self._folder, _HELD_BYTES)
            self._files[n].add(sorted_lines[bounds[n] : bounds[n + 1]].tobytes())

    def __iter__(self) -> Iterator[Table]:
        for _, file in sorted(self._files.items()):
            file.rewind()
            yield np.frombuffer(file.read(), dtype=self._kind)

    def close(self) -> None:
        """Forget the lines."""
        for file in self._files.values():
            file.close()


def hashes(texts: Sequence[str]) -> Table:
    """Return a hash of 128 bits for each text: good within this process, which alone knows its key."""
    table = np.empty((len(texts), 2), dtype=np.int64)
    table[:, 0] = np.fromiter(map(hash, texts), dtype=np.int64, count=len(texts))
    table[:, 1] = np.fromiter(map(hash, map("~".__add__, texts)), dtype=np.int64, count=len(texts))
    return table.view(np.uint64)


def numbers(digests: Column) -> Table:
    """Return a column of digests as two numbers each, which sort as the digests do."""
    _, data = digests.buffers()
    found = np.frombuffer(data, dtype=">u8", count=2 * len(digests), offset=digests.offset * digests.type.byte_width)
    return found.astype(np.uint64).reshape(-1, 2)


def numbers_of(digests: npt.NDArray[np.bytes_]) -> Table:
    """Return an array of digests as `numbers` returns a column of them."""
    return np.ascontiguousarray(digests).view(">u8").astype(np.uint64).reshape(-1, 2)


def digests(table: Table) -> list[bytes]:
    """Return the digests that were made into these numbers."""
    data = table.astype(">u8").tobytes()
    return [data[start : start + 16] for start in range(0, len(data), 16)]


def alike(lines: Table, name: str) -> Table:
    """Return only the lines that have a twin in this field; quick where there are none."""
    first = lines[name][:, 0]
    order = np.argsort(first, kind="stable")
    ordered = first[order]
    is_twin = np.zeros(len(lines), dtype=bool)
    equal = ordered[1:] == ordered[:-1]
    is_twin[1:] |= equal
    is_twin[:-1] |= equal
    return lines[order[is_twin]]


def begins(*columns: Table) -> npt.NDArray[np.bool_]:
    """Return where a new group begins in lines that are sorted by these columns of two numbers."""
    starts = np.ones(len(columns[0]), dtype=bool)
    same = [(column[1:] == column[:-1]).all(axis=1) for column in columns]
    starts[1:] = ~np.logical_and.reduce(same)
    return starts


def group_firsts(starts: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return for each line where its group begins."""
    return np.maximum.accumulate(np.where(starts, np.arange(len(starts)), 0))
