"""One chunk of rows, read and mapped, column by column, with the decision on each of its rows."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.ledger.records import StagedCounts
from pipeline.model import BadRow, Fault, Invalid, Status
from pipeline.tables.fault_groups import FaultExample, FaultKind
from pipeline.tables.mapped_chunk import MappedChunk, OriginOfRow
from pipeline.tables.rows import ArrowRows
from pipeline.tables.text_columns import joined_bytes

KEY_CONFLICT = "key_conflict"
# The fields that group faults: faults that are equal in them are of one kind.
_kind_of: Callable[[Fault], tuple[Any, ...]] = attrgetter("code", "field", "column", "rule")


class RowDecision(IntEnum):
    """The decision on a row. All but DUE and INVALID are skipped; their code is the decision's name."""

    DUE = 0
    INVALID = 1
    ALREADY_SUCCEEDED = 2
    DUPLICATE_ROW = 3
    SUPERSEDED = 4
    UNCHANGED = 5
    FILTERED = 6
    FIXED_ALREADY = 7

    @property
    def code(self) -> str:
        """The code of the outcome of a skipped row."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Variant:
    """
    A row as one variant of a row that was fixed; `first` and `position` are the positions of that row and of this one.

    `parts` are part, identity, digest, card, points and version of each delivery. `contents` are the digests of what
    the row says; empty where a fix says what the first row said. `origin` is the row that a fix names; None for a row
    of an export.
    """

    first: int
    position: int
    parts: tuple[tuple[object, ...], ...] = field(repr=False)
    contents: tuple[bytes, ...] = field(default=(), repr=False)
    origin: OriginOfRow | None = None

    @property
    def waits(self) -> bool:
        """Whether a fix of this row of an export may have been applied. It then has the position of the first row."""
        return self.origin is None and self.position == self.first


ROW = pa.schema({"request_key": pa.string()})


@dataclass(frozen=True, slots=True)
class StagedChunk:
    """
    The rows of one chunk, numbered in the run from `first_row_no`; entry n of every column is about the same row.

    The index of a row in the chunk is called `at`, the index of a part `n`.

    - `rows` has the request key of each row, `parts` the payloads of all rows (`pipeline.tables.mapped_chunk.PAYLOAD`).
    - `cells` are kept of rows that stay open. `decisions` has a byte for each row, `faults` the faults of invalid rows.
    - `dropped` are parts that an earlier row sends.
    - `confirmed` are parts that say what the platform has already, with whether the ledger has to note it: the export
      is of a later time, or a run has another balance of the card to send.
    - `last_rows` are, for states, the last of the following rows that say the same.
    - `origins` are the rows that fixed rows stand for, by number in the run; `variants` what is noted of rows that were
      ever fixed.
    """

    file_no: int
    first_row_no: int
    source_rows: range
    rows: ArrowRows
    cells: dict[int, tuple[str | None, ...]] = field(repr=False)
    decisions: bytearray
    faults: dict[int, Fault]
    parts: ArrowRows
    dropped: set[int] = field(default_factory=set)
    confirmed: dict[int, bool] = field(default_factory=dict)
    last_rows: dict[int, int] = field(default_factory=dict)
    file_lines: Sequence[int] | None = None
    origins: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    variants: dict[int, Variant] = field(default_factory=dict, repr=False)

    def due_parts(self) -> npt.NDArray[np.intp]:
        """Return the indexes of the parts that are to be delivered."""
        due = np.flatnonzero((self.decisions_by_row() == RowDecision.DUE)[self.parts.numbers("at")])
        return due[~np.isin(due, list(self.dropped))] if self.dropped else due

    def decisions_by_row(self) -> npt.NDArray[np.uint8]:
        """Return the decisions as an array that numpy reads and writes in place."""
        return np.frombuffer(self.decisions, np.uint8)

    def indexes_of(self, *decisions: RowDecision) -> list[int]:
        """Return the indexes of the rows with one of these decisions."""
        indexes: list[int] = np.flatnonzero(np.isin(self.decisions_by_row(), decisions)).tolist()
        return indexes

    def waits_for_a_fix(self, at: int) -> bool:
        """Return whether a fix of this row may have been applied: the row stays due, and is blocked until that ends."""
        return at in self.variants and self.variants[at].waits

    def refuse(self, at: int, message: str) -> None:
        """Make a row invalid because its request key was used for something else."""
        self.invalidate(at, Fault(KEY_CONFLICT, message))

    def invalidate(self, at: int, fault: Fault) -> None:
        """Make a row invalid."""
        self.decisions[at] = RowDecision.INVALID
        self.faults[at] = fault

    def count(self, counts: StagedCounts, file: str) -> None:
        """Add the rows of this chunk, which is of the file with this name."""
        # Filtered rows do not show whether the mapping is right.
        counts.rows += len(self.decisions) - self.decisions.count(RowDecision.FILTERED)
        counts.invalid += len(self.faults)
        counts.skipped += len(self.decisions) - self.decisions.count(RowDecision.DUE) - len(self.faults)
        bodies = self.parts.take(self.due_parts()).column("body")
        counts.requests += len(bodies)
        if counts.bodies is not None:
            # JSON objects one after another can be read in one way only, so no mark is needed between them.
            counts.bodies.update(joined_bytes(bodies))
        in_order = (self.faults[at] for at in sorted(self.faults))
        for kind, rows in Counter(map(_kind_of, in_order)).items():
            counts.faults.add(FaultKind(Status.INVALID, *kind), partial(self._first_with, kind, file), rows)

    def _first_with(self, kind: tuple[Any, ...], file: str) -> FaultExample:
        """Return the first row with a fault of this kind."""
        at = min(at for at, fault in self.faults.items() if _kind_of(fault) == kind)
        fault, line = self.faults[at], self.line_at(at)
        return FaultExample(file, self.source_rows[at], line, fault.value, fault.message)

    def line_at(self, at: int) -> int | None:
        """Return the line of the file where a row begins; None if the file has no lines."""
        return None if self.file_lines is None else self.file_lines[at]


def staged_chunk(file_no: int, first_row_no: int, mapped: MappedChunk) -> StagedChunk:
    """Return a mapped chunk as it is staged. Its cells are added later."""
    rows = ArrowRows(pa.RecordBatch.from_arrays([mapped.request_keys], schema=ROW))
    chunk = StagedChunk(
        file_no=file_no,
        first_row_no=first_row_no,
        source_rows=mapped.numbers,
        rows=rows,
        cells={},
        decisions=bytearray(len(mapped)),
        faults={},
        parts=mapped.payloads,
        file_lines=mapped.file_lines,
        origins={first_row_no + at: (origin.run_no, origin.row_no) for at, origin in mapped.origins.items()},
    )
    for at, other in mapped.others.items():
        chunk.invalidate(at, _fault_of_record(other) if isinstance(other, BadRow) else _fault_of_row(other))
    chunk.decisions_by_row()[list(mapped.filtered)] = RowDecision.FILTERED
    return chunk


def _fault_of_record(bad: BadRow) -> Fault:
    """Return the fault of a record that can't be read. Its message has nothing of the row, so it serves as the rule."""
    return replace(bad.fault, rule=bad.fault.rule or bad.fault.message)


def _fault_of_row(invalid: Invalid) -> Fault:
    """Return the first fault of a row, with the messages of all its faults."""
    first = invalid.faults[0]
    return first if len(invalid.faults) == 1 else replace(first, message=invalid.message)
