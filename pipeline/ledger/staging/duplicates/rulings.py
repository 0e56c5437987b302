"""Rulings: what is found about each row of a run once all are read, in a byte a row."""

from collections.abc import Mapping
from dataclasses import replace
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import orjson

from pipeline.language import later, t
from pipeline.ledger.staging.staged_chunk import KEY_CONFLICT, RowDecision, StagedChunk
from pipeline.model import Fault


class Ruling(IntEnum):
    """What is found about a row among all rows of its run. NOTHING: as far as these go, it is to be sent."""

    NOTHING = 0
    OTHER_FORM = 1
    OTHER_CONTENT = 2
    DUPLICATE = 3
    SUPERSEDED = 4
    DELIVERED = 5
    UNCHANGED = 6
    SOME_TIMES = 7
    TWO_USERS = 8


# The decisions on rows that are skipped.
_DECISIONS: Mapping[Ruling, RowDecision] = {
    Ruling.DUPLICATE: RowDecision.DUPLICATE_ROW,
    Ruling.SUPERSEDED: RowDecision.SUPERSEDED,
    Ruling.DELIVERED: RowDecision.ALREADY_SUCCEEDED,
    Ruling.UNCHANGED: RowDecision.UNCHANGED,
}
CONTRADICTION = "contradiction"
# The rule of `updated_at` that is broken.
_SOME_TIMES = later(
    "some rows of this card or object have it in this run and others do not; give it to all of them or to none"
)
# The faults of rows that become invalid; their messages are in English.
_FAULTS: Mapping[Ruling, Fault] = {
    Ruling.OTHER_FORM: Fault(
        KEY_CONFLICT,
        later("an earlier row of this run counts the same task in another form of `times`; give this row another key"),
    ),
    Ruling.OTHER_CONTENT: Fault(
        KEY_CONFLICT,
        later("an earlier row of this run has the same request key and other content; give this row another key"),
    ),
    Ruling.SOME_TIMES: Fault(CONTRADICTION, _SOME_TIMES, field="updated_at", rule=_SOME_TIMES),
}
# What may have only one user, by the field that names the user.
_ONE_USER = {"user_id": "agreement_no", "open_id": "agreement_no", "openid": "card"}


class Rulings:
    """The rulings on the rows of a run, or on some from `first` on; the first row is at index 0."""

    def __init__(self, rows: int, first: int = 1) -> None:
        self.of_row = np.zeros(rows, np.uint8)
        self._first = first

    def rule(self, row_nos: npt.NDArray[np.int64] | int, ruling: Ruling) -> None:
        """Rule on rows, or on one; a later ruling replaces an earlier one."""
        self.of_row[row_nos - self._first] = ruling

    def are_open(self, row_nos: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return for each of the rows whether nothing was found about it."""
        is_open: npt.NDArray[np.bool_] = self.of_row[row_nos - self._first] == Ruling.NOTHING
        return is_open

    def apply(self, chunk: StagedChunk) -> None:
        """Write what was found into a chunk, for rows that are still due."""
        at = chunk.first_row_no - self._first
        ruled = self.of_row[at : at + len(chunk.decisions)]
        if not ruled.any():
            return
        decisions = chunk.decisions_by_row()
        is_due = decisions == RowDecision.DUE
        for ruling, decision in _DECISIONS.items():
            decisions[is_due & (ruled == ruling)] = decision
        for ruling, fault in _FAULTS.items():
            places = np.flatnonzero(is_due & (ruled == ruling)).tolist()
            shown = _in_language_in_use(fault) if places else fault
            for at in places:
                chunk.invalidate(at, shown)
        for at in np.flatnonzero(is_due & (ruled == Ruling.TWO_USERS)).tolist():
            chunk.invalidate(at, _two_users(chunk, at))


def _in_language_in_use(fault: Fault) -> Fault:
    rule = fault.rule and t(fault.rule)
    return replace(fault, message=f"{fault.field}: {rule}" if rule else t(fault.message), rule=rule)


def _two_users(chunk: StagedChunk, at: int) -> Fault:
    body = orjson.loads(chunk.parts.values("body")[int(np.searchsorted(chunk.parts.numbers("at"), at))])
    name = next(name for name in _ONE_USER if name in body)
    rule = t(
        "rows of this run name more than one {name} for this {one_user}; correct it where it is wrong",
        name=name,
        one_user=_ONE_USER[name],
    )
    return Fault(CONTRADICTION, f"{name}: {rule}", field=name, rule=rule)
