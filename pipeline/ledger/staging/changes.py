"""What changed in an export since an earlier run: rows that are new, changed or gone, by their request keys."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.ledger.history.outcomes import outcome_pages
from pipeline.ledger.records import RunRecord
from pipeline.ledger.staging.duplicates.partitions import EntryTable, Partitions, group_starts, hashes, numbers_of
from pipeline.ledger.staging.staged_chunk import RowDecision, StagedChunk
from pipeline.ledger.store.port import Connection
from pipeline.model import Status, digest
from pipeline.redact import shown
from pipeline.tables.outcome_page import OutcomePage
from pipeline.tables.text_columns import column_of

# The digests of what a run had to deliver for some rows.
_DIGESTS = "SELECT row_no, digest FROM dues WHERE run_no = ? AND row_no BETWEEN ? AND ? ORDER BY row_no, part"
# A row of either side. Of its key it has a hash, and what a masked key shows.
_ENTRY = np.dtype(
    [
        ("key", "u8", 2), ("content", "u8", 2), ("kind", "u1"), ("is_new", "?"), ("file", "u4"), ("row", "u8"),
        ("first", "U1"), ("last", "U1"), ("length", "u4"),
    ]
)  # fmt: skip
_EXAMPLES = 3
_NO_DIGEST = bytes(16)


class _Kind(IntEnum):
    """What a side says about a row: delivered before, to be sent with a known content, or without a payload."""

    SKIPPED = 0
    DUE = 1
    INVALID = 2


_KIND_OF_DECISION = {RowDecision.DUE: _Kind.DUE, RowDecision.INVALID: _Kind.INVALID}
_KIND_OF_STATUS = {Status.SKIPPED: _Kind.SKIPPED, Status.INVALID: _Kind.INVALID}
# Rows that are no rows of their own: the job does not want them, or another row says the same.
_LEFT_OUT = (RowDecision.FILTERED, RowDecision.DUPLICATE_ROW)
_LEFT_OUT_CODES = frozenset(decision.code for decision in _LEFT_OUT)


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """A row as an example: its file, its number there, and its request key, masked."""

    file: str
    row: int
    key: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows that differ in the same way: how many, and the first of them."""

    rows: int
    examples: tuple[ExampleRow, ...]


@dataclass(frozen=True, slots=True)
class ExportDifferences:
    """
    How an export differs from that of an earlier run, in rows by request key.

    - `new`: keys that the run did not have; `gone`: keys that only the run had
    - `changed`: keys of both, with other content
    """

    run_id: str
    short_id: str
    date: str | None
    new: Difference
    changed: Difference
    gone: Difference


class ExportComparison:
    """
    Compares the rows of an export with those of an earlier run, of any number, with bounded memory.

    A row has changed if it is due with other content than the run had, or if it is valid on one side only. What the
    ledger skips as delivered or unchanged has not changed. Rows without a request key are not compared.
    """

    def __init__(self, folder: Path) -> None:
        self._entries = Partitions(_ENTRY, "key", folder)

    def add_run(self, connection: Connection, run: RunRecord) -> None:
        """Add the rows of the earlier run."""
        first = 1
        for page in outcome_pages(connection, run):
            digests = _digests_of_run(connection, run, first, len(page))
            contents = [digests.get(row_no, _NO_DIGEST) for row_no in range(first, first + len(page))]
            kinds = [_KIND_OF_STATUS.get(status, _Kind.DUE) for status in page.status]
            self._add(_indexes_of(page), page.request_key, kinds, contents, page.file_no, page.source_row, is_new=False)
            first += len(page)

    def add(self, chunk: StagedChunk) -> None:
        """Add decided rows of the export."""
        decisions = list(map(RowDecision, chunk.decisions))
        digests = _digests_of_chunk(chunk)
        self._add(
            [at for at, decision in enumerate(decisions) if decision not in _LEFT_OUT],
            chunk.rows.values("request_key"),
            [_KIND_OF_DECISION.get(decision, _Kind.SKIPPED) for decision in decisions],
            [digests.get(at, _NO_DIGEST) for at in range(len(decisions))],
            [chunk.file_no] * len(decisions),
            chunk.source_rows,
            is_new=True,
        )

    def _add(
        self,
        indexes: Iterable[int],
        keys: Sequence[str | None],
        kinds: Sequence[_Kind],
        contents: Sequence[bytes],
        files: Sequence[int],
        rows: Sequence[int],
        *,
        is_new: bool,
    ) -> None:
        """Add rows, given as columns; `indexes` are those that count."""
        lines = [
            (key, contents[at] if kinds[at] is _Kind.DUE else _NO_DIGEST, kinds[at], files[at], rows[at])
            for at in indexes
            if (key := keys[at])
        ]
        if not lines:
            return
        texts, digests, *others = zip(*lines, strict=True)
        entries = np.empty(len(lines), _ENTRY)
        entries["key"], entries["content"] = hashes(column_of(texts)), numbers_of(digests)
        entries["kind"], entries["file"], entries["row"] = others
        entries["is_new"] = is_new
        entries["first"], entries["last"] = [text[0] for text in texts], [text[-1] for text in texts]
        entries["length"] = list(map(len, texts))
        self._entries.add(entries)

    def result(
        self, run: RunRecord, short_id: str, files: Mapping[int, str], files_of_run: Mapping[int, str]
    ) -> ExportDifferences:
        """Return the differences; `files` and `files_of_run` are the names of the inputs, by number."""
        found = {name: _Found(files_of_run if name == "gone" else files) for name in ("new", "changed", "gone")}
        for part in self._entries:
            for name, entries in _compare(_whole(part)).items():
                found[name].add(entries)
        sides = {name: each.difference() for name, each in found.items()}
        return ExportDifferences(run.run_id, short_id, run.options.get("date"), **sides)

    def close(self) -> None:
        """Delete the rows."""
        self._entries.close()


class _Found:
    """Rows that differ in the same way: their number, and the first of them in source order."""

    def __init__(self, files: Mapping[int, str]) -> None:
        self._files = files
        self._rows = 0
        self._first = np.empty(0, _ENTRY)

    def add(self, entries: EntryTable) -> None:
        self._rows += len(entries)
        self._first = np.sort(np.concatenate([self._first, entries]), order=("file", "row"))[:_EXAMPLES]

    def difference(self) -> Difference:
        return Difference(self._rows, tuple(map(self._example, self._first)))

    def _example(self, entry: Any) -> ExampleRow:
        key = str(entry["first"])
        if entry["length"] > 1:
            key = key.ljust(entry["length"] - 1, "*") + str(entry["last"])
        return ExampleRow(self._files[int(entry["file"])], int(entry["row"]), shown(key).plain)


def _indexes_of(page: OutcomePage) -> list[int]:
    """Return the indexes of the rows of a page that count."""
    ends = zip(page.status, page.code, strict=True)
    return [n for n, (status, code) in enumerate(ends) if status is not Status.SKIPPED or code not in _LEFT_OUT_CODES]


def _digests_of_run(connection: Connection, run: RunRecord, first: int, rows: int) -> dict[int, bytes]:
    """Return the digest of what a run had to deliver, by row; of rows that were due."""
    found = connection.execute(_DIGESTS, (run.run_no, first, first + rows - 1))
    return {row_no: _joined([each for _, each in dues]) for row_no, dues in groupby(found, key=itemgetter(0))}


def _digests_of_chunk(chunk: StagedChunk) -> dict[int, bytes]:
    """Return the digest of what is to be delivered, by the index of a due row."""
    due = chunk.parts.take(chunk.due_parts())
    bodies = due.values("body")
    parts = [
        (at, staged or digest(bodies[n]))
        for n, (at, staged) in enumerate(zip(due.values("at"), due.values("digest"), strict=True))
    ]
    return {at: _joined([each for _, each in of_row]) for at, of_row in groupby(parts, key=itemgetter(0))}


def _joined(digests: Sequence[bytes]) -> bytes:
    return digests[0] if len(digests) == 1 else blake2b(b"".join(digests), digest_size=16).digest()


def _whole(part: Iterable[EntryTable]) -> EntryTable:
    """Return a partition as one table. Where it is large, because many rows have one key, equal rows are dropped."""
    whole = np.empty(0, _ENTRY)
    for table in part:
        whole = table if not len(whole) else _distinct(np.concatenate([whole, table]))
    return whole


def _distinct(entries: EntryTable) -> EntryTable:
    """Return the entries without those that say the same of the same key; the first in source order stays."""
    ordered = _sorted(entries, entries["row"], entries["file"], entries["kind"], entries["is_new"])
    says = np.stack([ordered["kind"], ordered["is_new"]], axis=1)
    return ordered[group_starts(ordered["key"], ordered["content"], says)]


def _sorted(entries: EntryTable, *then: npt.NDArray[Any]) -> EntryTable:
    """Return entries by key, then content, then other columns, the least important first."""
    key, content = entries["key"], entries["content"]
    return entries[np.lexsort((*then, content[:, 1], content[:, 0], key[:, 1], key[:, 0]))]


def _compare(entries: EntryTable) -> dict[str, EntryTable]:
    """Return the rows of a partition that are new, changed and gone, one for each key."""
    ordered = _sorted(entries, entries["row"], entries["file"])
    is_new, kind = ordered["is_new"], ordered["kind"]
    starts = group_starts(ordered["key"])
    of_key, of_content = np.cumsum(starts) - 1, np.cumsum(group_starts(ordered["key"], ordered["content"])) - 1

    def any_in(group: npt.NDArray[np.intp], which: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return, for each entry, whether any entry of its group is one of `which`."""
        found: npt.NDArray[np.bool_] = (np.bincount(group, which) > 0)[group]
        return found

    is_old = ~is_new
    in_both = any_in(of_key, is_new) & any_in(of_key, is_old)
    other_content = (kind == _Kind.DUE) & ~any_in(of_content, is_old & (kind == _Kind.DUE))
    newly_invalid = (kind == _Kind.INVALID) & ~any_in(of_key, is_old & (kind == _Kind.INVALID))
    return {
        "new": _one_for_each_key(ordered, is_new & ~in_both, of_key),
        "changed": _one_for_each_key(ordered, is_new & in_both & (other_content | newly_invalid), of_key),
        "gone": _one_for_each_key(ordered, is_old & ~in_both, of_key),
    }


def _one_for_each_key(entries: EntryTable, which: npt.NDArray[np.bool_], of_key: npt.NDArray[np.intp]) -> EntryTable:
    _, first = np.unique(of_key[which], return_index=True)
    return entries[which][first]
