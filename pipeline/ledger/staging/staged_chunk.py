"""One chunk of rows as it was read and mapped, column by column, and what is decided about each of its rows."""

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

from pipeline.ledger.records import Decided
from pipeline.model import BadRow, Fault, Invalid, Status
from pipeline.tables.fault_groups import FaultExample, FaultKind
from pipeline.tables.mapped_chunk import USERS, MappedChunk, OriginOfRow
from pipeline.tables.rows import ArrowRows

KEY_CONFLICT = "key_conflict"
_parts_of_kind: Callable[[Fault], tuple[Any, ...]] = attrgetter("code", "field", "column", "rule")


class Fate(IntEnum):
    """What is to become of a row. All but DUE and INVALID are skipped, and bear the fate's name as their code."""

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
        """The code that the outcome of a skipped row bears."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Variant:
    """
    One variant of a row that was fixed, by the places of the first row and of the one that is staged now.

    `parts` are part, identity, digest, card, points and version of each delivery. Of a fix `contents` are those of the
    row, and `origin` those of the first one; None where the row is as the first one was. A fix that says what
    the first row said has no contents.
    """

    first: int
    place: int
    parts: tuple[tuple[object, ...], ...] = field(repr=False)
    contents: tuple[bytes, ...] = field(default=(), repr=False)
    origin: OriginOfRow | None = None


_ROW = pa.schema({"request_key": pa.string()})


@dataclass(frozen=True, slots=True)
class StagedChunk:
    """
    The rows of one chunk, numbered in the run from `first_row_no`; entry n of every column is about the same row.

    `rows` has the key by which each row is known, `parts` are the payloads of all of them (lines of
    `pipeline.tables.mapped_chunk.PAYLOAD`). `cells` are those of the rows that stay open, by place. What is decided is
    written into `fates`, and why a row is invalid into `faults`, by its place. `dropped` are parts that an earlier
    row sends; `confirmed` are parts that say what the platform holds already, and whether that has to be noted: it is
    of a later time, or somebody has another balance of the card to send (of what was found unchanged for all rows at
    once, only where it has to be). `last_rows` are, by place, the last of the rows behind a state that say the same.
    `origins` are the rows that fixed rows stand for, by the place of these; `variants` what is noted of rows that were
    ever fixed.
    """

    file_no: int
    first_row_no: int
    source_rows: range
    rows: ArrowRows
    cells: dict[int, tuple[str | None, ...]] = field(repr=False)
    fates: bytearray
    faults: dict[int, Fault]
    parts: ArrowRows
    dropped: set[int] = field(default_factory=set)
    confirmed: dict[int, bool] = field(default_factory=dict)
    last_rows: dict[int, int] = field(default_factory=dict)
    file_lines: Sequence[int] | None = None
    origins: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    variants: dict[int, Variant] = field(default_factory=dict, repr=False)

    def due_parts(self) -> npt.NDArray[np.intp]:
        """Return the places of the parts that are to be delivered."""
        due = np.flatnonzero((self.fates_by_row() == Fate.DUE)[self.parts.numbers("at")])
        return due[~np.isin(due, list(self.dropped))] if self.dropped else due

    def decided(self) -> "StagedChunk":
        """Return the leaf as it waits: of rows that are decided on nobody asks what they would have sent."""
        return replace(self, parts=self.parts.without(*USERS).take(self.due_parts()))

    def fates_by_row(self) -> npt.NDArray[np.uint8]:
        """Return the fates in a form that numpy can read and write."""
        return np.frombuffer(self.fates, np.uint8)

    def places_of(self, *fates: Fate) -> list[int]:
        """Return the places of the rows that have one of these fates."""
        places: list[int] = np.flatnonzero(np.isin(self.fates_by_row(), fates)).tolist()
        return places

    def waits_for_a_fix(self, at: int) -> bool:
        """Return whether a row was fixed, and its fix may have been applied: it is due, and blocked until that ends."""
        return at in self.variants and self.variants[at].origin is None

    def refuse(self, at: int, message: str) -> None:
        """Make a row invalid, whose request key stands for something else."""
        self.invalidate(at, Fault(KEY_CONFLICT, message))

    def invalidate(self, at: int, fault: Fault) -> None:
        """Make a row invalid."""
        self.fates[at] = Fate.INVALID
        self.faults[at] = fault

    def count(self, decided: Decided, file: str) -> None:
        """Count the rows of the leaf, which is of a file with this name."""
        # Rows that the job does not want say nothing of whether its mapping is right.
        decided.rows += len(self.fates) - self.fates.count(Fate.FILTERED)
        decided.invalid += len(self.faults)
        in_order = (self.faults[at] for at in sorted(self.faults))
        for parts, rows in Counter(map(_parts_of_kind, in_order)).items():
            decided.faults.add(FaultKind(Status.INVALID, *parts), partial(self._first_with, parts, file), rows)

    def _first_with(self, parts: tuple[Any, ...], file: str) -> FaultExample:
        """Return the first row with a fault of this kind."""
        at = min(at for at, fault in self.faults.items() if _parts_of_kind(fault) == parts)
        fault, line = self.faults[at], self.line_at(at)
        return FaultExample(file, self.source_rows[at], line, fault.value, fault.message)

    def line_at(self, at: int) -> int | None:
        """Return the line of the file where a row begins, if it has lines."""
        return None if self.file_lines is None else self.file_lines[at]


def staged_chunk(file_no: int, first_row_no: int, mapped: MappedChunk) -> StagedChunk:
    """Return a sheet as it is staged, with no cells yet."""
    rows = ArrowRows(pa.RecordBatch.from_arrays([mapped.request_keys], schema=_ROW))
    chunk = StagedChunk(
        file_no=file_no,
        first_row_no=first_row_no,
        source_rows=mapped.numbers,
        rows=rows,
        cells={},
        fates=bytearray(len(mapped)),
        faults={},
        parts=mapped.payloads,
        file_lines=mapped.file_lines,
        origins={at: (origin.run_no, origin.row_no) for at, origin in mapped.origins.items()},
    )
    for at, other in mapped.others.items():
        chunk.invalidate(at, _fault_of_record(other) if isinstance(other, BadRow) else _fault_of_row(other))
    chunk.fates_by_row()[list(mapped.filtered)] = Fate.FILTERED
    return chunk


def _fault_of_record(bad: BadRow) -> Fault:
    """Return the fault of a record that can't be read: what the reader says of it holds nothing of the row."""
    return replace(bad.fault, rule=bad.fault.rule or bad.fault.message)


def _fault_of_row(invalid: Invalid) -> Fault:
    """Return the first fault of a row, with the messages of all."""
    first = invalid.faults[0]
    return first if len(invalid.faults) == 1 else replace(first, message=invalid.message)
