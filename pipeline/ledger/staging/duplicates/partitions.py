"""Tables of numbers in partitions by a hash: of any size, with bounded memory."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.ledger.store.spill_file import SpillFile
from pipeline.tables.text_columns import Column

EntryTable = npt.NDArray[Any]
"""A structured array of entries; a hash in it is two unsigned numbers of 64 bits."""

# The first bits of the hash choose the partition. Waiting entries of a partition are spilled in blocks of this size.
_BITS = 8
_PARTS = 1 << _BITS
_BLOCK_BYTES = 16 << 10
# Entries are put into their partitions when they are this many bytes: a pass over all partitions takes as long as a
# thousand entries.
_ADDED_BYTES = 1 << 20
# Partitions of a small table are read together up to this size: each reading costs as much as a thousand entries.
_LEAST_BYTES = 1 << 20
# A larger partition comes in tables of a smaller size. That happens where many entries are equal, or with tens of
# millions of rows.
_MOST_BYTES = 8 << 20
_TABLE_BYTES = 4 << 20
# The keys of the two halves of a hash, 16 bytes each. They need not be secret: a merchant's rows do not attack it.
_HASH_KEYS = ("backfill, half 1", "backfill, half 2")


@dataclass(frozen=True, slots=True)
class _Partition:
    """The entries of one partition, as tables of bounded size: mostly one. It can be iterated several times."""

    kind: np.dtype[Any]
    pieces: Callable[[], Iterator[bytes | bytearray]]
    size: int

    def __iter__(self) -> Iterator[EntryTable]:
        at_once = self.size if self.size <= _MOST_BYTES else _TABLE_BYTES
        data = bytearray()
        for piece in self.pieces():
            data += piece
            if len(data) >= at_once:
                whole = len(data) - len(data) % self.kind.itemsize
                yield np.frombuffer(data[:whole], dtype=self.kind)
                del data[:whole]
        if data:
            yield np.frombuffer(data, dtype=self.kind)


class Partitions:
    """
    A table in partitions by the hash in its field `by`, in the order of the hash. Equal hashes share a partition.

    Iteration yields the partitions, each an iterable of tables.
    """

    def __init__(self, kind: np.dtype[Any], by: str, folder: Path) -> None:
        self._kind = kind
        self._by = by
        self._added: list[EntryTable] = []
        self._added_bytes = 0
        self._waiting = [bytearray() for _ in range(_PARTS)]
        self._spill_file = SpillFile(folder, _LEAST_BYTES)
        # The numbers of the spilled blocks of each partition, and how many blocks there are.
        self._blocks = [array("q") for _ in range(_PARTS)]
        self._block_count = 0

    def add(self, entries: EntryTable) -> None:
        """Add entries."""
        self._added.append(entries)
        self._added_bytes += entries.nbytes
        if self._added_bytes >= _ADDED_BYTES:
            self._divide()

    def _divide(self) -> None:
        """Put the entries that were added last into their partitions."""
        if not self._added:
            return
        entries = np.concatenate(self._added)
        self._added, self._added_bytes = [], 0
        # numpy sorts numbers of one byte by counting, several times as fast.
        part = (entries[self._by][:, 0] >> np.uint64(64 - _BITS)).astype(np.uint8)
        order = np.argsort(part, kind="stable")
        bounds = np.searchsorted(part[order], np.arange(_PARTS + 1))
        data = memoryview(entries[order].tobytes())
        starts = (bounds * self._kind.itemsize).tolist()
        for n in np.flatnonzero(np.diff(bounds)).tolist():
            self._waiting[n] += data[starts[n] : starts[n + 1]]
            while len(self._waiting[n]) >= _BLOCK_BYTES:
                self._spill(n)

    def _spill(self, n: int) -> None:
        self._spill_file.add(self._waiting[n][:_BLOCK_BYTES])
        del self._waiting[n][:_BLOCK_BYTES]
        self._blocks[n].append(self._block_count)
        self._block_count += 1

    def __iter__(self) -> Iterator[Iterable[EntryTable]]:
        self._divide()
        several, size = list[int](), 0
        for n, waiting in enumerate(self._waiting):
            several.append(n)
            size += len(self._blocks[n]) * _BLOCK_BYTES + len(waiting)
            if size >= _LEAST_BYTES or (size and n == _PARTS - 1):
                yield _Partition(self._kind, partial(self._pieces, several), size)
                several, size = [], 0

    def _pieces(self, parts: Iterable[int]) -> Iterator[bytes | bytearray]:
        for n in parts:
            for block in self._blocks[n]:
                yield self._spill_file.read_at(block * _BLOCK_BYTES, _BLOCK_BYTES)
            yield self._waiting[n]

    def close(self) -> None:
        """Delete the entries."""
        self._added.clear()
        self._waiting.clear()
        self._spill_file.close()


def hashes(texts: Column, halves: int = 2) -> EntryTable:
    """
    Return the SipHash of each text under one key or two, as one column or two of 64 bits. No text may be missing.

    The hashes are equal in each process. pandas takes a quarter of the time of a loop over BLAKE2b.
    """
    from pandas.util import hash_array  # noqa: PLC0415 - slow to import

    values = texts.cast(pa.binary()).to_numpy(zero_copy_only=False)
    return np.stack([hash_array(values, hash_key=key, categorize=False) for key in _HASH_KEYS[:halves]], axis=1)


def numbers(digests: Column) -> EntryTable:
    """Return two numbers for each digest of a column; they sort as the digests do."""
    _, data = digests.buffers()
    width = digests.type.byte_width
    return numbers_of(np.frombuffer(data, dtype="S16", count=len(digests), offset=digests.offset * width))


def numbers_of(digests: npt.NDArray[np.bytes_] | Sequence[bytes]) -> EntryTable:
    """Return two numbers for each digest, as `numbers` does for a column."""
    return np.ascontiguousarray(digests, dtype="S16").view(">u8").astype(np.uint64).reshape(-1, 2)


def digests(table: EntryTable) -> list[bytes]:
    """Return the digests of these numbers."""
    data = table.astype(">u8").tobytes()
    return [data[start : start + 16] for start in range(0, len(data), 16)]


def with_duplicates(entries: EntryTable, name: str) -> EntryTable:
    """
    Return the entries whose hash in this field comes twice, by its first half, which they are sorted by.

    Equal hashes are in any order: a stable sort takes 5 times as long.
    """
    first = entries[name][:, 0]
    order = np.argsort(first)
    ordered = first[order]
    is_duplicate = np.zeros(len(entries), dtype=bool)
    equal = ordered[1:] == ordered[:-1]
    is_duplicate[1:] |= equal
    is_duplicate[:-1] |= equal
    return entries[order[is_duplicate]]


def distinct(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return each hash once, sorted. `np.unique` takes 10 times as long."""
    ordered = np.sort(hashes)
    is_first = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    return ordered[is_first]


def group_starts(*columns: EntryTable) -> npt.NDArray[np.bool_]:
    """Return where a new group begins in sorted entries; `columns` are their hashes."""
    starts = np.ones(len(columns[0]), dtype=bool)
    same = [(column[1:] == column[:-1]).all(axis=1) for column in columns]
    starts[1:] = ~np.logical_and.reduce(same)
    return starts


def group_firsts(starts: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return, for each entry, the index where its group begins."""
    return np.maximum.accumulate(np.where(starts, np.arange(len(starts)), 0))
