"""One chunk of rows as it was read and mapped, column by column, and what is decided about each of its rows."""

from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.lines import Lines
from pipeline.model import BadRow
from pipeline.sheet import Sheet

KEY_CONFLICT = "key_conflict"


class Fate(IntEnum):
    """What is to become of a row. All but DUE and INVALID are skipped, and bear the fate's name as their code."""

    DUE = 0
    INVALID = 1
    ALREADY_SUCCEEDED = 2
    DUPLICATE_ROW = 3
    SUPERSEDED = 4
    UNCHANGED = 5

    @property
    def code(self) -> str:
        """The code that the outcome of a skipped row bears."""
        return self.name.lower()


_ROW = pa.schema({"request_key": pa.string()})


@dataclass(frozen=True, slots=True)
class Leaf:
    """
    The rows of one chunk, numbered in the run from `first_row_no`; entry n of every column is about the same row.

    `rows` has the key by which each row is known, `parts` are the payloads of all of them (lines of
    `pipeline.sheet.PAYLOAD`). `cells` are those of the rows that stay open, by place. What is decided is written into
    `fates`, and for an invalid row code and message into `faults`, by its place. `dropped` are parts that an earlier
    row sends; `confirmed` are parts that say what the platform holds already, and whether that has to be noted: it is
    of a later time, or somebody has another balance of the card to send (of what was found unchanged for all rows at
    once, only where it has to be). `last_rows` are, of states by place, the last rows of the run that say the same.
    """

    file_no: int
    first_row_no: int
    source_rows: range
    rows: Lines
    cells: dict[int, tuple[str | None, ...]] = field(repr=False)
    fates: bytearray
    faults: dict[int, tuple[str, str]]
    parts: Lines
    dropped: set[int] = field(default_factory=set)
    confirmed: dict[int, bool] = field(default_factory=dict)
    last_rows: dict[int, int] = field(default_factory=dict)

    def due_parts(self) -> npt.NDArray[np.intp]:
        """Return the places of the parts that are to be delivered."""
        due = np.flatnonzero((self.fates_by_row() == Fate.DUE)[self.parts.numbers("at")])
        return due[~np.isin(due, list(self.dropped))] if self.dropped else due

    def decided(self) -> "Leaf":
        """Return the leaf as it waits: of rows that are decided on nobody asks what they would have sent."""
        return replace(self, parts=self.parts.take(self.due_parts()))

    def fates_by_row(self) -> npt.NDArray[np.uint8]:
        """Return the fates in a form that numpy can read and write."""
        return np.frombuffer(self.fates, np.uint8)

    def places_of(self, *fates: Fate) -> list[int]:
        """Return the places of the rows that have one of these fates."""
        places: list[int] = np.flatnonzero(np.isin(self.fates_by_row(), fates)).tolist()
        return places

    def refuse(self, at: int, message: str) -> None:
        """Make a row invalid, whose request key stands for something else."""
        self.invalidate(at, KEY_CONFLICT, message)

    def invalidate(self, at: int, code: str, message: str) -> None:
        """Make a row invalid."""
        self.fates[at] = Fate.INVALID
        self.faults[at] = (code, message)


def leaf_of(file_no: int, first_row_no: int, sheet: Sheet) -> Leaf:
    """Return a sheet as it is staged, with no cells yet."""
    rows = Lines(pa.RecordBatch.from_arrays([sheet.request_keys], schema=_ROW))
    leaf = Leaf(
        file_no=file_no,
        first_row_no=first_row_no,
        source_rows=sheet.numbers,
        rows=rows,
        cells={},
        fates=bytearray(len(sheet)),
        faults={},
        parts=sheet.payloads,
    )
    for at, other in sheet.others.items():
        fault = other.fault if isinstance(other, BadRow) else other
        leaf.invalidate(at, fault.code, fault.message)
    return leaf
