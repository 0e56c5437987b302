"""What is found about the rows of a run once all of them are read: a byte for each row, however many."""

from collections.abc import Mapping
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from pipeline.ledger.staging.staged_chunk import KEY_CONFLICT, Fate, StagedChunk
from pipeline.model import Fault


class Ruling(IntEnum):
    """What is found about a row; nothing where it is to be sent, as far as the run's own rows go."""

    NOTHING = 0
    OTHER_FORM = 1
    OTHER_CONTENT = 2
    DUPLICATE = 3
    SUPERSEDED = 4
    DELIVERED = 5
    UNCHANGED = 6
    SOME_TIMES = 7


_FATES: Mapping[Ruling, Fate] = {
    Ruling.DUPLICATE: Fate.DUPLICATE_ROW,
    Ruling.SUPERSEDED: Fate.SUPERSEDED,
    Ruling.DELIVERED: Fate.ALREADY_SUCCEEDED,
    Ruling.UNCHANGED: Fate.UNCHANGED,
}
CONTRADICTION = "contradiction"
# Why rows are made invalid.
_FAULTS: Mapping[Ruling, Fault] = {
    Ruling.OTHER_FORM: Fault(
        KEY_CONFLICT,
        "an earlier row of this run counts the same task in another form of `times`; give this row another key",
    ),
    Ruling.OTHER_CONTENT: Fault(
        KEY_CONFLICT,
        "an earlier row of this run has the same request key and other content; give this row another key",
    ),
    Ruling.SOME_TIMES: Fault(
        CONTRADICTION,
        "updated_at: some rows of this card or object have it in this run and others do not; give it to all or none",
        field="updated_at",
        rule="some rows of a card or object have it and others do not",
    ),
}


class Rulings:
    """The rulings on the rows of a run, which are numbered from 1."""

    def __init__(self, rows: int) -> None:
        self.of_row = np.zeros(rows, np.uint8)

    def rule(self, row_nos: npt.NDArray[np.int64], ruling: Ruling) -> None:
        """Rule on rows; a later ruling on a row takes the place of an earlier one."""
        self.of_row[row_nos - 1] = ruling

    def rule_one(self, row_no: int, ruling: Ruling) -> None:
        """Rule on one row."""
        self.of_row[row_no - 1] = ruling

    def are_open(self, row_nos: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return for each of the rows whether nothing is found about it."""
        is_open: npt.NDArray[np.bool_] = self.of_row[row_nos - 1] == Ruling.NOTHING
        return is_open

    def apply(self, chunk: StagedChunk) -> None:
        """Write into a leaf what is found about its rows, where nothing else is decided about them."""
        ruled = self.of_row[chunk.first_row_no - 1 : chunk.first_row_no - 1 + len(chunk.fates)]
        if not ruled.any():
            return
        fates = chunk.fates_by_row()
        is_due = fates == Fate.DUE
        for ruling, fate in _FATES.items():
            fates[is_due & (ruled == ruling)] = fate
        for ruling, fault in _FAULTS.items():
            for at in np.flatnonzero(is_due & (ruled == ruling)).tolist():
                chunk.invalidate(at, fault)
