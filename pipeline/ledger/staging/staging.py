"""Taking in what was read and mapped: what the ledger knows of each row already, and what waits to be decided."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.ledger.records import RunRecord
from pipeline.ledger.rules.admission import Conflict, Skip, admit
from pipeline.ledger.rules.known_deliveries import Past, past_among
from pipeline.ledger.rules.tasks import COUNTED_OTHERWISE, sent_otherwise
from pipeline.ledger.staging.duplicates.find import Finder, Repeats
from pipeline.ledger.staging.recognised import Recognition
from pipeline.ledger.staging.refunds import Retarget, follow_payments
from pipeline.ledger.staging.staged_chunk import Fate, Leaf, leaf_of
from pipeline.ledger.staging.states import StagedStates
from pipeline.ledger.staging.unchanged import Unchanged, find_unchanged
from pipeline.ledger.staging.waiting_chunks import Spool
from pipeline.ledger.store.lease import IsGone
from pipeline.model import Api, Export
from pipeline.tables.mapped_chunk import Sheet

# Whoever mends such a row, or looks why it is open, has to see it.
_OPEN = (Fate.DUE, Fate.INVALID)


@dataclass(frozen=True, slots=True)
class Findings:
    """What can be said of rows only once all of them are read."""

    repeats: Repeats
    unchanged: Unchanged | None = None
    states: StagedStates | None = None

    def apply(self, connection: sqlite3.Connection, run: RunRecord, leaf: Leaf) -> None:
        """Write into a leaf what was found about its rows, as far as that still holds."""
        self.repeats.apply(leaf)
        if self.unchanged is not None:
            self.unchanged.apply(connection, run, leaf)
        if self.states is not None:
            self.states.apply(leaf)


class Staging:
    """
    The rows of one run on their way into the ledger.

    They wait aside until all inputs are read: which row is the first of its key, or the newest of its card, is known
    only then. `folder` is where they wait when they are many, with their cells only where these are to be kept;
    `retarget` puts another payment into a refund, where that was given another key.
    """

    def __init__(self, run: RunRecord, folder: Path, retarget: Retarget, *, keeps_cells: bool = True) -> None:
        self._run = run
        self._retarget = retarget
        self._keeps_cells = keeps_cells
        self._spool = Spool(folder)
        self._rows = 0
        self._finder = Finder(run, folder)
        self._recognition: Recognition | None = None
        self._states = StagedStates(run, folder) if run.api is Api.STATE else None

    def add(self, connection: sqlite3.Connection, file_no: int, first_row_no: int, sheet: Sheet) -> int:
        """
        Take in rows, numbered from `first_row_no` in the run; return how many of them are invalid.

        `connection` is only read.
        """
        leaf = leaf_of(file_no, first_row_no, sheet)
        if self._recognition is None:
            self._recognition = Recognition(connection, self._run)
        fixed = self._recognition.recognise(connection, leaf, sheet)
        follow_payments(connection, self._run, leaf, self._retarget)
        # A balance is decided on when the newest of its card is known, and a state when all of its object are: were one
        # left out here as delivered, an older one would seem the newest.
        if self._run.api is Api.CUMULATION:
            _leave_out_delivered(connection, self._run, leaf)
        if self._keeps_cells:
            leaf.cells.update((at, sheet.cells(at)) for at in leaf.places_of(*_OPEN))
        if self._states is None:
            self._finder.note(leaf)
            self._finder.note_fixed(leaf, fixed)
        else:
            self._states.note(leaf)
        self._spool.add(leaf.decided())
        self._rows = first_row_no - 1 + len(leaf.fates)
        return len(leaf.faults)

    def findings(self, connection: sqlite3.Connection, keep_up: Callable[[], None], *, is_gone: IsGone) -> Findings:
        """
        Return what can be said of the rows at once; `connection` is only read.

        `keep_up` is called now and then, `is_gone` tells whether the holder of a job is dead.
        """
        repeats = self._finder.find(self._rows)
        keep_up()
        if self._states is not None:
            self._states.decide(connection, repeats.rulings, keep_up)
        if self._run.api is not Api.POINTS:
            return Findings(repeats, states=self._states)
        unchanged = find_unchanged(connection, self._run, self._finder.balances, self._rows, keep_up, is_gone=is_gone)
        return Findings(repeats, unchanged)

    def __iter__(self) -> Iterator[Leaf]:
        return iter(self._spool)

    def close(self) -> None:
        """Forget the rows."""
        self._spool.close()
        self._finder.close()
        if self._states is not None:
            self._states.close()


def _leave_out_delivered(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf) -> None:
    past = past_among(connection, run, leaf.parts.values("identity"))
    for at in _sent_otherwise(connection, run, leaf):
        leaf.refuse(at, COUNTED_OTHERWISE)
    if past:
        _judge_known(leaf, past)


def _judge_known(leaf: Leaf, past: Past) -> None:
    """Decide on rows of which the ledger knows; a row of several parts is left out once all of them are delivered."""
    at, identities, digests = leaf.parts.values("at"), leaf.parts.values("identity"), leaf.parts.values("digest")
    delivered = past.delivered.get
    is_done = np.array([delivered(identity) == digest for identity, digest in zip(identities, digests, strict=True)])
    for n in np.flatnonzero(~is_done).tolist():
        if identities[n] in past and leaf.fates[at[n]] == Fate.DUE:
            match admit(past.known(identities[n]), digests[n]):
                case Conflict(message) if not leaf.waits_for_a_fix(at[n]):
                    leaf.refuse(at[n], message)
                case Skip():
                    is_done[n] = True
    fates = leaf.fates_by_row()
    is_left = np.zeros(len(fates), np.bool_)
    is_left[leaf.parts.numbers("at")[~is_done]] = True
    fates[~is_left & (fates == Fate.DUE)] = Fate.ALREADY_SUCCEEDED


def _sent_otherwise(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf) -> list[int]:
    """Return the places of rows whose task went out in the other form of `times`."""
    if run.export is not Export.TASKS:
        return []
    count, keys = Counter(leaf.parts.values("at")), leaf.rows.values("request_key")
    forms = {at: (keys[at] or "", parts == 1) for at, parts in count.items()}
    conflicts = sent_otherwise(connection, run, forms.values())
    return [at for at, form in forms.items() if form in conflicts]
