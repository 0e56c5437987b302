"""Finds duplicates and contradictions in partitions: entries that are equal in a field are in the same partition."""

from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.ledger.staging.duplicates.partitions import (
    EntryTable,
    distinct,
    group_firsts,
    group_starts,
    with_duplicates,
)
from pipeline.ledger.staging.duplicates.rulings import Ruling, Rulings

# Sorts entries so that equal ones are adjacent, in the field of the partition; the one that counts comes first.
Sort = Callable[[EntryTable], EntryTable]
# Lanes that are ruled out in one reading of all rows; they take 16 MiB.
_LANES_AT_ONCE = 1 << 21


def pair_with_first(part: Iterable[EntryTable], name: str, sort: Sort) -> Iterator[tuple[EntryTable, EntryTable]]:
    """
    Yield the entries of a partition that are equal in a field to another one, each with the first of its group.

    A partition that comes in several tables, since most entries of a run are equal, is read twice: first to find the
    first of each group, then to compare the others with it. All of its entries are then yielded.
    """
    tables = iter(part)
    firsts = next(tables, None)
    if firsts is None:
        return
    others = next(tables, None)
    if others is None:
        entries = sort(with_duplicates(firsts, name))
        yield entries, _first_of_each(entries, name)
        return
    firsts = _only_firsts(firsts, name, sort)
    while others is not None:
        firsts = _only_firsts(np.concatenate([firsts, others]), name, sort)
        others = next(tables, None)
    for table in part:
        entries = sort(np.concatenate([firsts, table]))
        yield entries, _first_of_each(entries, name)


def _only_firsts(entries: EntryTable, name: str, sort: Sort) -> EntryTable:
    ordered = sort(entries)
    return ordered[group_starts(ordered[name])]


def _first_of_each(entries: EntryTable, name: str) -> EntryTable:
    return entries[group_firsts(group_starts(entries[name]))] if len(entries) else entries


def sorted_by(*names: str) -> Sort:
    """Return the function that sorts entries by these fields, the first field first."""

    def sort(entries: EntryTable) -> EntryTable:
        columns = [column for name in names for column in np.atleast_2d(entries[name].T)]
        return entries[np.lexsort(columns[::-1])]

    return sort


_BY_AGREEMENT = sorted_by("agreement", "lane")
_BY_CARD = sorted_by("card", "version", "row_no")
_BY_IDENTITY = sorted_by("identity", "row_no", "part")
_BY_KEY = sorted_by("key", "row_no")


def _newest_first(entries: EntryTable) -> EntryTable:
    return _BY_CARD(entries)[::-1]


class _FilteredPart:
    """Some entries of a partition; it can be iterated several times."""

    def __init__(self, part: Iterable[EntryTable], are_wanted: Callable[[EntryTable], npt.NDArray[np.bool_]]) -> None:
        self._part = part
        self._are_wanted = are_wanted

    def __iter__(self) -> Iterator[EntryTable]:
        for table in self._part:
            yield table[self._are_wanted(table)]


def _open_entries(part: Iterable[EntryTable], rulings: Rulings) -> Iterable[EntryTable]:
    """Return the entries of a partition whose rows have no ruling."""
    return _FilteredPart(part, lambda table: rulings.are_open(table["row_no"]))


def rule_on_times(balances: Iterable[Iterable[EntryTable]], rulings: Rulings) -> None:
    """Rule out the rows of cards where some rows have a time of change and others do not."""
    _rule_where_different(balances, lambda entries: entries["version"] != b"", rulings, Ruling.SOME_TIMES)


def rule_on_openids(balances: Iterable[Iterable[EntryTable]], rulings: Rulings) -> None:
    """Rule out the rows of cards with several users."""
    _rule_where_different(balances, lambda entries: entries["openid"], rulings, Ruling.TWO_USERS)


def _rule_where_different(
    balances: Iterable[Iterable[EntryTable]],
    value: Callable[[EntryTable], npt.NDArray[Any]],
    rulings: Rulings,
    ruling: Ruling,
) -> None:
    for part in balances:
        # Entries of deliveries that stand for a row have no user.
        rows = _FilteredPart(part, lambda table: table["openid"] != 0)
        cards = _with_different(rows, "card", value, _BY_CARD)
        for table in rows if len(cards) else ():
            rulings.rule(table["row_no"][np.isin(table["card"][:, 0], cards)], ruling)


def contradicting_lanes(
    agreements: Iterable[Iterable[EntryTable]], at_once: int = _LANES_AT_ONCE
) -> Iterator[npt.NDArray[np.uint64]]:
    """Yield the lanes of agreements with several users, some at a time: the first half of their hashes, sorted."""
    lanes, count = list[npt.NDArray[np.uint64]](), 0
    for part in agreements:
        found = _with_different(part, "agreement", lambda entries: entries["lane"][:, 0], _BY_AGREEMENT)
        for table in part if len(found) else ():
            lanes.append(distinct(table["lane"][np.isin(table["agreement"][:, 0], found), 0]))
            count += len(lanes[-1])
            if count >= at_once:
                yield distinct(np.concatenate(lanes))
                lanes, count = [], 0
    if count:
        yield distinct(np.concatenate(lanes))


def _with_different(
    part: Iterable[EntryTable], name: str, value: Callable[[EntryTable], npt.NDArray[Any]], sort: Sort
) -> npt.NDArray[np.uint64]:
    """Return the groups whose entries differ in a value, by the first half of their hashes."""
    found = np.empty(0, np.uint64)
    for entries, first in pair_with_first(part, name, sort):
        found = np.union1d(found, entries[name][value(entries) != value(first), 0])
    return found


def rule_on_forms(tasks: Iterable[Iterable[EntryTable]], rulings: Rulings) -> None:
    """Keep the first form of `times` of each task."""
    for part in tasks:
        for entries, first in pair_with_first(_open_entries(part, rulings), "key", _BY_KEY):
            rulings.rule(entries["row_no"][entries["is_one"] != first["is_one"]], Ruling.OTHER_FORM)


def rule_on_keys(parts: Iterable[Iterable[EntryTable]], rulings: Rulings) -> None:
    """Keep the first row of each identity, where each row has one identity."""
    for part in parts:
        for entries, is_later, is_same in _repeated(part, rulings):
            rulings.rule(entries["row_no"][is_later & ~is_same], Ruling.OTHER_CONTENT)
            rulings.rule(entries["row_no"][is_later & is_same], Ruling.DUPLICATE)


def rule_on_contents(parts: Iterable[Iterable[EntryTable]], rulings: Rulings) -> None:
    """Keep the first content of each identity."""
    for part in parts:
        for entries, is_later, is_same in _repeated(part, rulings):
            rulings.rule(entries["row_no"][is_later & ~is_same], Ruling.OTHER_CONTENT)


def rule_on_parts(parts: Iterable[Iterable[EntryTable]], rulings: Rulings, rows: int) -> npt.NDArray[np.int64]:
    """
    Keep the first row of each identity, where a row has several. A row is a duplicate if none of its parts is new.

    Returns the parts of other rows that an earlier row sends, as in `Duplicates`.
    """
    rule_on_contents(parts, rulings)
    # After the rulings above: a row with other content may have been the first with some of its parts.
    count = np.zeros(rows + 1, np.uint16)
    for part in parts:
        for entries, is_later, _ in _repeated(part, rulings):
            np.add.at(count, entries["row_no"][is_later], 1)
    dropped = array("q")
    for part in parts:
        for entries, is_later, _ in _repeated(part, rulings):
            later = entries[is_later]
            is_whole = count[later["row_no"]] == later["parts"]
            dropped.frombytes(part_numbers(later["row_no"][~is_whole], later["part"][~is_whole]).tobytes())
            rulings.rule(later["row_no"][is_whole], Ruling.DUPLICATE)
    return np.sort(np.frombuffer(dropped, np.int64))


def part_numbers(row_no: npt.NDArray[np.int64], part: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Return a number for each part of a row; the numbers sort as rows and parts do."""
    return row_no << 16 | part


def rule_on_cards(balances: Iterable[Iterable[EntryTable]], rulings: Rulings) -> None:
    """Keep the newest balance of each card; an equal balance under the same key of the export is a duplicate of it."""
    for part in balances:
        for entries, newest in pair_with_first(_open_entries(part, rulings), "card", _newest_first):
            is_older = entries["row_no"] != newest["row_no"]
            is_same = (entries["identity"] == newest["identity"]).all(axis=1) & ~entries["is_derived"]
            rulings.rule(entries["row_no"][is_older & is_same], Ruling.DUPLICATE)
            rulings.rule(entries["row_no"][is_older & ~is_same], Ruling.SUPERSEDED)


def _repeated(
    part: Iterable[EntryTable], rulings: Rulings
) -> Iterator[tuple[EntryTable, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    """Yield entries; whether an earlier row has the identity of each; and whether with the same content."""
    for entries, first in pair_with_first(_open_entries(part, rulings), "identity", _BY_IDENTITY):
        yield entries, entries["row_no"] != first["row_no"], (entries["digest"] == first["digest"]).all(axis=1)
