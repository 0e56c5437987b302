"""What comes more than once in one part of a table: lines that are alike always stand in the same part."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.ledger.partitions import alike, begins, group_firsts


@dataclass(frozen=True, slots=True)
class Found:
    """Parts that an earlier row has as well, and whether their content is the same; of so many `parts` is the row."""

    row_no: npt.NDArray[np.int64]
    is_same: npt.NDArray[np.bool_]
    part: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    parts: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))


def united(arrays: Iterable[Any]) -> npt.NDArray[np.int64]:
    """Return all numbers of several arrays once, in order."""
    several = [np.asarray(array, dtype=np.int64) for array in arrays]
    return np.unique(np.concatenate(several)) if several else np.empty(0, np.int64)


def counted_otherwise(lines: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Leave of each task the form of `times` that comes first."""
    some = alike(lines, "key")
    some = some[np.lexsort((some["row_no"], some["key"][:, 1], some["key"][:, 0]))]
    first = group_firsts(begins(some["key"])) if len(some) else np.empty(0, np.intp)
    other: npt.NDArray[np.int64] = some["row_no"][some["is_one"] != some["is_one"][first]]
    return other


def before_held(lines: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """
    Return the states that stand before one of the same object that the platform holds already.

    So it is where a file runs again whose earlier state was overtaken. What is in doubt stays due.
    """
    some = alike(lines, "key")
    some = some[np.lexsort((some["row_no"], some["key"][:, 1], some["key"][:, 0]))]
    if not len(some):
        return np.empty(0, np.int64)
    group = np.cumsum(begins(some["key"]))
    last_held = np.zeros(group[-1] + 1, np.int64)
    held = some["is_held"]
    np.maximum.at(last_held, group[held], some["row_no"][held])
    is_before = ~held & ~some["is_in_doubt"] & (some["row_no"] < last_held[group])
    before: npt.NDArray[np.int64] = some["row_no"][is_before]
    return before


def repeated(lines: npt.NDArray[Any], left_out: npt.NDArray[np.int64]) -> Found | None:
    """Return the parts whose identity an earlier row has, and whether their content is the same."""
    some = _alike_but(lines, "identity", left_out)
    if not len(some):
        return None
    identity = some["identity"]
    some = some[np.lexsort((some["part"], some["row_no"], identity[:, 1], identity[:, 0]))]
    first = some[group_firsts(begins(some["identity"]))]
    is_later = some["row_no"] != first["row_no"]
    is_same = (some["digest"] == first["digest"]).all(axis=1)
    later = some[is_later]
    return Found(later["row_no"], is_same[is_later], later["part"], later["parts"])


def duplicates(
    again: Sequence[Found], conflicts: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], frozenset[tuple[int, int]]]:
    """Return the rows that say nothing new, and of the others the parts that don't."""
    if not again:
        return united(()), frozenset()
    rows = np.concatenate([found.row_no for found in again])
    part = np.concatenate([found.part for found in again])
    parts = np.concatenate([found.parts for found in again])
    left = ~np.isin(rows, conflicts)
    rows, part, parts = rows[left], part[left], parts[left]
    _, place, count = np.unique(rows, return_inverse=True, return_counts=True)
    is_whole = count[place] == parts
    dropped = zip(rows[~is_whole].tolist(), part[~is_whole].tolist(), strict=True)
    return np.unique(rows[is_whole]), frozenset(dropped)


def older(lines: npt.NDArray[Any], conflicts: npt.NDArray[np.int64]) -> Found | None:
    """Return the balances that a newer one of their card makes needless, and whether that is the very same."""
    some = _alike_but(lines, "card", conflicts)
    if not len(some):
        return None
    card = some["card"]
    some = some[np.lexsort((some["row_no"], some["version"], card[:, 1], card[:, 0]))[::-1]]
    starts = begins(some["card"])
    newest = some[group_firsts(starts)]
    is_same = (some["identity"] == newest["identity"]).all(axis=1) & ~some["is_derived"]
    return Found(some["row_no"][~starts], is_same[~starts])


def _alike_but(lines: npt.NDArray[Any], name: str, left_out: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return the lines that have a twin in this field, but for those of some rows."""
    some = alike(lines, name)
    return some[~np.isin(some["row_no"], left_out)]
