"""`DuplicateFinder`: collects notes of the rows of a run while it is staged, and finds what comes more than once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.ledger.records import RunRecord
from pipeline.ledger.rules.fixes import VariantDelivery
from pipeline.ledger.staging.duplicates.deduplicate import (
    contradicting_lanes,
    part_numbers,
    rule_on_cards,
    rule_on_contents,
    rule_on_forms,
    rule_on_keys,
    rule_on_openids,
    rule_on_parts,
    rule_on_times,
)
from pipeline.ledger.staging.duplicates.partitions import EntryTable, Partitions, hashes, numbers
from pipeline.ledger.staging.duplicates.rulings import Ruling, Rulings
from pipeline.ledger.staging.staged_chunk import RowDecision, StagedChunk
from pipeline.model import Api, Export
from pipeline.tables.mapped_chunk import DIGEST
from pipeline.tables.rows import ArrowRows
from pipeline.tables.text_columns import column_of, listed

# Entries of the partitions. A hash is two numbers of 64 bits.
_HASH = ("u8", 2)
# A part with a key of the export; `parts` is the number of parts of its row.
PART = np.dtype([("identity", *_HASH), ("digest", *_HASH), ("row_no", "i8"), ("part", "i4"), ("parts", "i4")])
# An agreement and a user. Half of a hash is enough: agreements of equal hash are refused in this run only.
AGREEMENT = np.dtype([("agreement", "u8", (1,)), ("lane", "u8", (1,))])
# A task; `is_one`: it was done once, so its key has no number.
TASK = np.dtype([("key", *_HASH), ("row_no", "i8"), ("is_one", "?")])
# A balance. `version` is a time in ISO 8601, UTC, with microseconds: it sorts as text, and "" comes first.
# `is_derived`: its key was made from the row.
BALANCE = np.dtype(
    [
        ("card", *_HASH),
        ("identity", *_HASH),
        ("version", "S32"),
        ("row_no", "i8"),
        ("points", "i8"),
        ("openid", "u8"),
        ("is_derived", "?"),
    ]
)


@dataclass(frozen=True, slots=True)
class Duplicates:
    """
    What was found about the rows of a run.

    `dropped` are single parts that an earlier row sends: numbers of `part_numbers`, sorted.
    """

    rulings: Rulings
    dropped: npt.NDArray[np.int64]

    def apply(self, chunk: StagedChunk) -> None:
        """Write what was found into a chunk."""
        self.rulings.apply(chunk)
        first = chunk.first_row_no
        low, high = np.searchsorted(self.dropped, (first << 16, (first + len(chunk.decisions)) << 16))
        if low < high:
            of_chunk = part_numbers(chunk.parts.numbers("at").astype(np.int64) + first, chunk.parts.numbers("part"))
            chunk.dropped.update(np.flatnonzero(np.isin(of_chunk, self.dropped[low:high])).tolist())

    def of_rows(self, first: int, last: int) -> "Duplicates":
        """Return what was found about the rows from a number to another one."""
        rulings = Rulings(last - first + 1, first)
        rulings.of_row[:] = self.rulings.of_row[first - 1 : last]
        low, high = np.searchsorted(self.dropped, (first << 16, (last + 1) << 16))
        return Duplicates(rulings, self.dropped[low:high])


@dataclass(frozen=True, slots=True)
class Notes:
    """What is noted of the rows of a chunk: entries of `PART`, `TASK`, `AGREEMENT` and `BALANCE`."""

    parts: EntryTable
    tasks: EntryTable
    agreements: EntryTable
    balances: EntryTable

    def moved(self, rows: int) -> "Notes":
        """Return the notes of a chunk that comes so many rows later in the run."""
        parts, tasks, balances = (table.copy() for table in (self.parts, self.tasks, self.balances))
        for table in (parts, tasks, balances):
            table["row_no"] += rows
        return Notes(parts, tasks, self.agreements, balances)


NO_NOTES = Notes(*(np.empty(0, kind) for kind in (PART, TASK, AGREEMENT, BALANCE)))
"""The notes of states, which are noted otherwise."""


def notes_of(run: RunRecord, chunk: StagedChunk, fixed: Mapping[int, VariantDelivery]) -> Notes:
    """
    Return the notes of a chunk: of its due parts, and of the users of its agreements.

    `fixed` are deliveries that stand for rows: balances among them take the places of these.
    """
    due = chunk.parts.take(chunk.due_parts())
    parts, tasks, balances = np.empty(0, PART), np.empty(0, TASK), _balances_instead(chunk, fixed)
    if len(due):
        # A key made from a row says nothing that the balance does not say.
        parts = _parts(chunk, due.take(np.flatnonzero(~due.numbers("key_is_derived"))))
        if run.export is Export.TASKS:
            tasks = _tasks(chunk, due)
        if run.api.sends_balances:
            balances = np.concatenate([_balances(chunk, due), balances])
    agreements = _agreements(chunk) if run.api is Api.CUMULATION else np.empty(0, AGREEMENT)
    return Notes(parts, tasks, agreements, balances if run.api.sends_balances else np.empty(0, BALANCE))


def _parts(chunk: StagedChunk, own: ArrowRows) -> EntryTable:
    at = own.numbers("at")
    entries = np.empty(len(own), dtype=PART)
    entries["identity"] = hashes(own.column("identity"))
    entries["digest"] = numbers(own.column("digest"))
    entries["row_no"] = _row_nos(chunk, own)
    entries["part"] = own.numbers("part")
    entries["parts"] = np.bincount(at)[at] if len(at) else 0
    return entries


def _agreements(chunk: StagedChunk) -> EntryTable:
    """Note each agreement and user once, of the rows that are due or delivered."""
    decisions = chunk.decisions_by_row()[chunk.parts.numbers("at")]
    valid = np.flatnonzero((decisions == RowDecision.DUE) | (decisions == RowDecision.ALREADY_SUCCEEDED))
    lanes = numbers(chunk.parts.column("lane"))[valid, :1]
    # The dictionary numbers lanes in the order in which they come first.
    numbered = pa.array(lanes[:, 0]).dictionary_encode().indices.to_numpy()
    first = np.flatnonzero(np.diff(np.maximum.accumulate(numbered), prepend=-1))
    entries = np.empty(len(first), dtype=AGREEMENT)
    entries["agreement"] = hashes(chunk.parts.column("agreement").take(pa.array(valid[first])), halves=1)
    entries["lane"] = lanes[first]
    return entries


def _tasks(chunk: StagedChunk, due: ArrowRows) -> EntryTable:
    first = due.take(np.flatnonzero(due.numbers("part") == 0))
    keys = chunk.rows.column("request_key").take(pa.array(first.numbers("at")))
    entries = np.empty(len(first), dtype=TASK)
    entries["key"] = hashes(keys)
    entries["row_no"] = _row_nos(chunk, first)
    entries["is_one"] = [identity == key for identity, key in zip(first.values("identity"), listed(keys), strict=True)]
    return entries


def _balances(chunk: StagedChunk, due: ArrowRows) -> EntryTable:
    entries = np.zeros(len(due), dtype=BALANCE)
    is_derived = due.numbers("key_is_derived")
    entries["card"] = numbers(due.column("card"))
    if not is_derived.all():
        entries["identity"][~is_derived] = hashes(due.take(np.flatnonzero(~is_derived)).column("identity"))
    entries["version"] = [version or "" for version in due.values("version")]
    entries["row_no"] = _row_nos(chunk, due)
    entries["points"] = due.numbers("points")
    # 0 means nobody.
    entries["openid"] = np.maximum(hashes(due.column("openid").fill_null(""), halves=1)[:, 0], 1)
    entries["is_derived"] = is_derived
    return entries


def _balances_instead(chunk: StagedChunk, fixed: Mapping[int, VariantDelivery]) -> EntryTable:
    """Note the balances that were delivered instead of rows."""
    entries = np.zeros(len(fixed), dtype=BALANCE)
    if fixed:
        entries["card"] = numbers(pa.array([delivery.card for delivery in fixed.values()], DIGEST))
        entries["identity"] = hashes(column_of(delivery.identity for delivery in fixed.values()))
        entries["version"] = [delivery.version or "" for delivery in fixed.values()]
        entries["row_no"] = [chunk.first_row_no + at for at in fixed]
    return entries


class DuplicateFinder:
    """Collects the notes of a run while it is staged, and finds what comes more than once."""

    def __init__(self, run: RunRecord, folder: Path) -> None:
        self._api = run.api
        self._is_of_tasks = run.export is Export.TASKS
        self._parts = Partitions(PART, "identity", folder)
        self._tasks = Partitions(TASK, "key", folder)
        self._agreements = Partitions(AGREEMENT, "agreement", folder)
        self.balances = Partitions(BALANCE, "card", folder)

    def add(self, notes: Notes) -> None:
        """Add the notes of a chunk."""
        tables = (self._parts, self._tasks, self._agreements, self.balances)
        for table, entries in zip(tables, (notes.parts, notes.tasks, notes.agreements, notes.balances), strict=True):
            if len(entries):
                table.add(entries)

    def find(self, rows: int, chunks: Iterable[StagedChunk]) -> Duplicates:
        """Return what is found; `rows` is the number of rows, `chunks` are all chunks of the run."""
        rulings = Rulings(rows)
        self._rule_on_users(chunks, rulings)
        rule_on_forms(self._tasks, rulings)
        if self._is_of_tasks:
            return Duplicates(rulings, rule_on_parts(self._parts, rulings, rows))
        if self._api.sends_balances:
            rule_on_times(self.balances, rulings)
            rule_on_openids(self.balances, rulings)
            rule_on_contents(self._parts, rulings)
            rule_on_cards(self.balances, rulings)
        else:
            rule_on_keys(self._parts, rulings)
        return Duplicates(rulings, np.empty(0, np.int64))

    def _rule_on_users(self, chunks: Iterable[StagedChunk], rulings: Rulings) -> None:
        """Rule out the rows of agreements with several users. Mostly there are none, and no chunk is read."""
        for lanes in contradicting_lanes(self._agreements):
            for chunk in chunks:
                of_chunk = numbers(chunk.parts.column("lane"))[:, 0]
                at = np.minimum(np.searchsorted(lanes, of_chunk), len(lanes) - 1)
                rulings.rule(_row_nos(chunk, chunk.parts)[lanes[at] == of_chunk], Ruling.TWO_USERS)

    def close(self) -> None:
        """Delete what was noted."""
        for table in (self._parts, self._tasks, self._agreements, self.balances):
            table.close()


def _row_nos(chunk: StagedChunk, parts: ArrowRows) -> npt.NDArray[np.int64]:
    return parts.numbers("at").astype(np.int64) + chunk.first_row_no
