"""What comes more than once in a run: equal rows, keys with several contents, older balances of a card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.ledger.fixes import Line
from pipeline.ledger.leaf import Fate, Leaf
from pipeline.ledger.partitions import Partitions, hashes, numbers
from pipeline.ledger.records import RunRecord
from pipeline.ledger.twins import Found, before_held, counted_otherwise, duplicates, older, repeated, united
from pipeline.lines import Lines
from pipeline.model import Api, Export
from pipeline.sheet import DIGEST

_HASH = ("u8", 2)
_PART = np.dtype([("identity", *_HASH), ("digest", *_HASH), ("row_no", "i8"), ("part", "i4"), ("parts", "i4")])
_TASK = np.dtype([("key", *_HASH), ("row_no", "i8"), ("is_one", "?")])
_STATE = np.dtype([("key", *_HASH), ("row_no", "i8"), ("is_held", "?"), ("is_in_doubt", "?")])
# A version is a time in ISO 8601, UTC, with microseconds, and sorts as text; none sorts before any.
_BALANCE = np.dtype(
    [
        ("card", *_HASH),
        ("identity", *_HASH),
        ("version", "S32"),
        ("row_no", "i8"),
        ("points", "i8"),
        ("is_derived", "?"),
    ]
)

_OTHER_CONTENT = "an earlier row of this run has the same request key and other content; give this row another key"
_OTHER_FORM = "an earlier row of this run counts the same task in another form of `times`; give this row another key"


@dataclass(frozen=True, slots=True)
class Repeats:
    """
    What was found, by the rows' numbers in the run, each array in order.

    `dropped` are single parts that an earlier row sends already: row number and part.
    """

    counted_otherwise: npt.NDArray[np.int64]
    conflicts: npt.NDArray[np.int64]
    duplicates: npt.NDArray[np.int64]
    superseded: npt.NDArray[np.int64]
    dropped: frozenset[tuple[int, int]] = frozenset()

    def apply(self, leaf: Leaf) -> None:
        """Write into a leaf what was found about its rows."""
        for at in _places(self.counted_otherwise, leaf):
            leaf.refuse(at, _OTHER_FORM)
        for at in _places(self.conflicts, leaf):
            leaf.refuse(at, _OTHER_CONTENT)
        for at in _places(self.duplicates, leaf):
            leaf.fates[at] = Fate.DUPLICATE_ROW
        for at in _places(self.superseded, leaf):
            leaf.fates[at] = Fate.SUPERSEDED
        if self.dropped:
            first = leaf.first_row_no
            parts = enumerate(zip(leaf.parts.values("at"), leaf.parts.values("part"), strict=True))
            leaf.dropped.update(n for n, (at, part) in parts if (first + at, part) in self.dropped)


def _places(rows: npt.NDArray[np.int64], leaf: Leaf) -> Sequence[int]:
    first = leaf.first_row_no
    low, high = np.searchsorted(rows, (first, first + len(leaf.fates)))
    places: list[int] = (rows[low:high] - first).tolist()
    return places


class Finder:
    """Notes the rows of a run as they are staged, and finds what comes more than once."""

    def __init__(self, run: RunRecord, folder: Path) -> None:
        self._api = run.api
        self._is_of_tasks = run.export is Export.TASKS
        self._parts = Partitions(_PART, "identity", folder)
        self._tasks = Partitions(_TASK, "key", folder)
        self.balances = Partitions(_BALANCE, "card", folder)
        self._states = Partitions(_STATE, "key", folder)

    def note(self, leaf: Leaf) -> None:
        """Take in the parts of a leaf that are still due, and the states that the platform holds already."""
        if self._api is Api.STATE:
            self._note_states(leaf)
        due = leaf.parts.take(leaf.due_parts())
        if len(due):
            # A derived key is left out: it says nothing but what the balance says.
            self._note_parts(leaf, due.take(np.flatnonzero(~due.numbers("key_is_derived"))))
            if self._is_of_tasks:
                self._note_tasks(leaf, due)
            if self._api is Api.POINTS:
                self._note_balances(leaf, due)

    def _note_parts(self, leaf: Leaf, own: Lines) -> None:
        at = own.numbers("at")
        lines = np.empty(len(own), dtype=_PART)
        lines["identity"] = hashes(own.values("identity"))
        lines["digest"] = numbers(own.column("digest"))
        lines["row_no"] = _row_nos(leaf, own)
        lines["part"] = own.numbers("part")
        lines["parts"] = np.bincount(at)[at] if len(at) else 0
        self._parts.add(lines)

    def _note_tasks(self, leaf: Leaf, due: Lines) -> None:
        first = due.take(np.flatnonzero(due.numbers("part") == 0))
        keys = leaf.rows.take(first.numbers("at")).values("request_key")
        lines = np.empty(len(first), dtype=_TASK)
        lines["key"] = hashes(keys)
        lines["row_no"] = _row_nos(leaf, first)
        lines["is_one"] = [identity == key for identity, key in zip(first.values("identity"), keys, strict=True)]
        self._tasks.add(lines)

    def _note_balances(self, leaf: Leaf, due: Lines) -> None:
        lines = np.zeros(len(due), dtype=_BALANCE)
        is_derived = due.numbers("key_is_derived")
        lines["card"] = numbers(due.column("card"))
        if not is_derived.all():
            lines["identity"][~is_derived] = hashes(due.take(np.flatnonzero(~is_derived)).values("identity"))
        lines["version"] = [version or "" for version in due.values("version")]
        lines["row_no"] = _row_nos(leaf, due)
        lines["points"] = due.numbers("points")
        lines["is_derived"] = is_derived
        self.balances.add(lines)

    def _note_states(self, leaf: Leaf) -> None:
        fates = leaf.fates_by_row()[leaf.parts.numbers("at")]
        places = np.flatnonzero(np.isin(fates, (Fate.DUE, Fate.ALREADY_SUCCEEDED)))
        told = leaf.parts.take(places)
        lines = np.empty(len(told), dtype=_STATE)
        lines["key"] = hashes(told.values("request_key"))
        lines["row_no"] = _row_nos(leaf, told)
        lines["is_held"] = fates[places] == Fate.ALREADY_SUCCEEDED
        lines["is_in_doubt"] = np.isin(places, list(leaf.in_doubt))
        self._states.add(lines)

    def note_fixed(self, leaf: Leaf, fixed: Mapping[int, Line]) -> None:
        """Take in the balances and states that were delivered in the stead of rows: they stand in their places."""
        if not fixed or self._api is Api.CUMULATION:
            return
        row_nos = [leaf.first_row_no + at for at in fixed]
        if self._api is Api.STATE:
            states = np.zeros(len(fixed), dtype=_STATE)
            states["key"] = hashes([line.identity.rpartition("/")[0] for line in fixed.values()])
            states["row_no"], states["is_held"] = row_nos, True
            self._states.add(states)
            return
        balances = np.zeros(len(fixed), dtype=_BALANCE)
        balances["card"] = numbers(pa.array([line.card for line in fixed.values()], DIGEST))
        balances["identity"] = hashes([line.identity for line in fixed.values()])
        balances["version"] = [line.version or "" for line in fixed.values()]
        balances["row_no"] = row_nos
        self.balances.add(balances)

    def find(self) -> Repeats:
        """Return what comes more than once."""
        otherwise = united(counted_otherwise(lines) for lines in self._tasks)
        overtaken = united(before_held(lines) for lines in self._states)
        left_out = np.union1d(otherwise, overtaken)
        again = self._repeats(left_out)
        conflicts = united(found.row_no[~found.is_same] for found in again)
        if self._is_of_tasks and len(conflicts):
            # Of several parts a row that is no more to be sent may have been the first of some.
            again = self._repeats(np.union1d(left_out, conflicts))
        if self._api is Api.POINTS:
            # Equal rows of one card: the last one is the newest.
            replaced = [found for lines in self.balances if (found := older(lines, conflicts)) is not None]
            same = united(found.row_no[found.is_same] for found in replaced)
            return Repeats(otherwise, conflicts, same, united(found.row_no[~found.is_same] for found in replaced))
        same, dropped = duplicates(again, conflicts)
        return Repeats(otherwise, conflicts, same, overtaken, dropped)

    def _repeats(self, left_out: npt.NDArray[np.int64]) -> list[Found]:
        found = (repeated(lines, left_out) for lines in self._parts)
        return [some for some in found if some is not None]

    def close(self) -> None:
        """Forget what was noted."""
        for table in (self._parts, self._tasks, self.balances, self._states):
            table.close()


def _row_nos(leaf: Leaf, parts: Lines) -> npt.NDArray[np.int64]:
    return parts.numbers("at").astype(np.int64) + leaf.first_row_no
