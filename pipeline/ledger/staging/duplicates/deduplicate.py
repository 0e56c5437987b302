"""What comes more than once in one part of a table: lines that are alike always stand in the same part."""

from array import array
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from pipeline.ledger.staging.duplicates.partitions import Table, alike, begins, group_firsts
from pipeline.ledger.staging.duplicates.rulings import Ruling, Rulings

# Sorts lines; those that are alike in the field that a part is made by then stand together, the first one first.
Sort = Callable[[Table], Table]


def beside_first(part: Iterable[Table], name: str, sort: Sort) -> Iterator[tuple[Table, Table]]:
    """
    Yield the lines of a part that have a twin in a field, some at once, and beside each the first of its kind.

    A part that comes in several tables, as where most lines of a run are alike, is gone through twice: to find the
    first ones, and to hold all others against them. Its lines are then all yielded.
    """
    tables = iter(part)
    firsts = next(tables, None)
    if firsts is None:
        return
    others = next(tables, None)
    if others is None:
        lines = sort(alike(firsts, name))
        yield lines, _first_of_each(lines, name)
        return
    firsts = _only_firsts(firsts, name, sort)
    while others is not None:
        firsts = _only_firsts(np.concatenate([firsts, others]), name, sort)
        others = next(tables, None)
    for table in part:
        lines = sort(np.concatenate([firsts, table]))
        yield lines, _first_of_each(lines, name)


def _only_firsts(lines: Table, name: str, sort: Sort) -> Table:
    ordered = sort(lines)
    return ordered[begins(ordered[name])]


def _first_of_each(lines: Table, name: str) -> Table:
    return lines[group_firsts(begins(lines[name]))] if len(lines) else lines


def sorted_by(*names: str) -> Sort:
    """Return the function that sorts lines by these fields, the first one before all."""

    def sort(lines: Table) -> Table:
        columns = [column for name in names for column in np.atleast_2d(lines[name].T)]
        return lines[np.lexsort(columns[::-1])]

    return sort


_BY_CARD = sorted_by("card", "version", "row_no")
_BY_IDENTITY = sorted_by("identity", "row_no", "part")
_BY_KEY = sorted_by("key", "row_no")


def _newest_first(lines: Table) -> Table:
    return _BY_CARD(lines)[::-1]


class _OpenLines:
    """The lines of a part whose rows are not ruled on."""

    def __init__(self, part: Iterable[Table], rulings: Rulings) -> None:
        self._part = part
        self._rulings = rulings

    def __iter__(self) -> Iterator[Table]:
        for table in self._part:
            yield table[self._rulings.are_open(table["row_no"])]


def rule_on_forms(tasks: Iterable[Iterable[Table]], rulings: Rulings) -> None:
    """Leave of each task the form of `times` that comes first."""
    for part in tasks:
        for lines, first in beside_first(part, "key", _BY_KEY):
            rulings.rule(lines["row_no"][lines["is_one"] != first["is_one"]], Ruling.OTHER_FORM)


def rule_on_keys(parts: Iterable[Iterable[Table]], rulings: Rulings) -> None:
    """Leave of each identity the row that comes first, where each row has one."""
    for part in parts:
        for lines, is_later, is_same in _repeated(part, rulings):
            rulings.rule(lines["row_no"][is_later & ~is_same], Ruling.OTHER_CONTENT)
            rulings.rule(lines["row_no"][is_later & is_same], Ruling.DUPLICATE)


def rule_on_contents(parts: Iterable[Iterable[Table]], rulings: Rulings) -> None:
    """Leave of each identity the content that comes first."""
    for part in parts:
        for lines, is_later, is_same in _repeated(part, rulings):
            rulings.rule(lines["row_no"][is_later & ~is_same], Ruling.OTHER_CONTENT)


def rule_on_parts(parts: Iterable[Iterable[Table]], rulings: Rulings, rows: int) -> npt.NDArray[np.int64]:
    """
    Leave of each identity the row that comes first, where a row has several: it is left out when nothing of it is new.

    Returns the parts that an earlier row sends, of rows that are sent otherwise: see `Repeats`.
    """
    rule_on_contents(parts, rulings)
    # Only now: a row with other content may have been the first of some of its parts.
    count = np.zeros(rows + 1, np.uint16)
    for part in parts:
        for lines, is_later, _ in _repeated(part, rulings):
            np.add.at(count, lines["row_no"][is_later], 1)
    dropped = array("q")
    for part in parts:
        for lines, is_later, _ in _repeated(part, rulings):
            later = lines[is_later]
            is_whole = count[later["row_no"]] == later["parts"]
            dropped.frombytes(part_numbers(later["row_no"][~is_whole], later["part"][~is_whole]).tobytes())
            rulings.rule(later["row_no"][is_whole], Ruling.DUPLICATE)
    return np.sort(np.frombuffer(dropped, np.int64))


def part_numbers(row_no: npt.NDArray[np.int64], part: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Return numbers for parts of rows, which sort as those do."""
    return row_no << 16 | part


def rule_on_cards(balances: Iterable[Iterable[Table]], rulings: Rulings) -> None:
    """Leave of each card the newest balance; what says the very same under the same key is a duplicate of it."""
    for part in balances:
        for lines, newest in beside_first(_OpenLines(part, rulings), "card", _newest_first):
            is_older = lines["row_no"] != newest["row_no"]
            is_same = (lines["identity"] == newest["identity"]).all(axis=1) & ~lines["is_derived"]
            rulings.rule(lines["row_no"][is_older & is_same], Ruling.DUPLICATE)
            rulings.rule(lines["row_no"][is_older & ~is_same], Ruling.SUPERSEDED)


def _repeated(
    part: Iterable[Table], rulings: Rulings
) -> Iterator[tuple[Table, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    """Yield lines, whether an earlier row has the identity of each as well, and whether with the same content."""
    for lines, first in beside_first(_OpenLines(part, rulings), "identity", _BY_IDENTITY):
        yield lines, lines["row_no"] != first["row_no"], (lines["digest"] == first["digest"]).all(axis=1)
